"""The n-grams of a part of the text, sorted: those whose first token lies in a range.

A window is the `order` symbols from one token on (text.py). Sorted windows have those with the same
first m symbols side by side, so that where these change is where the next m-gram begins: one sort
serves all orders. `order` symbols are packed into one whole number where 63 bits hold it, base
V + 1 (base, not bits: V = 4096 and order 5 fit). Otherwise the windows are sorted symbol by symbol
within blocks of groups that agree so far, as suffix sorting does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from hornbook.models.ngrams.text import Piece, symbols
from hornbook.models.ngrams.tries import smallest

Ints = NDArray[np.int64]
Whole = NDArray[np.integer]

WORD = 1 << 63
BLOCK = 1 << 16
PACKED_BYTES = 64
COLUMN_BYTES = 96
"""What a window takes at most while its part is counted, besides what comes of it."""


@dataclass(frozen=True)
class Part:
    """Windows whose first symbol is in low .. high - 1; `rows` of them."""

    low: int
    high: int
    rows: int


@dataclass(frozen=True, eq=False)
class Groups:
    """Sorted windows by their first m symbols: one group for each m symbols that occur.

    last [k]: the m-th symbol; starts [k]: the first row; firsts [groups of m - 1]: which group is
    the first that continues each of these.
    """

    last: Whole
    starts: Ints
    firsts: Ints


@dataclass(frozen=True, eq=False)
class PartLevel:
    """The m-grams of a part: last tokens, how often they occur, where their continuations end."""

    tokens: Whole
    counts: Whole
    child_ends: Whole


def widest_packed(vocab_size: int, order: int) -> int:
    """How many first symbols a part may span so that its windows fit into one number; 0: none."""
    return max(0, WORD // int((vocab_size + 1) ** (order - 1)) - 1)


def count_packed(
    pieces: Sequence[Piece], part: Part, vocab_size: int, order: int
) -> list[PartLevel]:
    """Levels 1 .. order of a part, from windows of one whole number each."""
    radix = vocab_size + 1
    keys = np.empty(part.rows, dtype=np.int64)
    filled = 0
    for chunk, at in _found(pieces, part, order):
        packed = chunk[at] - part.low
        for offset in range(1, order):
            packed *= radix
            packed += chunk[at + offset]
        keys[filled : filled + len(at)] = packed
        filled += len(at)
    keys.sort()
    starts = _changes(keys)
    grams = keys[starts]
    del keys
    found = []
    for size in range(order, 0, -1):
        shorter = grams // radix if size > 1 else np.zeros_like(grams)
        grams -= shorter * radix
        grams += part.low if size == 1 else 0
        firsts = _changes(shorter)
        found.append(_level(Groups(grams, starts, firsts), part.rows, vocab_size))
        grams, starts = shorter[firsts], starts[firsts]
    return _without_zeros(found[::-1])


def count_columns(
    pieces: Sequence[Piece], part: Part, vocab_size: int, order: int
) -> list[PartLevel]:
    """The same levels for any vocabulary, from windows of one column a symbol."""
    columns = np.empty((order, part.rows), dtype=np.min_scalar_type(vocab_size))
    filled = 0
    for chunk, at in _found(pieces, part, order):
        for offset in range(order):
            columns[offset, filled : filled + len(at)] = chunk[at + offset]
        filled += len(at)
    rows = np.arange(part.rows, dtype=np.min_scalar_type(part.rows))
    starts = np.zeros(1, dtype=np.int64)
    found = []
    for column in columns:
        groups = _refine(rows, starts, column)
        starts = groups.starts
        found.append(_level(groups, part.rows, vocab_size))
    return _without_zeros(found)


def _found(pieces: Sequence[Piece], part: Part, order: int) -> Iterator[tuple[Ints, Ints]]:
    """Chunks of the text, and where in them the part's windows begin."""
    for chunk in symbols(pieces, order):
        firsts = chunk[: len(chunk) - order + 1]
        yield chunk, np.flatnonzero((firsts >= part.low) & (firsts < part.high))


def _refine(rows: Whole, starts: Ints, column: Whole) -> Groups:
    """Sort `rows`, in place, by one more symbol, and group them by it.

    rows: numbers of windows, sorted so far; starts: where each group of equal ones begins.
    """
    width = int(column.max()).bit_length()
    ends = np.append(starts[1:], len(rows))
    made: list[Groups] = []
    group = children = 0
    while group < len(starts):
        first = int(starts[group])
        after = max(group + 1, int(np.searchsorted(ends, first + BLOCK, side="right")))
        last = int(ends[after - 1])
        mine = rows[first:last]
        bits = (last - first - 1).bit_length()
        keys = np.repeat(np.arange(after - group), ends[group:after] - starts[group:after])
        keys = (((keys << width) | column[mine]) << bits) | np.arange(last - first)
        keys.sort()
        rows[first:last] = mine[keys & ((1 << bits) - 1)]
        keys >>= bits
        changes = _changes(keys)
        firsts = _changes(keys[changes] >> width)
        made.append(Groups(column[rows[changes + first]], changes + first, firsts + children))
        children += len(changes)
        group = after
    names = [field.name for field in fields(Groups)]
    return Groups(*(np.concatenate([getattr(one, name) for one in made]) for name in names))


def _changes(values: Ints) -> Ints:
    """Where sorted values begin to be others than before."""
    new = np.empty(len(values), dtype=np.bool_)
    new[:1] = True
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return np.flatnonzero(new)


def _level(groups: Groups, rows: int, vocab_size: int) -> tuple[PartLevel, Ints]:
    """A level from the groups of its order, and the numbers of those that end in a zero.

    These are no n-grams. Where continuations end is told for every group of the order below.
    """
    zeros = np.flatnonzero(groups.last == 0)
    ends = np.append(groups.firsts[1:], len(groups.last))
    ends -= np.searchsorted(zeros, ends)
    counts = np.delete(np.diff(groups.starts, append=rows), zeros)
    tokens = np.delete(groups.last, zeros) - 1
    kept = tokens.astype(np.min_scalar_type(vocab_size - 1))
    return PartLevel(kept, smallest(counts), smallest(ends)), zeros


def _without_zeros(found: list[tuple[PartLevel, Ints]]) -> list[PartLevel]:
    """Levels whose continuations end only for those groups of the order below that are n-grams."""
    below = [np.empty(0, dtype=np.int64), *(zeros for _, zeros in found)]
    return [
        replace(level, child_ends=np.delete(level.child_ends, zeros))
        for (level, _), zeros in zip(found, below, strict=False)
    ]
