"""Parallel streams in the order of the text, for models that carry a state from row to row.

The rows of all sources stand one behind another and are cut into as many lanes as an update has
samples. Sample i is row i // lanes of lane i mod lanes, so that the rows of one update go on where
those of the update before ended. After a lane's last row all lanes begin anew: an epoch. What does
not fill the last row of every lane is left out. Resuming needs one integer, as in any order.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hornbook.errors import InputError

Numbers = NDArray[np.int64]


class Lanes:
    """The data order of a run over lanes.

    Args:
        rows: how many rows each source's plan has.
        lanes: parallel streams, the rows of an update.

    Attributes: sources, the names that source numbers stand for; length, rows of a lane;
    samples_in_all, None: it never ends.

    Raises:
        InputError: fewer rows than lanes.
    """

    samples_in_all = None

    def __init__(self, rows: Mapping[str, int], lanes: int) -> None:
        self.sources, self.lanes = tuple(rows), lanes
        self.rows = np.array([rows[source] for source in self.sources], dtype=np.int64)
        self.length = int(self.rows.sum()) // lanes
        if self.length < 1:
            raise InputError(
                f"{int(self.rows.sum())} rows do not fill {lanes} lanes; add text, or lower "
                "batch_size or sequence_length."
            )

    def require(self, samples: int) -> None:
        """There is no end to ask for."""

    def samples(self, first: int, count: int) -> tuple[Numbers, Numbers, Numbers]:
        """Source number, epoch and position, each [count], of samples first .. first+count-1."""
        numbers = np.arange(first, first + count, dtype=np.int64)
        lane, step = numbers % self.lanes, numbers // self.lanes
        epoch, place = np.divmod(step, self.length)
        row = lane * self.length + place
        ends = self.rows.cumsum()
        source = np.searchsorted(ends, row, side="right")
        return source, epoch, row - (ends - self.rows)[source]

    def epochs_after(self, samples: int) -> dict[str, float]:
        """How many times each source has been read through after that many samples."""
        every = self.lanes * self.length
        return dict.fromkeys(self.sources, samples / every)

    def begins(self, numbers: Numbers) -> NDArray[np.bool_]:
        """Whether each sample [n] is the first of its lane, which no state is carried into."""
        first: NDArray[np.bool_] = numbers // self.lanes % self.length == 0
        return first
