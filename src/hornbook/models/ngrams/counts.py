"""Counting: how often each n-gram of orders 1 .. n occurs in a text of any length.

The text is counted in parts, each the n-grams whose first tokens lie in one range; parts follow
each other in the order of the result, so they are put together by appending. How large a part may
be follows from the memory that counting may use. Parts are counted by several threads.
"""

import os
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hornbook.errors import InputError
from hornbook.models.ngrams.text import Piece, beginnings, first_tokens, length
from hornbook.models.ngrams.tries import BLOCK, bisect, find, histories_between, smallest
from hornbook.models.ngrams.windows import (
    COLUMN_BYTES,
    PACKED_BYTES,
    Part,
    PartLevel,
    count_columns,
    count_packed,
    widest_packed,
)

Ints = NDArray[np.int64]
Whole = NDArray[np.integer]

WORKING_MEMORY = 2 << 30
PARTS = 16
"""Each part reads the whole text, so no more are made for the sake of packing."""


@dataclass(frozen=True, eq=False)
class CountedLevel:
    """All n-grams of one order m, as a level of a trie (tries.py).

    counts [k]: how often each occurs; shorter [k]: its number in the level below without its first
    token; begins [..]: the numbers of those that begin a piece of the text, each once.
    """

    tokens: Whole
    child_starts: Whole
    counts: Whole
    shorter: Whole
    begins: Ints


@dataclass(frozen=True, eq=False)
class Counts:
    """What was counted: levels of orders 1 .. `order`; notes: what was done otherwise, in words."""

    vocab_size: int
    levels: tuple[CountedLevel, ...]
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> int:
        """The longest n-gram counted."""
        return len(self.levels)

    def befores(self, order: int) -> Whole:
        """How many different tokens stand before each n-gram; the start of a piece is one more."""
        level = self.levels[order - 1]
        seen = np.zeros(len(level.tokens), dtype=np.uint32)
        np.add.at(seen, self.levels[order].shorter, np.uint32(1))
        seen[level.begins] += 1
        return smallest(seen)


def count_ngrams(
    pieces: Iterable[Piece],
    vocab_size: int,
    order: int,
    *,
    working_memory: int = WORKING_MEMORY,
    threads: int | None = None,
) -> Counts:
    """Count the n-grams of pieces of text; none crosses from one piece to the next.

    pieces: arrays of ids, or stored tokens, which are read as they are needed. working_memory:
    bytes for the parts that are being counted; besides, there is what is returned, one order of it
    twice while parts are joined. (A part is at least the n-grams of one first token.) threads: as
    many as this process may use, unless given. Neither changes the result. A text shorter than
    `order` tokens is counted up to its length, and a note says so.

    Raises:
        InputError: no text, no vocabulary, an id outside it, an order below 1.
    """
    kept = [piece for piece in pieces if length(piece)]
    _require_sense(kept, vocab_size, order)
    longest = max(map(length, kept))
    notes = []
    if longest < order:
        notes.append(
            f"order: the longest piece of text has {longest} tokens, so n-grams of at most "
            f"{longest} are counted, not of {order}"
        )
        order = longest
    threads = threads or available_cores()
    width = widest_packed(vocab_size, order)
    packs = width * PARTS >= vocab_size
    count = count_packed if packs else count_columns
    bytes_each = PACKED_BYTES if packs else COLUMN_BYTES
    totals = first_tokens(kept, vocab_size)
    rows = min(working_memory // (threads * bytes_each), int(totals.sum()) // (2 * threads))
    parts = _plan(totals, rows, width if packs else vocab_size)
    with ThreadPoolExecutor(threads) as pool:
        counted = list(pool.map(lambda part: count(kept, part, vocab_size, order), parts))
        levels = _put_together(counted, beginnings(kept, order), pool)
    return Counts(vocab_size, tuple(levels), tuple(notes))


def available_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _require_sense(pieces: Sequence[Piece], vocab_size: int, order: int) -> None:
    """Raise what is wrong before anything is counted."""
    if vocab_size < 1:
        raise InputError(
            f"The vocabulary has {vocab_size} tokens; n-grams need one of at least 1: train or "
            f"load a tokenizer first."
        )
    if order < 1:
        raise InputError(f"N-grams of order {order} do not exist; ask for order 1 or more.")
    if not pieces:
        raise InputError("There are no tokens to count n-grams in; add text to the corpus.")


def _plan(totals: Ints, rows: int, width: int) -> list[Part]:
    """Ranges of first symbols, each of at most `width` symbols and, if it can, `rows` windows."""
    edges = np.concatenate([[0], np.cumsum(totals)])
    parts, low = [], 0
    while low < len(totals):
        fitting = int(np.searchsorted(edges, edges[low] + rows, side="right")) - 1
        high = min(max(fitting, low + 1), low + width, len(totals))
        if edges[high] > edges[low]:
            parts.append(Part(low + 1, high + 1, int(edges[high] - edges[low])))
        low = high
    return parts


def _put_together(
    counted: list[list[PartLevel]], firsts: Ints, pool: ThreadPoolExecutor
) -> list[CountedLevel]:
    """Levels of the whole text from those of its parts, which are let go of on the way.

    firsts [n, order]: the symbols with which pieces begin.
    """
    levels: list[CountedLevel] = []
    places = np.zeros(len(firsts), dtype=np.int64)
    for symbols in firsts.T:
        tokens, child_starts, counts = _joined([part.pop(0) for part in counted])
        if not levels:  # the n-grams of all parts continue the one empty history
            child_starts = child_starts[[0, -1]]
        places[symbols == 0] = -1
        places = find(tokens, child_starts, places, symbols - 1)
        begins = np.unique(places[places >= 0])
        below = levels[-1] if levels else None
        shorter = _shorter(tokens, child_starts, below, pool)
        levels.append(CountedLevel(tokens, child_starts, counts, shorter, begins))
    return levels


def _joined(parts: Sequence[PartLevel]) -> tuple[Whole, Whole, Whole]:
    """Tokens, child_starts and counts of one order, from those of all parts in order."""
    total = sum(len(part.tokens) for part in parts)
    ends = sum(len(part.child_ends) for part in parts)
    child_starts = np.zeros(ends + 1, dtype=np.min_scalar_type(total))
    filled, before = 1, 0
    for part in parts:
        mine = child_starts[filled : filled + len(part.child_ends)]
        mine[:] = part.child_ends.astype(np.int64) + before
        filled, before = filled + len(mine), before + len(part.tokens)
    tokens = np.concatenate([part.tokens for part in parts])
    return tokens, child_starts, np.concatenate([part.counts for part in parts])


def _shorter(
    tokens: Whole, child_starts: Whole, below: CountedLevel | None, pool: ThreadPoolExecutor
) -> Whole:
    """The number in the level below of each n-gram without its first token: it always occurs."""
    if below is None:
        return np.zeros(len(tokens), dtype=np.uint8)
    found = np.empty(len(tokens), dtype=np.min_scalar_type(len(below.tokens)))

    def fill(first: int) -> None:
        last = min(first + BLOCK, len(tokens))
        histories = below.shorter[histories_between(child_starts, first, last)]
        mine = tokens[first:last]
        found[first:last] = bisect(below.tokens, below.child_starts, histories, mine)

    deque(pool.map(fill, range(0, len(tokens), BLOCK)), maxlen=0)
    return found
