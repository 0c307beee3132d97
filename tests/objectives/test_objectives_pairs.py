"""The loss of pairs is that of transformers, which shifts the labels and masks padding itself."""

import numpy as np
import oracles
import pytest
import torch

from hornbook.batches import batch as batch_module
from hornbook.batches.masks import full
from hornbook.batches.pairs import PairBatches, pair_table
from hornbook.objectives.pairs import Pairs

END = 7
FAMILIES = ["transformer", "bart", "t5", "t5_1_1"]


def drawn():
    """Four pairs of every shape: source and target differ in length, and from row to row."""
    draw = np.random.default_rng(3)
    lengths = ((9, 4), (3, 11), (14, 6), (6, 1))
    low, high = END + 1, oracles.VOCABULARY
    return [
        (draw.integers(low, high, s).tolist(), draw.integers(low, high, t).tolist())
        for s, t in lengths
    ]


def batch_of(pairs, objective):
    table = pair_table(pairs, END, oracles.VOCABULARY, 20)
    ones = np.ones(oracles.VOCABULARY, dtype=np.int64)
    source = PairBatches(table, objective.prepare, ones, objective.name, objective.mask)
    return next(source.fixed(np.arange(len(pairs)), len(pairs)))


def padded(rows, value):
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def compare(pair):
    """Hold loss and gradient of a padded batch against theirs."""
    ours, spec, theirs = pair
    theirs.config.decoder_start_token_id = spec.reading.start_id
    pairs = drawn()
    sources, targets = [s for s, _ in pairs], [[*t, END] for _, t in pairs]
    batch = batch_of(pairs, objective := Pairs(spec.reading.start_id))
    loss = objective.loss(ours, batch)
    mean = theirs(
        input_ids=padded(sources, 1),
        attention_mask=padded([[1] * len(row) for row in sources], 0),
        labels=padded(targets, -100),
    ).loss
    assert loss.targets == sum(map(len, targets)), "padding counts as a target"
    found = loss.total / loss.targets
    assert found.item() == pytest.approx(mean.item(), rel=2e-5), "another loss"
    mine = torch.autograd.grad(found, ours.embedding.tokens.weight)[0][: oracles.VOCABULARY]
    table = theirs.get_input_embeddings().weight
    other = torch.autograd.grad(mean, table)[0]
    # The lookup of an id that transformers takes for padding has no gradient there.
    special = {0, 1, 2, spec.reading.start_id}
    kept = [row for row in range(oracles.VOCABULARY) if row not in special]
    assert oracles.error(mine[kept], other[kept]) < 1e-4, "another gradient"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("theirs")


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradient_are_those_of_transformers(family, folder):
    compare(oracles.pair(family, torch.float32, folder))


def unshifted(self, rows, numbers):
    arrays = REAL(self, rows, numbers)
    return arrays | {"tokens": rows.target}


def shifted_twice(self, rows, numbers):
    arrays = REAL(self, rows, numbers)
    tokens = arrays["tokens"]
    return arrays | {"tokens": np.concatenate([tokens[:, :1], tokens[:, :-1]], axis=1)}


def padding_learnt(self, rows, numbers):
    return REAL(self, rows, numbers) | {"targets": rows.target}


def end_not_learnt(self, rows, numbers):
    arrays = REAL(self, rows, numbers)
    return arrays | {"targets": np.where(arrays["targets"] == END, -100, arrays["targets"])}


REAL = Pairs.prepare


@pytest.mark.parametrize("family", ["transformer", "t5"])
@pytest.mark.parametrize(
    ("bug", "caught"),
    [
        (unshifted, "another loss"),
        (shifted_twice, "another loss"),
        (padding_learnt, "padding counts as a target"),
        (end_not_learnt, "padding counts as a target"),
    ],
)
def test_a_planted_bug_of_the_target_is_caught(family, bug, caught, folder, monkeypatch):
    monkeypatch.setattr(Pairs, "prepare", bug)
    with pytest.raises(AssertionError, match=caught):
        compare(oracles.pair(family, torch.float32, folder))


@pytest.mark.parametrize("family", ["transformer", "t5"])
def test_padding_of_the_source_that_is_seen_is_caught(family, folder, monkeypatch):
    monkeypatch.setattr(batch_module, "padding", lambda lengths: full())
    with pytest.raises(AssertionError, match="another loss"):
        compare(oracles.pair(family, torch.float32, folder))


def test_what_stands_in_padding_changes_nothing(folder):
    """Bit for bit: other ids behind the ends of sources and targets."""
    ours, spec, _ = oracles.pair("transformer", torch.float32, folder)
    objective = Pairs(spec.reading.start_id)
    batch = batch_of(drawn(), objective)
    before = objective.loss(ours, batch).total
    batch.source.tokens[batch.source.tokens == 0] = 33
    behind = torch.nn.functional.pad(batch.targets[:, :-1] == -100, (1, 0))
    assert behind.any()
    batch.tokens[behind] = 44
    assert torch.equal(objective.loss(ours, batch).total, before)


def test_the_loss_is_a_sum_over_rows(folder):
    ours, spec, _ = oracles.pair("bart", torch.float32, folder)
    objective, pairs = Pairs(spec.reading.start_id), drawn()
    whole = objective.loss(ours, batch_of(pairs, objective))
    alone = [objective.loss(ours, batch_of([pair], objective)) for pair in pairs]
    assert whole.targets == sum(one.targets for one in alone)
    total = sum(one.total.item() for one in alone)
    assert whole.total.item() == pytest.approx(total, rel=1e-5)
    penalised = Pairs(spec.reading.start_id, z_loss=0.1)
    more = penalised.loss(ours, batch_of(pairs, penalised))
    assert more.total > whole.total
    assert more.metrics["nll"].item() == pytest.approx(whole.total.item(), rel=1e-5)
