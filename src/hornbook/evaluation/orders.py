"""How good counting is, order by order: a short history knows little, a long one comes too rarely.

The n-grams of each order are counted on the training tokens and scored on held-out rows, as the
baseline's are, and on rows that they were counted on: between the two is what was learnt by heart.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hornbook.batches.plans import StreamPlan, evaluation_plans, training_plans
from hornbook.evaluation.baseline import (
    ALL,
    Beginning,
    ReadableTokens,
    Sums,
    score,
    token_shares,
)
from hornbook.evaluation.options import BaselineOptions
from hornbook.models.ngrams import SETTINGS
from hornbook.models.ngrams.counts import count_ngrams
from hornbook.models.ngrams.estimate import estimate
from hornbook.models.ngrams.model import NGram
from hornbook.runs.signals import StopSignal


@dataclass(frozen=True)
class OrderScore:
    """One order: what was counted, in what time, and bits a byte by source.

    held_out, counted: the sums of each source and of "all", on validation and on training rows.
    """

    order: int
    ngrams: int
    tokens: int
    seconds: float
    held_out: Mapping[str, Sums]
    counted: Mapping[str, Sums]
    notes: tuple[str, ...] = ()


def score_orders(
    options: BaselineOptions,
    splits: Mapping[str, Mapping[str, ReadableTokens]],
    orders: Iterable[int],
    *,
    sequence_length: int,
    rows: int,
    byte_lengths: NDArray[np.integer],
    stop: StopSignal,
) -> Iterator[OrderScore]:
    """Count and score one order after another; arguments as in `baseline.build_baseline`.

    seconds: of counting and estimating. Orders that the text is too short for are left out, but for
    the longest that there is. Raises InputError as that does.
    """
    shares = token_shares(splits["train"], options.maximum_tokens)
    settings = {name: getattr(options, name) for name in SETTINGS.get(options.estimator, ())}
    counted = {source: Beginning(splits["train"][source], own) for source, own in shares.items()}
    plans = {
        "validation": evaluation_plans(splits["validation"], sequence_length),
        "train": training_plans(counted, sequence_length),
    }
    done: set[int] = set()
    for order in orders:
        stop.check()
        began = time.perf_counter()
        counts = count_ngrams([*counted.values()], len(byte_lengths), order)
        model = estimate(counts, options.estimator, **settings)
        seconds = time.perf_counter() - began
        if model.order in done:
            continue
        done.add(model.order)
        found = {split: _sums(model, own, rows, byte_lengths, stop) for split, own in plans.items()}
        yield OrderScore(
            model.order,
            sum(len(level.tokens) for level in model.levels),
            sum(shares.values()),
            seconds,
            found["validation"],
            found["train"],
            model.notes,
        )


def _sums(
    model: NGram,
    plans: Mapping[str, StreamPlan],
    rows: int,
    byte_lengths: NDArray[np.integer],
    stop: StopSignal,
) -> dict[str, Sums]:
    """The sums of each source, and of all together."""
    sums = {
        source: score({"": model}, plan, rows, byte_lengths, stop)[""]
        for source, plan in plans.items()
    }
    total = Sums()
    for own in sums.values():
        total = total.plus(own)
    return {**sums, ALL: total}
