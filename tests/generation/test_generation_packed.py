"""Packed weights: the same scores to rounding, the same ids, and a network that is not touched."""

import pytest
import torch
from shapes import shaped

from hornbook.generation import packed as packing
from hornbook.generation import session
from hornbook.generation.generate import generate
from hornbook.generation.packed import MOST_ROWS, packed
from hornbook.models import FAMILIES
from hornbook.models.build import build_network, convert
from hornbook.models.parts.linear import Linear

SHAPE = {"vocab_size": 97, "max_length": 64, "d_model": 32, "n_layers": 3, "n_heads": 4}
OTHER = {
    "bahdanau": {"d_hidden": 24},
    "mixtral": {"d_ff": 40},
    "t5": {"d_head": 8},
    "t5_1_1": {"d_head": 8},
}
WRITERS = [family for family in FAMILIES if family not in ("bert", "roberta")]
PROMPTS = [[5, 6, 7, 8, 9, 10, 11], [40, 41, 42]]

there = pytest.mark.skipif(
    not all(hasattr(torch.ops.mkldnn, name) for name in packing.OPERATIONS),
    reason="this torch has no packed products",
)


def network_of(family):
    network = build_network(shaped(family, SHAPE, **OTHER.get(family, {}))).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            gain = "norm" in name and name.endswith("weight")
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator) + float(gain))
    return network


def scores(network, prompts):
    """Logits of the next token of every row, read token by token."""
    rows = torch.tensor(prompts)
    with torch.inference_mode():
        if network.spec.encoder is not None:
            source, _ = network.encode(rows)
            target = torch.tensor([[3], [4]])[: len(rows)]
            return network.logits(network.decode(source, target).last)
        cache = network.new_cache(*rows.shape)
        parts = []
        for token in rows.split(1, dim=1):
            length = cache.length
            positions, mask = network.place(rows[:, : length + 1])
            positions = None if positions is None else positions[..., length:]
            hidden = network.predict_next(token, positions=positions, mask=mask, cache=cache)
            parts.append(network.logits(hidden.last))
        return torch.cat(parts, 1)


@there
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("family", WRITERS)
def test_scores_are_the_same_to_rounding(family, rows, dtype, tolerance):
    network = convert(network_of(family), dtype)
    view = packed(network, rows, 32)
    assert view is not network
    prompts = [PROMPTS[0], PROMPTS[0][::-1]][:rows]
    own, expected = scores(view, prompts).float(), scores(network, prompts).float()
    assert (own - expected).abs().max() < tolerance * expected.abs().max()


@there
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("family", WRITERS)
def test_greedy_ids_are_those_of_plain_weights(family, rows, monkeypatch):
    network = network_of(family)
    packs = []
    monkeypatch.setattr(session, "packed", lambda *asked: packs.append(asked[1:]) or packed(*asked))
    fast = [row.ids for row in generate(network, PROMPTS[:rows], 32)]
    monkeypatch.setattr(session, "packed", lambda net, *_: net)
    assert fast == [row.ids for row in generate(network, PROMPTS[:rows], 32)]
    assert packs == [(rows, 32)]


@there
@pytest.mark.parametrize(
    ("rows", "dtype", "product"),
    [
        (1, torch.float32, packing._Shared),
        (1, torch.bfloat16, packing._Bags),
        (2, torch.float32, packing._Packed),
        (2, torch.bfloat16, packing._Packed),
    ],
)
def test_each_case_has_its_product(rows, dtype, product):
    """Widths that no thread's share and no bag divides evenly are right too."""
    if rows == 1 and not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        pytest.skip("this machine takes the packed layout")
    network = convert(network_of("gpt2"), dtype)
    assert isinstance(packed(network, rows, 32).blocks[0].attention.qkv, product)
    generator = torch.Generator().manual_seed(2)
    for width_out, width_in in ((1, 3), (257, 5), (384, 16)):
        weight = torch.randn(width_out, width_in, generator=generator).to(dtype)
        x = torch.randn(rows, 1, width_in, generator=generator).to(dtype)
        for bias in (None, torch.randn(width_out, generator=generator)):
            # A product casts what it reads, as `Linear` does.
            given = x.bfloat16() if dtype == torch.float32 and width_in == 5 else x.float()
            x = given.to(dtype)
            expected = x.double() @ weight.double().T
            if bias is not None:
                expected = expected + bias.to(dtype).double()
            with torch.inference_mode():
                found = product(weight, bias)(given).double()
            assert found.shape == expected.shape
            bound = 1e-5 if dtype == torch.float32 else 2**-7
            assert (found - expected).abs().max() < bound * expected.abs().max()


@there
def test_the_network_itself_is_not_touched():
    network = network_of("llama").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    kinds = [type(module) for module in network.modules()]
    view = packed(network, 1, 40)
    generate(network, PROMPTS, 40)
    assert [type(module) for module in network.modules()] == kinds
    assert network.training
    assert not any(isinstance(module, Linear) for module in view.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert view.table is network.table
    assert packed(view, 1, 40) is view


@there
@pytest.mark.parametrize("rows", [1, MOST_ROWS])
def test_many_rows_are_multiplied_as_usual(rows):
    """A prompt, read at once, has more rows than the steps that follow it."""
    network = network_of("gpt2")
    view = packed(network, rows, 32)
    assert view is not network
    tokens = torch.randint(0, 97, (1, MOST_ROWS + 1))
    with torch.inference_mode():
        assert torch.equal(view(tokens).last, network(tokens).last)
    assert packed(network, MOST_ROWS + 1, 32) is network


@there
def test_copies_are_made_for_many_steps_alone():
    network = network_of("gpt2")
    few = packing.WORTH_PACKING - 1
    assert packed(network, 2, few) is network
    if torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        assert packed(network, 1, few) is not network, "shares cost nothing"
    assert packed(convert(network, torch.bfloat16), 1, few) is network


@there
def test_machines_of_another_kind_take_the_packed_layout(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    for dtype in (torch.float32, torch.bfloat16):
        view = packed(convert(network_of("gpt2"), dtype), 1, 32)
        assert isinstance(view.blocks[0].attention.qkv, packing._Packed)


def test_what_cannot_be_packed_stays_as_it_is(monkeypatch):
    exact = network_of("gpt2").double()
    assert packed(exact, 1, 40) is exact
    network = network_of("gpt2")
    monkeypatch.setattr(packing, "OPERATIONS", ("_no_such_operation",))
    assert packed(network, 2, 40) is network
