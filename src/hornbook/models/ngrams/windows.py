"""The n-grams of a part of the text, sorted: those whose first token lies in a range.

A window is the `order` symbols from one token on (text.py). Sorted windows have those with the same
first m symbols side by side, so that where these change is where the next m-gram begins: one sort
serves all orders. `order` symbols are packed into one whole number where 63 bits hold it, base
V + 1 (base, not bits: V = 4096 and order 5 fit). Otherwise the windows are sorted symbol by symbol
within blocks of groups that agree so far, as suffix sorting does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

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
"""What a window takes at most while a part of the text is counted, either way."""


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
    return int(WORD // (vocab_size + 1) ** (order - 1)) - 1


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
    for _ in range(order - 1):
        shorter = grams // radix
        firsts = _changes(shorter)
        found.append(Groups(grams - shorter * radix, starts, firsts))
        grams, starts = shorter[firsts], starts[firsts]
    found.append(Groups(grams + part.low, starts, np.zeros(1, dtype=np.int64)))
    return _levels(found[::-1], part.rows, vocab_size)


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
    found: list[Groups] = []
    for column in columns:
        starts = found[-1].starts if found else np.zeros(1, dtype=np.int64)
        found.append(_refine(rows, starts, column))
    return _levels(found, part.rows, vocab_size)


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
        made.append(Groups(column[rows[first + changes]], changes + first, firsts + children))
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


def _levels(found: Sequence[Groups], rows: int, vocab_size: int) -> list[PartLevel]:
    """Levels from the groups of each order; those that end in a zero are no n-grams."""
    levels: list[PartLevel] = []
    zeros_below = np.empty(0, dtype=np.int64)
    for groups in found:
        zeros = np.flatnonzero(groups.last == 0)
        ends = np.append(groups.firsts[1:], len(groups.last))
        ends -= np.searchsorted(zeros, ends)
        counts = np.diff(groups.starts, append=rows)
        tokens = np.delete(groups.last, zeros).astype(np.min_scalar_type(vocab_size)) - 1
        levels.append(
            PartLevel(
                tokens.astype(np.min_scalar_type(vocab_size - 1), copy=False),
                smallest(np.delete(counts, zeros)),
                smallest(np.delete(ends, zeros_below)),
            )
        )
        zeros_below = zeros
    return levels
