"""Causal and instruction objectives: what is a target, who sees whom, and the sums."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hornbook.batches.batch import IGNORED, assemble
from hornbook.batches.plans import pack
from hornbook.batches.rows import Rows
from hornbook.models.build import build_network
from hornbook.models.families import spec_for
from hornbook.objectives import OBJECTIVES
from hornbook.objectives.causal import Causal
from hornbook.objectives.instruction import Instruction
from hornbook.objectives.likelihood import likelihood
from hornbook.runs.stage import resolve

torch.set_num_threads(1)

VOCABULARY, LENGTH = 40, 12
NUMBERS = np.arange(3)


def make_network():
    spec = spec_for(
        "gpt2",
        n_layers=1,
        d_model=16,
        n_heads=2,
        vocab_size=VOCABULARY,
        max_length=LENGTH,
        dropout=0.0,
    )
    network = build_network(spec, seed=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
        network.embedding.tokens.weight[VOCABULARY:] = 0
    return network


def make_rows(seed=0):
    """Three rows of documents; the last row ends in padding."""
    draw = np.random.default_rng(seed)
    tokens = draw.integers(0, VOCABULARY, (3, LENGTH + 1))
    documents = np.sort(draw.integers(0, 3, tokens.shape)).astype(np.int32)
    documents[2, 9:] = -1
    tokens[2, 9:] = 0
    learn = draw.random(tokens.shape) < 0.4
    return Rows(tokens, documents, learn & (documents >= 0))


def make_batch(objective, rows):
    byte_lengths = np.arange(VOCABULARY) % 5 + 1
    arrays = objective.prepare(rows, NUMBERS)
    return assemble(arrays, objective.name, byte_lengths, objective.mask)


def by_hand(network, batch):
    """-log p of every target from whole logits, in fp32."""
    mask = batch.mask
    hidden = network(batch.tokens, mask=mask, positions=batch.positions).last
    logits = network.logits(hidden).flatten(0, 1)
    return F.cross_entropy(logits, batch.targets.flatten(), ignore_index=IGNORED, reduction="sum")


def test_the_table_names_them():
    assert resolve(OBJECTIVES["causal"]) is Causal
    assert resolve(OBJECTIVES["instruction"]) is Instruction
    assert {name: resolve(path).name for name, path in OBJECTIVES.items()} == {
        name: name for name in OBJECTIVES
    }


def test_causal_targets_are_the_next_tokens_once_shifted_padding_left_out():
    rows = make_rows()
    batch = make_batch(Causal(), rows)
    assert np.array_equal(batch.tokens.numpy(), rows.tokens[:, :-1])
    inside = rows.documents[:, 1:] >= 0
    assert np.array_equal(batch.targets.numpy()[inside], rows.tokens[:, 1:][inside])
    assert (batch.targets.numpy()[~inside] == IGNORED).all()
    assert batch.target_count == inside.sum() == 2 * LENGTH + 8
    assert batch.mask.is_causal
    assert batch.documents is batch.positions is None


def test_instruction_targets_are_the_learnt_tokens():
    rows = make_rows()
    batch = make_batch(Instruction(), rows)
    learnt = rows.learn[:, 1:]
    assert np.array_equal(batch.targets.numpy() != IGNORED, learnt)
    assert np.array_equal(batch.targets.numpy()[learnt], rows.tokens[:, 1:][learnt])
    assert np.array_equal(batch.documents.numpy(), rows.documents[:, :-1])
    assert np.array_equal(batch.positions.numpy(), rows.positions[:, :-1])
    assert (batch.positions[:, 0] == 0).all()
    assert torch.equal(batch.mask.documents, batch.documents)


@pytest.mark.parametrize("objective", [Causal(), Causal(same_document=True), Instruction()])
def test_loss_is_the_sum_over_targets_with_gradients(objective):
    network, batch = make_network(), make_batch(objective, make_rows())
    loss = objective.loss(network, batch)
    expected = by_hand(network, batch)
    assert loss.targets == batch.target_count
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert not loss.metrics["nll"].requires_grad
    ours = torch.autograd.grad(loss.total, list(network.parameters()))
    theirs = torch.autograd.grad(expected, list(network.parameters()))
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max()


def test_z_loss_is_in_the_total_and_not_in_the_likelihood():
    network, batch = make_network(), make_batch(Causal(), make_rows())
    plain = Causal().loss(network, batch)
    with_z = Causal(z_loss=0.1).loss(network, batch)
    assert with_z.metrics["nll"].item() == plain.total.item()
    logits = network.logits(network(batch.tokens).last).flatten(0, 1)[batch.target_index]
    penalty = 0.1 * logits.logsumexp(1).square().sum()
    assert (with_z.total - plain.total).item() == pytest.approx(penalty.item(), rel=1e-4)


def test_no_document_learns_from_its_neighbour():
    """Packed conversations give the sum of the losses of each alone."""
    draw = np.random.default_rng(1)
    items = []
    for size in (5, 4, 3, 6):
        learn = np.arange(size) >= 2
        items.append((draw.integers(0, VOCABULARY, size), learn))
    network, objective = make_network(), Instruction()

    def total(chosen):
        plan = pack(chosen, LENGTH)
        rows = plan.rows(np.arange(len(plan)))
        arrays = objective.prepare(rows, np.arange(len(plan)))
        batch = assemble(arrays, "instruction", np.ones(VOCABULARY, int), objective.mask)
        return objective.loss(network, batch).total.item(), len(plan)

    together, rows = total(items)
    assert rows < len(items)
    assert together == pytest.approx(sum(total([item])[0] for item in items), rel=1e-5)


def test_bits_per_byte_are_summed_over_batches_and_divided_once():
    network, objective = make_network(), Causal()
    network.train()
    batches = [make_batch(objective, make_rows(seed)) for seed in (0, 1)]
    batches.append(batches[0].select(slice(0, 1)))
    found = likelihood(network, objective, batches)
    nll = sum(by_hand(network, batch).item() for batch in batches)
    assert found.targets == sum(batch.target_count for batch in batches)
    assert found.bytes == sum(batch.byte_count for batch in batches)
    assert found.nll == pytest.approx(nll, rel=1e-6)
    assert found.bits_per_byte == pytest.approx(nll / math.log(2) / found.bytes, rel=1e-6)
    assert found.loss == pytest.approx(nll / found.targets, rel=1e-6)
    assert network.training


def test_likelihood_of_nothing_is_not_a_number():
    found = likelihood(make_network(), Causal(), [])
    assert math.isnan(found.loss)
    assert math.isnan(found.bits_per_byte)
