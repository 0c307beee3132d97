"""Which row a run reads as its sample number i: a function of i, with no state to save.

Sample i -> source, by the mixture's pattern; its number k among that source's samples -> epoch
k div rows and index k mod rows; index -> position, by a permutation keyed with (seed, source name,
epoch). Positions are permuted as blocks of neighbouring rows, then inside each block, so that reads
stay near each other on disk. Resuming, skipping a window, or sharing out among ranks and workers
needs no more than the sample's number.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from hornbook.batches.mixture import phases, resolve_weights
from hornbook.batches.permutation import derive, permute, unpermute
from hornbook.errors import InputError

__all__ = ["Order", "permute", "place"]

Numbers = NDArray[np.int64]

BLOCK_ROWS = 65_536


class Order:
    """The data order of a run over rows of named sources.

    Args:
        rows: how many rows each source's plan has, at least 1.
        weights: each source's share (any scale); empty: by rows. See `resolve_weights`.
        seed: any whole number; other seeds give other permutations, the mixture stays.
        block_rows: rows that are shuffled together.
        caps: most epochs of a source; past them it leaves and the others share by their weights.
        stretches: (first sample, weights summing to 1) of weights that come later, ascending; see
            `annealed`. A first sample of 0 replaces `weights`.

    Attributes: sources, the names that source numbers stand for; samples_in_all, where caps end the
    data (None: never).

    Raises:
        InputError: no source, a source without rows, or weights that make no sense.
    """

    def __init__(
        self,
        rows: Mapping[str, int],
        weights: Mapping[str, float] | None = None,
        seed: int = 0,
        block_rows: int = BLOCK_ROWS,
        caps: Mapping[str, int] | None = None,
        stretches: Sequence[tuple[int, Mapping[str, float]]] = (),
    ) -> None:
        if not rows:
            raise InputError("There is no source of text to read; add one to corpus.sources.")
        shares = [(0, resolve_weights(rows, weights or {})), *stretches]
        shares = shares[max(i for i, (first, _) in enumerate(shares) if first == 0) :]
        self.sources = tuple(
            source for source in rows if any(mixed.get(source, 0) > 0 for _, mixed in shares)
        )
        self.rows = np.array([rows[source] for source in self.sources], dtype=np.int64)
        self.block_rows = block_rows
        empty = [source for source in self.sources if rows[source] < 1]
        if empty:
            raise InputError(
                f"Source {empty[0]!r} has no whole row of tokens; give it more text, a shorter "
                f"sequence_length, or the weight 0."
            )
        names = [xxhash.xxh3_64_intdigest(source.encode()) for source in self.sources]
        self._keys = derive(np.uint64(seed % 2**64), np.array(names, dtype=np.uint64))
        limits = [
            None if caps is None or source not in caps else caps[source] * rows[source]
            for source in self.sources
        ]
        if any(limit is not None and limit < 1 for limit in limits):
            raise InputError("An epoch cap below 1 leaves nothing to read; use the weight 0.")
        self._phases, end = phases(
            [
                (first, [mixed.get(source, 0.0) for source in self.sources])
                for first, mixed in shares
            ],
            limits,
        )
        self.samples_in_all = None if end < 0 else end

    def require(self, samples: int) -> None:
        """Raise InputError if the epoch caps end the data before that many samples."""
        if self.samples_in_all is not None and samples > self.samples_in_all:
            raise InputError(
                f"The sources' epoch caps end the data after {self.samples_in_all} samples, and "
                f"sample {samples - 1} was asked for; raise the caps or take fewer steps."
            )

    def samples(self, first: int, count: int) -> tuple[Numbers, Numbers, Numbers]:
        """Source number, epoch and position, each [count], of samples first .. first+count-1.

        Raises:
            InputError: the epoch caps end the data before the last of them.
        """
        self.require(first + count)
        numbers = np.arange(first, first + count, dtype=np.int64)
        source, given = np.empty_like(numbers), np.empty_like(numbers)
        starts = np.array([phase.first for phase in self._phases], dtype=np.int64)
        which = np.searchsorted(starts, numbers, side="right") - 1
        for number in np.unique(which):
            here = which == number
            source[here], given[here] = self._phases[number].locate(numbers[here])
        epoch, index = np.divmod(given, self.rows[source])
        position = np.empty_like(numbers)
        for number in np.unique(source):
            here = source == number
            keys = derive(self._keys[number], epoch[here])
            position[here] = place(index[here], int(self.rows[number]), self.block_rows, keys)
        return source, epoch, position

    def epochs_after(self, samples: int) -> dict[str, float]:
        """How many times each source has been read through after that many samples."""
        at = max(number for number, phase in enumerate(self._phases) if phase.first <= samples)
        phase = self._phases[at]
        given = phase.before + phase.given(samples - phase.first)
        return dict(zip(self.sources, (given / self.rows).tolist(), strict=True))

    def epoch_ends(self, epoch: int = 0) -> list[tuple[int, int]]:
        """After how many samples that epoch of each source is over, and how many rows it read.

        Those are all rows, but of a source whose weight falls to 0 or whose cap comes before.
        """
        ends = [phase.first for phase in self._phases[1:]] + [self.samples_in_all]
        found = [(0, 0)] * len(self.sources)
        for phase, end in zip(self._phases, ends, strict=True):
            for source in np.flatnonzero(phase.counts).tolist():
                rows, before = int(self.rows[source]), int(phase.before[source])
                begin, last = epoch * rows, (epoch + 1) * rows
                if before >= last:
                    continue
                over = phase.first + phase.until(source, last - before)
                if end is None or over <= end:
                    found[source] = over, rows
                else:
                    given = before + int(phase.given(end - phase.first)[source])
                    found[source] = end, max(0, given - begin)
        return found


def place(index: Numbers, rows: int, block_rows: int, keys: NDArray[np.uint64]) -> Numbers:
    """Position [n] of each index [n] of an epoch: blocks permuted, then rows inside each block.

    keys [n] is the epoch's key. The last block may be short; wherever the permutation of blocks
    puts it, the blocks after it start that much earlier.
    """
    blocks = -(-rows // block_rows)
    if blocks == 1:
        return permute(index, rows, derive(keys, 1))
    short = rows - (blocks - 1) * block_rows
    block_keys = derive(keys, 0)
    short_slot = unpermute(blocks - 1, blocks, block_keys)
    short_start = short_slot * block_rows
    past = index - (short_start + short)
    slot = np.where(past >= 0, short_slot + 1 + past // block_rows, index // block_rows)
    slot = np.where((index >= short_start) & (past < 0), short_slot, slot)
    start = np.where(past >= 0, (slot - 1) * block_rows + short, slot * block_rows)
    block = permute(slot, blocks, block_keys)
    size = np.where(block == blocks - 1, short, block_rows)
    return block * block_rows + permute(index - start, size, derive(keys, 1 + block))
