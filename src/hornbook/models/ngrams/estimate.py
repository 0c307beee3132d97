"""From counts to a model: what all estimators share.

An estimator is a function of `Counts`. It says, order by order, which counts it reads and what a
block of histories makes of them (a `Step`); `smooth` goes through the orders from the shortest on,
since a probability may need that of the shorter history, and through blocks of histories in several
threads, so that nothing but the result is ever as large as the counts.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hornbook.errors import InputError
from hornbook.models.ngrams import ESTIMATORS, SETTINGS
from hornbook.models.ngrams.counts import CountedLevel, Counts, available_cores
from hornbook.models.ngrams.model import Level, NGram, Rule
from hornbook.models.ngrams.tries import histories_between, history_blocks
from hornbook.recipe.plugins import find

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Whole = NDArray[np.integer]

BLOCK = 1 << 15
"""n-grams worked on at a time by a thread."""


@dataclass(frozen=True, eq=False)
class Histories:
    """Some histories h of one order, with all their continuations.

    counts [k]: c(h w); owners [k]: which history, 0 .. n - 1; lower [k]: p(w | h'), 1 / V for the
    empty history; totals [n]: c(h ·), the sum of a history's counts; 1 where there are none, so
    that one can divide.
    """

    vocab_size: int
    counts: Whole
    owners: Ints
    lower: Floats
    totals: Floats

    def sums(self, values: Floats) -> Floats:
        """The sum [n] of values [k] over each history's continuations."""
        sums: Floats = np.bincount(self.owners, values, len(self.totals)).astype(np.float64)
        return sums


Kernel = Callable[[Histories], tuple[Floats, Floats]]
"""Probabilities [k] of what was counted, weights [n] of the histories."""

Step = tuple[Whole, Kernel]
"""The counts [all n-grams of an order] that an estimator reads, and what it makes of them."""


def estimate(counts: Counts, estimator: str = "modified_kneser_ney", **settings: float) -> NGram:
    """A model from counts, by the name of an estimator or a plug-in `module:function`.

    settings: what the estimator can be told, such as add_k=0.1 (`ngrams.SETTINGS`).

    Raises:
        InputError: an estimator or a setting that there is not, or that makes no sense.
    """
    if estimator not in ESTIMATORS and ":" not in estimator:
        raise InputError(
            f"There is no estimator {estimator}; choose one of {', '.join(ESTIMATORS)}."
        )
    unknown = [name for name in settings if name not in SETTINGS.get(estimator, ())]
    if unknown:
        raise InputError(f"The estimator {estimator} has no setting {unknown[0]}; leave it out.")
    model: NGram = find(estimator, ESTIMATORS)(counts, **settings)
    return model


def smooth(counts: Counts, rule: Rule, steps: Iterable[Step], notes: Iterable[str] = ()) -> NGram:
    """Take one step an order, from order 1 on.

    notes: read after the last step, so that steps may add to them.
    """
    levels: list[Level] = []
    with ThreadPoolExecutor(available_cores()) as pool:
        for counted, (values, kernel) in zip(counts.levels, steps, strict=True):
            below = levels[-1].probabilities if levels else np.full(1, 1 / counts.vocab_size)
            levels.append(_level(counted, values, kernel, below, counts.vocab_size, rule, pool))
    return NGram(counts.vocab_size, tuple(levels), rule, (*counts.notes, *notes))


def _totals(values: Whole, owners: Ints, histories: int) -> Floats:
    """c(h ·) [histories]: what followed each, added up; exact below 2**53."""
    return np.bincount(owners, values, histories).astype(np.float64, copy=False)


def _level(
    counted: CountedLevel,
    values: Whole,
    kernel: Kernel,
    below: Floats,
    vocab_size: int,
    rule: Rule,
    pool: ThreadPoolExecutor,
) -> Level:
    """One order: the kernel's numbers for every block of histories."""
    starts = counted.child_starts
    probabilities = np.empty(len(counted.tokens))
    weights = np.empty(len(starts) - 1)

    def fill(block: tuple[int, int]) -> None:
        low, high = block
        first, last = int(starts[low]), int(starts[high])
        mine = values[first:last]
        owners = histories_between(starts, first, last) - low
        totals = _totals(mine, owners, high - low)
        lower = below[counted.shorter[first:last]]
        histories = Histories(vocab_size, mine, owners, lower, np.where(totals, totals, 1.0))
        probabilities[first:last], made = kernel(histories)
        weights[low:high] = np.where(totals, made, rule.unseen)

    deque(pool.map(fill, history_blocks(starts, BLOCK)), maxlen=0)
    return Level(counted.tokens, starts, probabilities, weights)
