"""Best-fit decreasing: which items share a row, so that hardly any of it is padding.

Items are taken from the longest to the shortest; each goes into the row whose free space it fills
best, or into a new row (Johnson 1974; for language models Ding et al. 2024, arXiv:2404.10830). The
free spaces that exist are the set bits of one whole number, so the best one is its lowest set bit
from the item's length on.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


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
