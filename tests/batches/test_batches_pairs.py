"""Pairs: what the table holds, where padding stands, and that a batch is a function of numbers."""

import numpy as np
import pytest
import torch

from hornbook.batches.masks import causal
from hornbook.batches.pairs import PairBatches, pair_table
from hornbook.errors import InputError

END, VOCABULARY, LONGEST = 49, 50, 12


def drawn(count=37, seed=0):
    """Pairs of ids 1 .. 48, of all lengths; some targets are empty."""
    draw = np.random.default_rng(seed)
    return [
        (
            draw.integers(1, END, draw.integers(1, LONGEST + 1)).tolist(),
            draw.integers(1, END, draw.integers(0, LONGEST)).tolist(),
        )
        for _ in range(count)
    ]


def prepare(rows, numbers):
    """The rows as they are, with the numbers they were asked for by."""
    return {
        "source_tokens": rows.source,
        "source_lengths": rows.source_lengths,
        "tokens": rows.target,
        "targets": rows.target,
        "target_lengths": rows.target_lengths,
        "number": numbers,
    }


def batches_of(pairs, seed=0):
    table = pair_table(pairs, END, VOCABULARY, LONGEST)
    return PairBatches(table, prepare, np.arange(VOCABULARY), mask=lambda _: causal(), seed=seed)


def read(batch):
    """The pairs of a batch as lists, cut by their lengths."""
    lengths = zip(batch.source.mask.tensor, batch.extra["target_lengths"], strict=True)
    return [
        (source[:s].tolist(), target[:t].tolist())
        for source, target, (s, t) in zip(batch.source.tokens, batch.tokens, lengths, strict=True)
    ]


def test_every_epoch_reads_every_pair_once_and_in_another_order():
    pairs = drawn()
    made = batches_of(pairs)
    epochs = [
        [pair for number in range(37) for pair in read(made.update(37 * epoch + number, 1))]
        for epoch in range(3)
    ]
    expected = sorted((source, [*target, END]) for source, target in pairs)
    assert [sorted(epoch) for epoch in epochs] == [expected] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    other = [pair for number in range(37) for pair in read(batches_of(pairs, 1).update(number, 1))]
    assert other != epochs[0], "another seed is another order"


def test_a_batch_is_its_samples_side_by_side_padded_on_the_right():
    made = batches_of(drawn())
    for first, count in ((0, 9), (33, 8), (10**9, 5)):  # across an epoch's end, and far away
        batch = made.update(first, count)
        alone = [made.update(first + i, 1) for i in range(count)]
        assert read(batch) == [pair for one in alone for pair in read(one)]
        assert batch.source.tokens.shape == (count, max(b.source.tokens.shape[1] for b in alone))
        assert batch.tokens.shape == (count, max(b.tokens.shape[1] for b in alone))
        assert batch.extra["number"].tolist() == list(range(first, first + count))
        for source, length in zip(batch.source.tokens, batch.source.mask.tensor, strict=True):
            assert not source[length:].any()
            assert source[:length].all()


def test_the_sources_padding_is_hidden():
    batch = batches_of(drawn()).update(0, 9)
    width = batch.source.tokens.shape[1]
    seen = batch.source.mask.dense(width, width)
    assert torch.equal(seen, (batch.source.tokens != 0)[:, None, :].expand(9, width, width))
    assert batch.source.select(slice(2, 5)).mask.tensor.tolist() == (
        batch.source.mask.tensor[2:5].tolist()
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_the_same_batches(workers):
    made = batches_of(drawn())
    schedule = [(5 * n, 5) for n in range(20)]
    for one, (first, count) in zip(made.follow(iter(schedule), workers), schedule, strict=True):
        other = made.update(first, count)
        assert torch.equal(one.source.tokens, other.source.tokens)
        assert torch.equal(one.targets, other.targets)


def test_fixed_batches_hold_the_pairs_named():
    pairs = drawn()
    found = [
        pair for batch in batches_of(pairs).fixed(np.array([30, 2, 7]), 2) for pair in read(batch)
    ]
    assert found == [(pairs[i][0], [*pairs[i][1], END]) for i in (30, 2, 7)]


def test_the_digest_is_of_the_pairs_and_nothing_else():
    pairs = drawn()
    digest = pair_table(pairs, END, VOCABULARY, LONGEST).digest
    assert pair_table(list(pairs), END, 70, 20).digest == digest
    moved = [(pairs[0][0], pairs[0][1] + [3]), *pairs[1:]]
    for other in (pairs[::-1], pairs[:-1], moved):
        assert pair_table(other, END, VOCABULARY, LONGEST + 1).digest != digest
    assert pair_table(pairs, 48, VOCABULARY, LONGEST).digest != digest


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "no pair to learn from"),
        ([([1], [2]), ([], [3])], "source of pair 1 is empty"),
        (
            [([1], [2]), ([50], [3])],
            "source of pair 1 holds the id 50, outside the vocabulary of 50",
        ),
        ([([1], [-1])], "target of pair 0 holds the id -1"),
        ([(list(range(13)), [3])], "source of pair 0 has 13 tokens, and 12 is the most"),
        ([([1], [3] * 12)], "target of pair 0 has 12 tokens, and 11 is the most"),
        ([([1.5], [3])], "source of pair 0 is no row of whole numbers"),
        ([([1], "ab")], "target of pair 0 is no row of whole numbers"),
    ],
)
def test_what_cannot_be_learnt_from_is_said(pairs, message):
    with pytest.raises(InputError, match=message):
        pair_table(pairs, END, VOCABULARY, LONGEST)


def test_an_end_outside_the_vocabulary_is_said():
    with pytest.raises(InputError, match="The end id holds the id 50"):
        pair_table([([1], [2])], 50, VOCABULARY, LONGEST)


def test_a_table_cannot_be_changed():
    table = pair_table(drawn(), END, VOCABULARY, LONGEST)
    with pytest.raises(ValueError, match="read-only"):
        table.source[0] = 3
