"""One update: masters, accumulation, clipping, rejection."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_training import LENGTH, VOCABULARY, make_batches, make_network
from torch import nn

from hornbook.batches.batch import IGNORED, assemble
from hornbook.errors import TrainingError
from hornbook.objectives.causal import Causal
from hornbook.optimizers.adamw import AdamW
from hornbook.training.guard import REJECTIONS_IN_A_ROW, Guard
from hornbook.training.precision import Masters, low_parameters
from hornbook.training.step import micro_batches, seed_step, update

PRECISIONS = [torch.float32, torch.bfloat16]


def make_state(dtype=torch.float32, dropout=0.0, **dimensions):
    network = make_network(dropout, **dimensions)
    masters = Masters(network, dtype, weight_decay=0.1)
    return network, masters, AdamW(masters.groups, beta2=0.95)


def advance(state, batch, step=0, micro=0, rate=1e-2, clip=1.0, objective=None, guard=None):
    network, masters, optimizer = state
    seed_step(3, step)
    return update(
        network,
        objective or Causal(),
        batch,
        masters,
        optimizer,
        micro_batch_size=micro,
        learning_rate=rate,
        clip_norm=clip,
        examine=(guard or Guard()).examine,
    )


def uneven_batch(rows=8):
    """Rows with very unequal numbers of targets, one of them with none."""
    draw = np.random.default_rng(0)
    tokens = draw.integers(0, VOCABULARY, (rows, LENGTH + 1))
    targets = tokens[:, 1:].copy()
    for row in range(rows):
        targets[row, 2 * row + (row == rows - 1) * 2 :] = IGNORED
    targets[3] = IGNORED
    arrays = {"tokens": tokens[:, :-1], "targets": targets}
    return assemble(arrays, "causal", np.full(VOCABULARY, 2))


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_one_batch_is_overfitted(dtype):
    state = make_state(dtype, d_model=64)
    batch = make_batches(Causal()).update(0, 4)
    losses = [advance(state, batch, step, rate=1e-2).loss for step in range(120)]
    assert losses[0] == pytest.approx(np.log(VOCABULARY), abs=0.15)
    assert losses[-1] < 0.05


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("micro", [4, 2, 1, 3])
def test_accumulation_changes_rounding_only(dtype, micro):
    """1x8, 2x4, 4x2, 8x1 and 3+3+2 rows, with unequal targets: the same gradient and weights.

    Tolerance: a millionth of the gradient's length in fp32, a hundredth in bf16.
    """
    batch = uneven_batch()
    assert len(micro_batches(batch, micro)) == -(-8 // micro)
    gradients, results = [], []
    for rows in (0, micro):
        network, masters, optimizer = make_state(dtype)
        kept = []
        step = optimizer.step
        optimizer.step = lambda rate, m=masters, k=kept, s=step: (
            k.append(m.gradients.clone()),
            s(rate),
        )
        results.append(advance((network, masters, optimizer), batch, micro=rows, clip=0.0))
        gradients += kept
    tolerance = 1e-6 if dtype == torch.float32 else 1e-2
    assert (gradients[0] - gradients[1]).norm() <= tolerance * gradients[0].norm()
    assert results[0].loss == pytest.approx(results[1].loss, rel=tolerance)
    assert results[0].targets == results[1].targets == batch.target_count


def test_a_mean_of_means_would_differ():
    """The trap that the test above would catch: unequal parts, each divided by its own count."""
    network, batch = make_network(), uneven_batch()
    means = [
        Causal().loss(network, part).total / part.target_count
        for part in micro_batches(batch, 2)
        if part.target_count
    ]
    whole = Causal().loss(network, batch).total / batch.target_count
    gradients = []
    for value in (sum(means) / len(means), whole):
        grads = torch.autograd.grad(value, list(network.parameters()))
        gradients.append(torch.cat([g.flatten() for g in grads]))
    assert (gradients[0] - gradients[1]).norm() > 0.05 * gradients[1].norm()


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_padded_vocabulary_stays_exactly_zero(dtype):
    network, masters, _ = state = make_state(dtype)
    batch = make_batches(Causal()).update(0, 4)
    for step in range(5):
        advance(state, batch, step)
    table = masters.weights()["embedding.tokens.weight"]
    assert table.shape[0] == 64
    assert table[VOCABULARY:].abs().max() == 0
    assert table[:VOCABULARY].abs().min(1).values.max() > 0
    assert network.embedding.tokens.weight[VOCABULARY:].abs().max() == 0


class NaN(Causal):
    """A loss whose value or whose gradient is not a number."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def loss(self, network, batch):
        found = super().loss(network, batch)
        if self.where == "loss":
            return dataclasses.replace(found, metrics={"nll": found.metrics["nll"] * float("nan")})
        weight = network.final_norm.weight
        return dataclasses.replace(found, total=found.total + (weight * float("inf")).sum() * 0)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_an_update_that_is_not_finite_touches_nothing(dtype, where):
    network, masters, optimizer = state = make_state(dtype)
    batch = make_batches(Causal()).update(0, 4)
    advance(state, batch)
    before = masters.values.clone(), {n: t.clone() for n, t in optimizer.state().items()}
    weights = [p.detach().clone() for p in network.parameters()]
    result = advance(state, batch, 1, objective=NaN(where))
    assert where in result.rejected
    assert torch.equal(masters.values, before[0])
    assert all(torch.equal(tensor, before[1][n]) for n, tensor in optimizer.state().items())
    assert all(torch.equal(p, w) for p, w in zip(network.parameters(), weights, strict=True))
    assert masters.gradients.abs().max() == 0
    assert all(p.grad.abs().max() == 0 for p in network.parameters())
    assert advance(state, batch, 2).rejected is None
    assert not torch.equal(masters.values, before[0])


def test_the_guard_gives_up_after_ten_in_a_row():
    guard = Guard()
    for _ in range(REJECTIONS_IN_A_ROW - 1):
        assert guard.examine(float("nan"), 1.0) is not None
    assert guard.examine(1.0, 1.0) is None
    for _ in range(REJECTIONS_IN_A_ROW - 1):
        assert "gradient" in guard.examine(1.0, float("inf"))
    with pytest.raises(TrainingError, match=r"10 updates in a row .* lower the learning rate"):
        guard.examine(1.0, float("inf"))


def test_a_batch_without_targets_is_passed_over():
    state = make_state()
    before = state[1].values.clone()
    batch = uneven_batch().select(slice(3, 4))
    assert advance(state, batch).rejected == "the batch has no target"
    assert torch.equal(state[1].values, before)


def test_clipping_shortens_to_the_limit_and_reports_the_length_before():
    _, masters, _ = make_state()
    masters.gradients.fill_(0.5)
    length = 0.5 * masters.gradients.numel() ** 0.5
    assert masters.clip(0.0) == pytest.approx(length)
    assert masters.gradients[0] == 0.5
    assert masters.clip(2 * length) == pytest.approx(length)
    assert masters.gradients[0] == 0.5
    assert masters.clip(1.0) == pytest.approx(length)
    assert torch.linalg.vector_norm(masters.gradients.double()).item() == pytest.approx(1.0)


def test_the_gradients_length_is_exact_for_many_parameters():
    """One fp32 sum over these 4 million numbers is 1e-4 off; the reference is in fp64."""
    masters = Masters(nn.Linear(2000, 2000, bias=False), torch.float32, 0.0)
    masters.gradients.normal_(generator=torch.Generator().manual_seed(0)).mul_(1e-4)
    expected = torch.linalg.vector_norm(masters.gradients.double()).item()
    assert masters.clip(0.0) == pytest.approx(expected, rel=1e-6)
    naive = torch.linalg.vector_norm(masters.gradients).item()
    assert naive != pytest.approx(expected, rel=1e-6)


def test_dropout_depends_on_seed_and_step_alone():
    batch = make_batches(Causal()).update(0, 4)
    one, two = make_state(dropout=0.2), make_state(dropout=0.2)
    torch.rand(7)
    assert advance(one, batch, 4).loss == advance(two, batch, 4).loss
    torch.rand(13)
    assert advance(one, batch, 9).loss == advance(two, batch, 9).loss
    three, four = make_state(dropout=0.2), make_state(dropout=0.2)
    assert advance(three, batch, 4).loss != advance(four, batch, 5).loss


def test_bf16_weights_are_rounded_masters_of_the_right_modules():
    network = make_network()
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    masters = Masters(network, torch.bfloat16, 0.1)
    low = low_parameters(network)
    assert {n.rpartition(".")[2] for n in low} == {"weight", "bias"}
    assert "embedding.tokens.weight" in low
    assert "blocks.0.attention.qkv.bias" in low
    for name, parameter in network.named_parameters():
        expected = torch.bfloat16 if name in low else torch.float32
        assert parameter.dtype == parameter.grad.dtype == expected, name
        assert torch.equal(parameter, before[name].to(expected)), name
        assert torch.equal(masters.weights()[name], before[name]), name
        assert parameter.data_ptr() % 64 == 0, name


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_masters_by_name_restored_and_handed_back(dtype):
    network, masters, _ = state = make_state(dtype)
    advance(state, make_batches(Causal()).update(0, 4))
    saved = {name: tensor.clone() for name, tensor in masters.weights().items()}
    assert set(saved) == {name for name, _ in network.named_parameters()}
    other_network = make_network(seed=9)
    other = Masters(other_network, dtype, 0.1)
    other.load_weights(saved)
    tokens = torch.arange(LENGTH)[None]
    with torch.no_grad():
        assert torch.equal(network(tokens).last, other_network(tokens).last)
    other.hand_back()
    for name, parameter in other_network.named_parameters():
        assert parameter.dtype == torch.float32
        assert parameter.grad is None
        assert torch.equal(parameter, saved[name])


def test_weights_of_another_model_are_refused():
    masters = Masters(make_network(), torch.float32, 0.1)
    weights = dict(masters.weights())
    removed = weights.pop("final_norm.bias")
    with pytest.raises(TrainingError, match=r"final_norm\.bias"):
        masters.load_weights(weights)
    with pytest.raises(TrainingError, match=r"final_norm\.bias"):
        masters.load_weights(weights | {"final_norm.bias": removed[:-1]})


def test_groups_partition_the_parameters_with_tied_ones_once():
    network = make_network()
    masters = Masters(network, torch.bfloat16, 0.1)
    names = [name for group in masters.groups for name in group.places]
    assert sorted(names) == sorted(name for name, _ in network.named_parameters())
    decayed = {n for group in masters.groups if group.weight_decay for n in group.places}
    assert all(("norm" in n or n.endswith("bias")) is (n not in decayed) for n in names)
    taken = torch.zeros(masters.values.numel())
    for group in masters.groups:
        offset = (group.values.data_ptr() - masters.values.data_ptr()) // 4
        for place in group.places.values():
            taken[offset + place.start : offset + place.start + place.size] += 1
    assert taken.max() == 1


def test_frozen_parameters_are_left_out():
    network = make_network()
    network.embedding.requires_grad_(False)
    masters = Masters(network, torch.bfloat16, 0.1)
    assert not any(name.startswith("embedding") for name in masters.weights())
    assert network.embedding.tokens.weight.dtype == torch.float32
    with pytest.raises(TrainingError, match="no parameter to train"):
        Masters(network.requires_grad_(False), torch.float32, 0.1)


def test_plain_modules_train_too():
    """Masters ask nothing of a module but parameters."""
    network = nn.Linear(3, 2)
    masters = Masters(network, torch.bfloat16, 0.0)
    assert network.weight.dtype == torch.float32
    assert {tuple(g.places) for g in masters.groups} == {("weight",), ("bias",)}
