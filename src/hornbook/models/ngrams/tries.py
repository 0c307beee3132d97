"""N-grams as a trie of sorted arrays: one level an order, children of one history side by side.

Level m holds the m-grams in sorted order. n-gram number k of level m continues one of level m - 1,
its history; `child_starts` [histories + 1] says which n-grams continue each history, `tokens` [k]
their last tokens, ascending within a history. Level 1 continues the one empty history, number 0.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Whole = NDArray[np.integer]

BLOCK = 1 << 14
"""n-grams looked up at a time, so that what is held meanwhile stays in the cache."""


def find(tokens: Whole, child_starts: Whole, histories: Whole, wanted: Whole) -> Ints:
    """Numbers [n] of the n-grams of a level that continue histories with wanted tokens; -1: none.

    histories [n]: numbers in the level below, -1 for none. Bisects all at once among the
    continuations of each history; what has one left to look at drops out.
    """
    places = np.full(len(histories), -1, dtype=np.int64)
    at = np.flatnonzero(histories >= 0)
    low = child_starts[histories[at]].astype(np.int64)
    size = child_starts[histories[at] + 1].astype(np.int64) - low
    some = np.flatnonzero(size)
    at, low, size = at[some], low[some], size[some]
    sought = wanted[at]
    places[at] = low
    active = np.flatnonzero(size > 1)
    where, left, right, aims = at[active], low[active], (low + size)[active] - 1, sought[active]
    while len(where):
        middle = (left + right) >> 1
        less = tokens[middle] < aims
        left = np.where(less, middle + 1, left)
        right = np.where(less, right, middle)
        places[where] = left
        on = np.flatnonzero(left < right)
        where, left, right, aims = where[on], left[on], right[on], aims[on]
    wrong = tokens[places[at]] != sought
    places[at[wrong]] = -1
    return places


def histories_between(child_starts: Whole, first: int, last: int) -> Ints:
    """The history's number of each n-gram from number `first` to before `last`."""
    low = int(np.searchsorted(child_starts, first, side="right")) - 1
    high = int(np.searchsorted(child_starts, last, side="left"))
    edges = np.clip(child_starts[low : high + 1].astype(np.int64), first, last)
    return np.repeat(np.arange(low, high), np.diff(edges))


def history_blocks(child_starts: Whole, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of whole histories with about `size` n-grams each."""
    wanted = np.arange(0, int(child_starts[-1]), size)
    cuts = np.searchsorted(child_starts, wanted, side="left")
    yield from pairwise(np.union1d(cuts, len(child_starts) - 1).tolist())


def smallest(values: NDArray[np.generic]) -> Whole:
    """Whole numbers from 0 on in the smallest unsigned type that holds them."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))
