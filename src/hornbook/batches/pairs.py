"""Pairs of sequences, a source and its target: a frozen table of them, and its batches.

    pair_table(pairs, end_id, …)   checks ids and lengths, ends every target, lays all end to end
    table.rows(positions)          some pairs side by side, each side padded to its longest
    PairBatches(table, …)          the updates of a run, by sample number

Which pair is sample i is a function of i and the seed (`order.py`), so any number of workers gives
the same batches and a training goes on from one integer. Rows are as long as the longest of their
update; what is behind a shorter one is 0, and nobody sees or learns it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from hornbook.batches.batch import Arrays, Batch, MaskRule, assemble
from hornbook.batches.loader import Located, follow
from hornbook.batches.order import Order
from hornbook.errors import InputError

Numbers = NDArray[np.int64]
Ids = Sequence[int] | NDArray[np.integer]

NAME = "pairs"


@dataclass(frozen=True, eq=False)
class PairRows:
    """n pairs, each side padded with 0 on the right.

    source [n, S], target [n, T]: ids; source_lengths, target_lengths [n]: how many of them count.
    """

    source: Numbers
    source_lengths: Numbers
    target: Numbers
    target_lengths: Numbers


@dataclass(frozen=True, eq=False)
class PairTable:
    """All pairs, laid end to end: pair i's source is source[source_starts[i]:source_starts[i+1]].

    Targets hold their end id. Made by `pair_table`, which checks what goes in.
    """

    source: Numbers
    source_starts: Numbers
    target: Numbers
    target_starts: Numbers

    def __len__(self) -> int:
        return len(self.source_starts) - 1

    @property
    def longest_target(self) -> int:
        """Tokens of the longest target, its end included."""
        return int(np.diff(self.target_starts).max())

    @property
    def digest(self) -> str:
        """What identifies these pairs in this order."""
        hashed = xxhash.xxh3_128()
        for part in (self.source_starts, self.source, self.target_starts, self.target):
            hashed.update(np.ascontiguousarray(part, dtype="<i8").tobytes())
        return hashed.hexdigest()

    def rows(self, positions: Numbers) -> PairRows:
        """The pairs at these positions, in their order."""
        return PairRows(
            *_gather(self.source, self.source_starts, positions),
            *_gather(self.target, self.target_starts, positions),
        )


def pair_table(
    pairs: Iterable[tuple[Ids, Ids]], end_id: int, vocab_size: int, longest: int
) -> PairTable:
    """A table of (source, target) ids; `end_id` is put behind every target.

    longest: most tokens of a source, and of a target with its end.

    Raises:
        InputError: there is no pair, a source is empty, a side is too long, or an id is outside
            the vocabulary; the pair is named by its number, counted from 0.
    """
    _require_inside("The end id", np.array([end_id]), vocab_size)
    sources, targets = [], []
    for number, (source, target) in enumerate(pairs):
        ids = _checked(f"The source of pair {number}", source, vocab_size, longest)
        if not len(ids):
            raise InputError(
                f"The source of pair {number} is empty; leave the pair out, or give it a token."
            )
        sources.append(ids)
        answer = _checked(f"The target of pair {number}", target, vocab_size, longest - 1)
        targets.append(np.append(answer, end_id))
    if not sources:
        raise InputError("There is no pair to learn from; give at least one source and target.")
    return PairTable(*_end_to_end(sources), *_end_to_end(targets))


class PairBatches:
    """The updates of a run over a table of pairs, by sample number; epoch after epoch.

    Args:
        prepare: (rows, sample numbers [n]) -> arrays by name; see `assemble`. Pure.
        byte_lengths [vocab]: bytes of each token id; ones where ids stand for no text.
        objective: its name; mask: the target's visibility rule, from the batch's tensors.
        seed: other seeds give other orders.
    """

    def __init__(
        self,
        table: PairTable,
        prepare: Callable[[PairRows, Numbers], Arrays],
        byte_lengths: NDArray[np.integer],
        objective: str = NAME,
        mask: MaskRule | None = None,
        seed: int = 0,
    ) -> None:
        self.table = table
        self.order = Order({NAME: len(table)}, seed=seed)
        self._located = Located(self.order)
        self.prepare = prepare
        self.byte_lengths = byte_lengths
        self.objective = objective
        self.mask = mask

    def update(self, first_sample: int, count: int) -> Batch:
        """The batch of samples first_sample .. first_sample + count - 1."""
        numbers = np.arange(first_sample, first_sample + count, dtype=np.int64)
        return self._batch(self._located.samples(first_sample, count)[1], numbers)

    def follow(self, schedule: Iterable[tuple[int, int]], workers: int = 0) -> Iterator[Batch]:
        """The batches of a schedule of (first sample, count), in its order; see `loader.follow`."""
        return follow(self.update, schedule, workers)

    def fixed(self, positions: Numbers, batch_rows: int) -> Iterator[Batch]:
        """The pairs at these positions, `batch_rows` a batch, the same at every call."""
        for start in range(0, len(positions), batch_rows):
            chosen = positions[start : start + batch_rows]
            yield self._batch(chosen, chosen)

    def _batch(self, positions: Numbers, numbers: Numbers) -> Batch:
        arrays = self.prepare(self.table.rows(positions), numbers)
        return assemble(arrays, self.objective, self.byte_lengths, self.mask)


def _gather(flat: Numbers, starts: Numbers, positions: Numbers) -> tuple[Numbers, Numbers]:
    """Sequences [n, longest] padded with 0, and their lengths [n]."""
    begin, lengths = starts[positions], starts[positions + 1] - starts[positions]
    columns = np.arange(lengths.max(), dtype=np.int64)
    inside = columns < lengths[:, None]
    return np.where(inside, flat[np.where(inside, begin[:, None] + columns, 0)], 0), lengths


def _end_to_end(rows: Sequence[Numbers]) -> tuple[Numbers, Numbers]:
    """All rows in one array, and where each begins; the last start is the end of all."""
    starts = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=starts[1:])
    flat = np.concatenate(rows)
    for array in (flat, starts):
        array.setflags(write=False)
    return flat, starts


def _checked(what: str, given: Ids, vocab_size: int, longest: int) -> Numbers:
    """One side's ids [n]."""
    ids = np.asarray(given)
    if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise InputError(f"{what} is no row of whole numbers; give a list of token ids.")
    if len(ids) > longest:
        raise InputError(
            f"{what} has {len(ids)} tokens, and {longest} is the most that fit; shorten it, leave "
            "the pair out, or raise sequence_length and the model's max_length."
        )
    _require_inside(what, ids, vocab_size)
    return ids.astype(np.int64)


def _require_inside(what: str, ids: NDArray[np.integer], vocab_size: int) -> None:
    """Raise InputError for an id that the vocabulary does not have."""
    wrong = ids[(ids < 0) | (ids >= vocab_size)]
    if wrong.size:
        raise InputError(
            f"{what} holds the id {int(wrong[0])}, outside the vocabulary of {vocab_size}; encode "
            "with the tokenizer that the model was built for."
        )
