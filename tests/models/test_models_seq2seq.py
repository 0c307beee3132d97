"""Seq2seq, RNNsearch and Luong's attention against slow models written from the papers."""

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from oracles import error
from seq2seq_cases import (
    ALIGNED,
    CASES,
    DROPPED,
    RATE,
    SOURCES,
    TARGETS,
    VOCABULARY,
    given,
    redrawn,
    weights_of,
)

from hornbook.models.build import trim
from hornbook.models.count import flops_per_token, parameters
from hornbook.models.families import spec_for
from hornbook.models.parts import aligned, embeddings, recurrent

cases = pytest.mark.parametrize("name", CASES)


def written(case, weights, *at):
    """What the slow model makes of every row."""
    rows = zip(SOURCES, TARGETS.tolist(), strict=True)
    return [case.reference(weights, source, target, *at) for source, target in rows]


@cache
def expected(name):
    """The network and its slow model's rows; made once."""
    network = redrawn(CASES[name].spec)
    return network, written(CASES[name], weights_of(network))


def at_places(tensor, vectors, row):
    """Our vectors of one row where there are tokens, and the slow model's."""
    return tensor[row, : len(vectors)], torch.stack(vectors)


def assert_states(hidden, rows):
    for row, slow in enumerate(rows):
        both = ((hidden.source_states, slow.source_states), (hidden.states, slow.states))
        for stack, (own, other) in zip(("encoder", "decoder"), both, strict=True):
            assert len(own) == len(other)
            for layer, (tensor, vectors) in enumerate(zip(own, other, strict=True)):
                where = f"row {row}: the {stack}'s state after layer {layer} differs"
                assert error(*at_places(tensor, vectors, row)) < 1e-10, where


@pytest.mark.column("hidden states")
@cases
def test_states_of_every_layer_equal_the_slow_model(name):
    network, rows = expected(name)
    assert_states(network(given(), TARGETS, hidden_states=True), rows)


@pytest.mark.column("logits")
@cases
def test_logits_equal_the_slow_model(name):
    network, rows = expected(name)
    logits = network.logits(network(given(), TARGETS).last)
    for row, slow in enumerate(rows):
        assert error(*at_places(logits, slow.logits, row)) < 1e-10, f"row {row}"


@pytest.mark.column("hidden states")
@pytest.mark.parametrize("name", ALIGNED)
def test_shares_of_the_source_equal_the_slow_model(name):
    network, rows = expected(name)
    (found,) = network(given(), TARGETS).alignments
    for row, slow in enumerate(rows):
        shares = torch.stack(slow.shares)
        assert error(found[row, :, : len(SOURCES[row])], shares) < 1e-10, f"row {row}"
        assert shares.std() > 0.003, "shares are too even to tell"


@pytest.mark.column("oracle")
@cases
def test_float32_is_within_its_rounding(name):
    network, rows = redrawn(CASES[name].spec).float(), expected(name)[1]
    logits = network.logits(network(given(), TARGETS).last).double()
    for row, slow in enumerate(rows):
        assert error(*at_places(logits, slow.logits, row)) < 1e-5


def loss_of(logits):
    generator = torch.Generator().manual_seed(3)
    targets = torch.randint(0, VOCABULARY, TARGETS.shape, generator=generator)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


@pytest.mark.column("gradients")
@cases
def test_gradients_of_every_parameter_equal_the_slow_model(name):
    network = redrawn(CASES[name].spec)
    weights = weights_of(network)
    slow = [torch.stack(row.logits) for row in written(CASES[name], weights)]
    loss_of(torch.stack(slow)).backward()
    loss_of(network.logits(network(given(), TARGETS).last)).backward()
    own = trim(network, {name: p.grad for name, p in network.named_parameters()})
    assert set(own) == set(weights)
    largest = max(weight.grad.abs().max().item() for weight in weights.values())
    for parameter, weight in weights.items():
        assert weight.grad.abs().max() > 1e-5 * largest, f"{parameter} does nothing"
        assert (own[parameter] - weight.grad).abs().max() < 1e-9 * largest, parameter
        assert error(own[parameter], weight.grad) < 1e-7, parameter


@pytest.mark.column("hidden states")
@pytest.mark.parametrize("family", DROPPED)
def test_dropout_stands_where_it_should(family, monkeypatch):
    """Thrice as large instead of dropped: what enters layers, and what goes to the output layer."""
    case = DROPPED[family]
    network = redrawn(case.spec)
    plain = network(given(), TARGETS, hidden_states=True)
    assert_states(plain, written(case, weights_of(network)))
    for module in (aligned, embeddings, recurrent):
        monkeypatch.setattr(module, "drop", lambda x, rate, training: 3 * x if rate else x)
    monkeypatch.setattr(
        "hornbook.models.stacks.drop", lambda x, rate, training: 5 * x if rate else x
    )
    marked = network(given(), TARGETS, hidden_states=True)
    assert_states(marked, written(case, weights_of(network), lambda x: 3 * x, lambda x: 5 * x))


@pytest.mark.column("hidden states")
@pytest.mark.parametrize("family", DROPPED)
def test_dropout_is_drawn_in_training_alone(family):
    network = redrawn(DROPPED[family].spec)
    still = [network(given(), TARGETS).last for _ in range(2)]
    assert torch.equal(*still)
    network.train()
    torch.manual_seed(1)
    moved = [network(given(), TARGETS).last for _ in range(10)]
    share = torch.stack([(last == 0).double().mean() for last in moved]).mean().item()
    assert share == pytest.approx(RATE, abs=0.08)


@pytest.mark.column("oracle")
@pytest.mark.parametrize("name", ["seq2seq-reversed", "seq2seq-forward", "seq2seq-gru"])
def test_two_stacks_of_torch_say_the_same(name):
    """A second oracle: torch's own layers of three, the second begun with the first's states."""
    case = CASES[name]
    network = redrawn(case.spec)
    block = case.spec.stack.blocks[0]
    kinds = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    stacks = {}
    for stack in ("encoder", "decoder"):
        theirs = kinds[block.kind](block.d_in, block.d_hidden, 3, batch_first=True).double()
        for parameter, tensor in theirs.named_parameters():
            kind, layer = parameter.rsplit("_l", 1)
            cell = getattr(network, stack).blocks[int(layer)].cell
            tensor.data.copy_(getattr(cell, f"{kind}_l0"))
        stacks[stack] = theirs
    table = network.table
    own = network(given(), TARGETS).last
    for row, source in enumerate(SOURCES):
        ids = source[::-1] if case.spec.reading.reverse else source
        _, state = stacks["encoder"](table[ids][None])
        expected, _ = stacks["decoder"](table[TARGETS[row]][None], state)
        assert error(own[row], expected[0]) < 1e-12, f"row {row}"


@cases
def test_counts_are_those_of_the_network(name):
    spec = CASES[name].spec
    parts = parameters(spec)
    built = trim(redrawn(spec), dict(redrawn(spec).named_parameters()))
    assert parts.pop("total") == sum(parts.values()) == sum(p.numel() for p in built.values())


V, D, H, A, R = 23, 5, 7, 4, 3
LSTM, BIASES = 4 * H, 2 * 4 * H
COUNTED = {
    # token table, output layer, and of both stacks a layer of D and two of H inputs
    "seq2seq-reversed": V * D + V * H + 2 * (LSTM * (D + H + 2 * 2 * H) + 3 * BIASES),
    "bahdanau": V * D + V * R
    + 2 * (3 * H * (D + H) + 6 * H)  # a gru from each end
    + H * H + H  # s_0
    + A * (H + 2 * H + 1)  # v, W, U
    + 3 * H * (D + 2 * H + H) + 6 * H  # a gru of token and mean
    + 2 * R * (H + D + 2 * H) + 2 * R,  # the readout
    "luong-general": V * D + V * H
    + LSTM * (D + H + 2 * H) + 2 * BIASES  # the encoder
    + LSTM * (D + H + H + 2 * H) + 2 * BIASES  # fed with h~
    + H * H + 2 * H * H,  # the score, and h~
    "luong-local": V * D + V * H
    + LSTM * (D + H + 2 * H) + 2 * BIASES
    + LSTM * (D + H + H + 2 * H) + 2 * BIASES
    + H * H + 2 * H * H + H * H + H,  # and the place
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_counts_are_those_of_the_formula(name):
    assert parameters(CASES[name].spec)["total"] == COUNTED[name]


def test_flops_are_near_those_of_a_hand_calculation():
    """Of one token of the target and one of the source, both of 30; wide, so that maps count."""
    d, length, vocabulary = 64, 30, 500
    spec = spec_for("luong", d_model=d, n_layers=2, vocab_size=vocabulary, input_feeding=False)
    cells = 2 * 2 * 4 * d * 2 * d
    once = cells + d * d + 2 * d * d + vocabulary * d
    scores_and_sums = 2 * length * d
    assert flops_per_token(spec, length) == 6 * (once + scores_and_sums)
    spec = spec_for("bahdanau", d_model=d, d_hidden=2 * d, vocab_size=vocabulary)
    h, source = 2 * d, 4 * d
    gru = 3 * h * (d + h)
    maps = h * h + h * (h + source) + 3 * h * (d + source + h) + 2 * h // 2 * (h + d + source)
    once = 2 * gru + maps + vocabulary * h // 2
    scores_and_sums = length * (h + source)
    exact = 6 * (once + scores_and_sums)
    assert exact <= flops_per_token(spec, length) < 1.1 * exact
