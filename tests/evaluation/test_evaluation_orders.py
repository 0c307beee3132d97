"""n-grams order by order: what is scored, against the definition token by token."""

import math

import numpy as np
import pytest

from hornbook.batches.plans import training_plans as plans_of
from hornbook.errors import InputError, Interrupted
from hornbook.evaluation import orders as orders_file
from hornbook.evaluation.baseline import Beginning
from hornbook.evaluation.options import BaselineOptions
from hornbook.evaluation.orders import score_orders
from hornbook.models.ngrams.counts import count_ngrams
from hornbook.models.ngrams.estimate import estimate
from hornbook.runs.signals import StopSignal

VOCAB, LENGTH, ROWS = 9, 6, 9
BYTES = np.arange(VOCAB) % 3


class Array:
    def __init__(self, tokens, documents=(0,)):
        self._tokens = np.asarray(tokens, dtype=np.int64)
        self.tokens = len(self._tokens)
        self.document_starts = np.array(documents, dtype=np.uint64)

    def read(self, start, count):
        return self._tokens[start : start + count]

    def gather(self, starts, width):
        return self._tokens[np.asarray(starts)[:, None] + np.arange(width)]


def text(seed, length):
    """A Markov chain: order 2 helps, longer histories can only be learnt by heart."""
    random = np.random.default_rng(seed)
    tokens = [0]
    for _ in range(length - 1):
        tokens.append(int(tokens[-1] * 4 + random.integers(0, 4)) % VOCAB)
    return np.array(tokens)


@pytest.fixture(scope="module")
def splits():
    return {
        "train": {"code": Array(text(1, 400), (0, 100, 390)), "docs": Array(text(2, 120))},
        "validation": {"code": Array(text(3, 200)), "docs": Array(text(4, 60))},
    }


def scored(splits, orders, stop=None, **options):
    return list(
        score_orders(
            BaselineOptions(**options),
            splits,
            orders,
            sequence_length=LENGTH,
            rows=ROWS,
            byte_lengths=BYTES,
            stop=stop or StopSignal(),
        )
    )


def compare(splits, estimator, order, maximum=None):
    """Nats, targets and bytes of each source, row by row and token by token."""
    share = {"code": 400, "docs": 120}
    if maximum is not None:
        share = {name: size * maximum // 520 for name, size in share.items()}
    settings = {"maximum_tokens": maximum} if maximum else {}
    (found,) = scored(splits, [order], estimator=estimator, **settings)
    pieces = [array.read(0, share[name]) for name, array in splits["train"].items()]
    model = estimate(count_ngrams(pieces, VOCAB, order), estimator)
    for split, sums in (("validation", found.held_out), ("train", found.counted)):
        whole = [0.0, 0, 0]
        for source, array in splits[split].items():
            tokens = array.tokens if split == "validation" else share[source]
            rows = (tokens - 1) // LENGTH
            nats = targets = read = 0
            for i in range(min(ROWS, rows)):
                first = (2 * i + 1) * rows // (2 * min(ROWS, rows)) * LENGTH
                row = array.read(first, LENGTH + 1)
                for t in range(1, LENGTH + 1):
                    nats -= math.log(model.probabilities(row[:t])[row[t]])
                    targets, read = targets + 1, read + int(BYTES[row[t]])
            assert vars(sums[source]) == pytest.approx(
                {"nll": nats, "targets": targets, "bytes": read}
            ), f"{split} rows of {source}"
            whole = [whole[0] + nats, whole[1] + targets, whole[2] + read]
        assert vars(sums["all"]) == pytest.approx(
            dict(zip(("nll", "targets", "bytes"), whole, strict=True))
        ), f"all {split} rows together"
    assert found.tokens == sum(share.values())
    assert found.ngrams == sum(len(level.tokens) for level in model.levels)


@pytest.mark.parametrize("estimator", ["modified_kneser_ney", "katz", "add_k"])
@pytest.mark.parametrize("order", [1, 3])
def test_both_texts_are_scored_token_by_token(splits, estimator, order):
    compare(splits, estimator, order)


def test_counted_rows_are_those_that_were_counted(splits):
    compare(splits, "katz", 3, maximum=130)


def test_planted_rows_beyond_what_was_counted_are_caught(splits, monkeypatch):
    monkeypatch.setattr(
        orders_file, "training_plans", lambda _, length: plans_of(splits["train"], length)
    )
    with pytest.raises(AssertionError, match="train rows of code"):
        compare(splits, "katz", 3, maximum=130)


def test_documents_of_the_counted_part_are_those_that_begin_in_it(splits):
    counted = Beginning(splits["train"]["code"], 100)
    assert counted.document_starts.tolist() == [0]
    assert Beginning(splits["train"]["code"], 101).document_starts.tolist() == [0, 100]


def test_too_large_an_order_learns_by_heart(splits):
    """The figures that the plot is about: counted text gets better, held-out text worse."""
    found = scored(splits, range(1, 6), estimator="katz")
    held = [score.held_out["all"].nll for score in found]
    counted = [score.counted["all"].nll for score in found]
    assert [score.order for score in found] == [1, 2, 3, 4, 5]
    assert counted == sorted(counted, reverse=True)
    assert held[1] < held[0]
    assert held[4] > held[1]
    assert [score.ngrams for score in found] == sorted(score.ngrams for score in found)
    assert all(score.seconds > 0 for score in found)


def test_settings_reach_the_estimator_and_notes_come_back(splits):
    (much,), (little,) = (scored(splits, [2], estimator="add_k", add_k=k) for k in (5.0, 0.1))
    assert much.held_out["all"].nll != little.held_out["all"].nll
    assert any("discounts of order 1" in note for note in scored(splits, [1])[0].notes)


def test_orders_are_counted_one_after_another_and_a_stop_is_heard(splits):
    stop = StopSignal()
    scores = score_orders(
        BaselineOptions(),
        splits,
        [1, 2],
        sequence_length=LENGTH,
        rows=ROWS,
        byte_lengths=BYTES,
        stop=stop,
    )
    assert next(scores).order == 1
    stop._number = 15
    with pytest.raises(Interrupted):
        next(scores)


def test_too_little_text_is_said(splits):
    short = {"code": Array([1, 2, 3])}
    with pytest.raises(InputError, match="training text has 3 tokens"):
        scored(splits | {"train": short}, [1])
    with pytest.raises(InputError, match="validation text has 3 tokens"):
        scored(splits | {"validation": short}, [1])


def test_orders_longer_than_the_text_are_left_out():
    short = {"a": Array([1, 2, 3, 1, 2, 4, 5])}
    found = scored({"train": short, "validation": {"a": Array(range(8))}}, [1, 6, 7, 8, 9])
    assert [score.order for score in found] == [1, 6, 7]
