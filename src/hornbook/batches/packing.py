"""Best-fit decreasing: which items share a row, so that hardly any of it is padding.

Items are taken from the longest to the shortest; each goes into the row whose free space it fills
best, or into a new row (Johnson 1974; for language models Ding et al. 2024, arXiv:2404.10830). The
free spaces that exist are the set bits of one whole number, so the best one is its lowest set bit
from the item's length on. A million items take one or two seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the tokens of some rows come from, all [n, width].

    items: number of the item; offsets: place in that item (both 0 in padding); documents: 0, 1, …
    in each row, one number an item, -1 in padding; begins: whether an item begins there.
    """

    items: Numbers
    offsets: Numbers
    documents: NDArray[np.int32]
    begins: NDArray[np.bool_]

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Whether there is a token."""
        there: NDArray[np.bool_] = self.documents >= 0
        return there


def lay_out(item_starts: Numbers, row_starts: Numbers, positions: Numbers, width: int) -> Layout:
    """Lay items side by side in the rows at positions [n].

    item_starts [items + 1], row_starts [rows + 1]: tokens before each item and before each row, all
    items standing in row order.
    """
    positions = np.asarray(positions, dtype=np.int64)
    places = row_starts[positions][:, None] + np.arange(width)
    filled = places < row_starts[positions + 1][:, None]
    places = np.where(filled, places, 0)
    items = np.searchsorted(item_starts, places, side="right") - 1
    offsets = places - item_starts[items]
    documents = np.where(filled, items - items[:, :1], -1).astype(np.int32)
    return Layout(items, offsets, documents, filled & (offsets == 0))


def best_fit(lengths: Sequence[int] | NDArray[np.int64], capacity: int) -> list[list[int]]:
    """Items of each row, in the order in which they were put there.

    lengths: of each item, 1..capacity; equal lengths are taken in the order given.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    rows: list[list[int]] = []
    with_space: dict[int, list[int]] = {}
    spaces = 0  # bit f is set where some row has f free places
    for item in order.tolist():
        length = int(lengths[item])
        fitting = spaces >> length
        if fitting:
            free = length + (fitting & -fitting).bit_length() - 1
            row = with_space[free].pop()
            if not with_space[free]:
                spaces ^= 1 << free
        else:
            free, row = capacity, len(rows)
            rows.append([])
        rows[row].append(item)
        left = free - length
        if left:
            with_space.setdefault(left, []).append(row)
            spaces |= 1 << left
    return rows
