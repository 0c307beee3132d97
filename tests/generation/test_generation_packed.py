"""Packed weights: the same scores to rounding, the same ids, and a network that is not touched."""

import pytest
import torch

from hornbook.generation import packed as packing
from hornbook.generation import session
from hornbook.generation.generate import generate
from hornbook.generation.packed import MOST_ROWS, packed
from hornbook.models import FAMILIES
from hornbook.models.build import build_network, convert
from hornbook.models.families import spec_for
from hornbook.models.parts.linear import Linear

SHAPE = {"vocab_size": 97, "max_length": 64, "d_model": 32, "n_layers": 3, "n_heads": 4}
OTHER = {"mixtral": {"d_ff": 40}, "t5": {"d_head": 8}, "t5_1_1": {"d_head": 8}}
WRITERS = [family for family in FAMILIES if family not in ("bert", "roberta")]
PROMPTS = [[5, 6, 7, 8, 9, 10, 11], [40, 41, 42]]

there = pytest.mark.skipif(
    not all(hasattr(torch.ops.mkldnn, name) for name in packing.OPERATIONS),
    reason="this torch has no packed products",
)


def network_of(family):
    network = build_network(spec_for(family, **SHAPE | OTHER.get(family, {}))).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            gain = "norm" in name and name.endswith("weight")
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator) + float(gain))
    return network


def scores(network, prompt):
    """Logits of the next token, read token by token."""
    with torch.inference_mode():
        if network.spec.encoder is not None:
            source, _ = network.encode(torch.tensor([prompt]))
            return network.logits(network.decode(source, torch.tensor([[3, 4]])).last)
        cache = network.new_cache(1, len(prompt))
        parts = []
        for token in prompt:
            length = cache.length
            positions, mask = network.place(torch.tensor([prompt[: length + 1]]))
            positions = None if positions is None else positions[..., length:]
            hidden = network.predict_next(
                torch.tensor([[token]]), positions=positions, mask=mask, cache=cache
            )
            parts.append(network.logits(hidden.last))
        return torch.cat(parts, 1)


@there
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("family", WRITERS)
def test_scores_are_the_same_to_rounding(family, dtype, tolerance):
    network = convert(network_of(family), dtype)
    view = packed(network)
    assert view is not network
    own, expected = scores(view, PROMPTS[0]).float(), scores(network, PROMPTS[0]).float()
    assert (own - expected).abs().max() < tolerance * expected.abs().max()


@there
@pytest.mark.parametrize("family", WRITERS)
def test_greedy_ids_are_those_of_plain_weights(family, monkeypatch):
    network = network_of(family)
    packs = []
    monkeypatch.setattr(session, "packed", lambda net: packs.append(1) or packed(net))
    fast = [row.ids for row in generate(network, PROMPTS, 32)]
    monkeypatch.setattr(session, "packed", lambda net: net)
    assert fast == [row.ids for row in generate(network, PROMPTS, 32)]
    assert packs == [1]


@there
def test_the_network_itself_is_not_touched():
    network = network_of("llama").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    kinds = [type(module) for module in network.modules()]
    view = packed(network)
    generate(network, PROMPTS, 40)
    assert [type(module) for module in network.modules()] == kinds
    assert network.training
    assert not any(isinstance(module, Linear) for module in view.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert view.table is network.table
    assert packed(view) is view


@there
def test_many_rows_are_multiplied_as_usual():
    network = network_of("gpt2")
    view = packed(network)
    tokens = torch.randint(0, 97, (1, MOST_ROWS + 1))
    with torch.inference_mode():
        assert torch.equal(view(tokens).last, network(tokens).last)


def test_what_cannot_be_packed_stays_as_it_is(monkeypatch):
    exact = network_of("gpt2").double()
    assert packed(exact) is exact
    network = network_of("gpt2")
    monkeypatch.setattr(packing, "OPERATIONS", ("_no_such_operation",))
    assert packed(network) is network
