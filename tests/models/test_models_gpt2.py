"""GPT-2 against transformers' GPT-2, every parameter redrawn; and what a causal model must keep."""

import pytest
import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from hornbook.batches import masks
from hornbook.models.build import build_network
from hornbook.models.families import spec_for
from hornbook.models.families.gpt2 import HUGGING_FACE
from hornbook.models.parts.context import Context
from hornbook.models.paths import put

SHAPE = {
    "vocab_size": 101,
    "max_length": 32,
    "d_model": 40,
    "n_layers": 3,
    "n_heads": 4,
    "d_ff": 72,
}


def redraw(module):
    """Gains 1 + N(0, .3), all else N(0, .3): nothing is constant, so nothing can hide."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            gain = ("ln_" in name or "norm" in name) and name.endswith("weight")
            parameter.normal_(float(gain), 0.3)
            assert parameter.std() > 0.1


def oracle(dtype):
    config = GPT2Config(
        vocab_size=101, n_positions=32, n_embd=40, n_layer=3, n_head=4, n_inner=72,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).to(dtype).eval()
    redraw(model)
    return model


def names():
    """(our name, the oracle's, transposed) of every parameter."""
    for key in HUGGING_FACE.keys:
        for layer in range(3) if "{layer}" in key.ours else (0,):
            theirs = HUGGING_FACE.prefix + key.theirs.format(layer=layer)
            yield key.ours.format(layer=layer), theirs, key.form == "transposed"


def pair(dtype):
    theirs = oracle(dtype)
    ours = build_network(spec_for("gpt2", **SHAPE, dropout=0.0)).to(dtype)
    source, target = theirs.state_dict(), dict(ours.named_parameters())
    with torch.no_grad():
        for own, other, transposed in names():
            tensor = source[other].T if transposed else source[other]
            target[own][: len(tensor)] = tensor
    return ours, theirs


def tokens(length=29):
    return torch.randint(0, 101, (2, length), generator=torch.Generator().manual_seed(1))


def error(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("gradient", [True, False], ids=["block attention", "sdpa"])
def test_hidden_states_and_logits_equal_transformers(dtype, tolerance, gradient):
    ours, theirs = pair(dtype)
    with torch.set_grad_enabled(gradient):
        own = ours(tokens(), hidden_states=True)
        other = theirs(tokens(), output_hidden_states=True)
    assert len(own.states) == len(other.hidden_states) == 4
    for state, expected in zip(own.states, other.hidden_states, strict=True):
        assert error(state, expected) < tolerance
    assert torch.equal(own.states[-1], own.last)
    assert error(ours.logits(own.last), other.logits) < tolerance


def test_gradients_equal_transformers():
    ours, theirs = pair(torch.float32)
    targets = tokens().roll(-1, 1).flatten()
    F.cross_entropy(ours.logits(ours(tokens()).last).flatten(0, 1), targets).backward()
    F.cross_entropy(theirs(tokens()).logits.flatten(0, 1), targets).backward()
    own, other = dict(ours.named_parameters()), dict(theirs.named_parameters())
    for mine, yours, transposed in names():
        expected = other[yours].grad.T if transposed else other[yours].grad
        assert error(own[mine].grad[: len(expected)], expected) < 1e-4, mine


def test_hidden_states_are_returned_only_when_asked_for():
    ours, _ = pair(torch.float32)
    assert ours(tokens()).states == ()


@pytest.mark.parametrize("gradient", [True, False])
def test_a_token_changes_its_own_and_later_outputs_only(gradient):
    ours, _ = pair(torch.float64)
    with torch.set_grad_enabled(gradient):
        before = ours(tokens()).last
        changed = tokens()
        changed[:, 11] = (changed[:, 11] + 1) % 101
        after = ours(changed).last
    assert torch.equal(before[:, :11], after[:, :11])
    assert (before[:, 11:] != after[:, 11:]).any(-1).all()


@pytest.mark.parametrize("chunks", [[29], [1] * 29, [1, 2, 26], [20, 9]])
def test_a_cache_changes_nothing(chunks):
    ours, _ = pair(torch.float64)
    with torch.no_grad():
        whole = ours(tokens()).last
        cache = ours.new_cache(2, 29)
        parts = [ours(part, cache=cache).last for part in tokens().split(chunks, dim=1)]
    assert cache.length == 29
    assert error(torch.cat(parts, 1), whole) < 1e-12


@pytest.mark.parametrize("gradient", [True, False])
def test_a_row_does_not_depend_on_its_batch(gradient):
    ours, _ = pair(torch.float64)
    with torch.set_grad_enabled(gradient):
        together = ours(tokens()).last
        alone = torch.cat([ours(row[None]).last for row in tokens()])
    assert error(together, alone) < 1e-12


@pytest.mark.parametrize("gradient", [True, False], ids=["block attention", "sdpa"])
def test_packed_documents_equal_separate_runs(gradient):
    ours, _ = pair(torch.float64)
    lengths = ([9, 13, 7], [20, 1, 8])
    documents = torch.tensor(
        [[n for n, size in enumerate(row) for _ in range(size)] for row in lengths]
    )
    positions = torch.tensor([[p for size in row for p in range(size)] for row in lengths])
    mask = masks.causal() & masks.same_document(documents)
    with torch.set_grad_enabled(gradient):
        packed = ours(tokens(), mask=mask, positions=positions).last
        for row, sizes in enumerate(lengths):
            parts = [ours(part[None]).last[0] for part in tokens()[row].split(sizes)]
            assert error(packed[row], torch.cat(parts)) < 1e-12


def test_the_head_is_the_token_table():
    ours, _ = pair(torch.float64)
    before = ours.logits(torch.ones(1, 40, dtype=torch.float64))
    with torch.no_grad():
        ours.embedding.tokens.weight[7] += 1.0
    after = ours.logits(torch.ones(1, 40, dtype=torch.float64))
    assert (after - before)[0, 7].item() == pytest.approx(40.0)
    assert ours.output.weight is ours.embedding.tokens.weight
    assert "head" not in "".join(dict(ours.named_parameters()))


def test_a_free_head_width_equals_attention_written_out():
    """d_model != n_heads d_head cannot be said to transformers, so the formula is the oracle."""
    spec = spec_for(
        "gpt2", vocab_size=50, max_length=16, d_model=20, n_layers=1, n_heads=3, d_head=8
    )
    attention = build_network(spec).double().eval().blocks[0].attention
    redraw(attention)
    x = torch.randn(2, 9, 20, dtype=torch.float64)
    q, k, v = F.linear(x, attention.qkv.weight, attention.qkv.bias).split(24, dim=-1)
    mixed = torch.zeros(2, 9, 24, dtype=torch.float64)
    for head in range(3):
        own = slice(8 * head, 8 * head + 8)
        for i in range(9):
            scores = (q[:, None, i, own] * k[:, : i + 1, own]).sum(-1) / 8**0.5
            mixed[:, i, own] = (scores.softmax(-1)[..., None] * v[:, : i + 1, own]).sum(1)
    expected = F.linear(mixed, attention.out.weight, attention.out.bias)
    for gradient in (True, False):
        with torch.set_grad_enabled(gradient):
            context = Context(masks.causal(), 0, torch.arange(9)[None], new=9)
            assert context.visibility().in_blocks == gradient
            assert error(attention(x, context, None), expected) < 1e-12


def test_dropout_is_seeded_and_off_in_evaluation():
    network = build_network(spec_for("gpt2", **{**SHAPE, "d_ff": 0}, dropout=0.3))
    plain = build_network(spec_for("gpt2", **{**SHAPE, "d_ff": 0}, dropout=0.0))

    def run(seed):
        torch.manual_seed(seed)
        return network(tokens()).last

    assert torch.equal(run(1), run(1))
    assert not torch.allclose(run(1), run(2))
    network.eval()
    assert torch.equal(run(1), plain.eval()(tokens()).last)


@pytest.mark.parametrize(
    "path",
    [
        "embedding.dropout",
        "stack.blocks.*.dropout",
        "stack.blocks.*.attention.dropout",
        "stack.blocks.*.feedforward.dropout",
        "stack.dropout",
    ],
)
def test_each_dropout_site_acts(path):
    spec = put(spec_for("gpt2", **SHAPE, dropout=0.0), path.split("."), 0.5)
    network = build_network(spec)
    redraw(network)
    assert not torch.allclose(network(tokens()).last, network.eval()(tokens()).last)
