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

BLOCK = 1 << 15
"""n-grams looked up at a time, so that what is held meanwhile stays in the cache."""


def find(tokens: Whole, child_starts: Whole, histories: Whole, wanted: Whole) -> Ints:
    """Numbers [n] of the n-grams of a level that continue histories with wanted tokens; -1: none.

    histories [n]: numbers in the level below, -1 for none.
    """
    places = np.full(len(histories), -1, dtype=np.int64)
    known = np.flatnonzero(histories >= 0)
    continued = child_starts[histories[known]] < child_starts[histories[known] + 1]
    at = known[continued]
    nearest = bisect(tokens, child_starts, histories[at], wanted[at])
    places[at] = np.where(tokens[nearest] == wanted[at], nearest, -1)
    return places


def bisect(tokens: Whole, child_starts: Whole, histories: Whole, wanted: Whole) -> Ints:
    """As `find`, for histories with continuations: the last not above what is wanted, or the first.

    Bisects all at once among the continuations of each history; what has one left drops out.
    (`take` gathers faster than an index does.)
    """
    places = child_starts.take(histories).astype(np.int64)
    sizes = child_starts[1:].take(histories).astype(np.int64) - places
    where = np.flatnonzero(sizes > 1)
    left, size, aims = places.take(where), sizes.take(where), wanted.take(where)
    while len(where):
        half = size >> 1
        left += half * (tokens.take(left + half) <= aims)
        size -= half
        on = np.flatnonzero(size > 1)
        if len(on) < len(where):
            places[where] = left
            where, left, size, aims = where.take(on), left.take(on), size.take(on), aims.take(on)
    return places


def histories_between(child_starts: Whole, first: int, last: int) -> Ints:
    """The history's number of each n-gram from number `first` to before `last`."""
    number = child_starts.dtype.type  # any other type would have the whole array converted
    low = int(np.searchsorted(child_starts, number(first), side="right")) - 1
    high = int(np.searchsorted(child_starts, number(last), side="left"))
    edges = np.clip(child_starts[low : high + 1].astype(np.int64), first, last)
    return np.repeat(np.arange(low, high), np.diff(edges))


def history_blocks(child_starts: Whole, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of whole histories with about `size` n-grams each."""
    wanted = np.arange(0, int(child_starts[-1]), size).astype(child_starts.dtype)
    cuts = np.searchsorted(child_starts, wanted, side="left")
    yield from pairwise(np.union1d(cuts, len(child_starts) - 1).tolist())


def smallest(values: NDArray[np.generic]) -> Whole:
    """Whole numbers from 0 on in the smallest unsigned type that holds them."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))
