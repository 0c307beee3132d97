"""Recurrent encoder-decoders learn strings and the same backwards, in bfloat16."""

import numpy as np
import pytest
import torch
from seq2seq_cases import CASES, TARGETS, given

from hornbook.batches.pairs import PairBatches, pair_table
from hornbook.generation.generate import generate
from hornbook.models.build import build_network
from hornbook.models.families import spec_for
from hornbook.objectives.pairs import Pairs
from hornbook.optimizers.adamw import AdamW
from hornbook.training.precision import Masters
from hornbook.training.step import update

LETTERS, START, END = range(1, 9), 0, 9
FAMILIES = {
    "seq2seq": {"d_model": 32, "n_layers": 1},
    "bahdanau": {"d_model": 24, "d_hidden": 24},
    "luong": {"d_model": 32, "n_layers": 1, "dropout": 0.0},
}


def strings(count=32):
    """Different strings of two to four letters."""
    draw = np.random.default_rng(0)
    found = {tuple(draw.choice(LETTERS, draw.integers(2, 5)).tolist()) for _ in range(2 * count)}
    return [list(row) for row in sorted(found)[:: len(found) // count][:count]]


@pytest.mark.column("overfits")
@pytest.mark.parametrize("family", FAMILIES)
def test_strings_are_learnt_backwards_by_heart(family):
    spec = spec_for(family, vocab_size=10, max_length=8, **FAMILIES[family])
    network = build_network(spec, seed=1)
    objective, rows = Pairs(START), strings()
    table = pair_table([(row, row[::-1]) for row in rows], END, 10, 8)
    batches = PairBatches(table, objective.prepare, np.ones(10, np.int64), mask=objective.mask)
    masters = Masters(network, torch.bfloat16, 0.0)
    optimizer = AdamW(masters.groups, beta1=0.9, beta2=0.99, epsilon=1e-8)
    for step in range(80):
        update(
            network, objective, batches.update(step * len(rows), len(rows)), masters, optimizer,
            micro_batch_size=0, learning_rate=0.03 * (1 - step / 80), clip_norm=1.0,
            examine=lambda loss, norm: None,
        )  # fmt: skip
    masters.hand_back()
    found = generate(network, rows, 6, stop_ids=frozenset({END}))
    assert [row.ids for row in found] == [[*row[::-1], END] for row in rows]


def learnt(name, dtype):
    """The loss, and the gradient of the masters, of one batch with padding."""
    network = build_network(CASES[name].spec, seed=2)
    masters = Masters(network, dtype, 0.0)
    hidden = network(given(), TARGETS)
    logits = network.logits(hidden.last).float()
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), TARGETS.flatten())
    loss.backward()
    masters.collect()
    assert hidden.last.dtype == torch.float32
    assert all(shares.dtype == torch.float32 for shares in hidden.alignments)
    return loss.item(), masters.gradients.clone()


@pytest.mark.parametrize("name", CASES)
def test_bfloat16_masters_stay_near_float32(name):
    (low, own), (exact, other) = learnt(name, torch.bfloat16), learnt(name, torch.float32)
    assert low == pytest.approx(exact, rel=0.01)
    assert torch.cosine_similarity(own, other, dim=0) > 0.99
    assert not torch.equal(own, other), "nothing was computed low"
