"""Plans: what the positions of a data order stand for.

A `StreamPlan` cuts the token stream of a source into rows by arithmetic; nothing is stored, nothing
is padded, and documents are cut where rows end. A `PackedPlan` keeps whole items (questions with
their answers, conversations) together, several in a row; which go where is decided once and stored.
`whole_documents` does so with stored documents. All answer `len(plan)` and `plan.rows(positions)`.
"""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile

import numpy as np
import xxhash
from numpy.typing import NDArray

from hornbook.batches.packing import best_fit, lay_out
from hornbook.batches.rows import Rows
from hornbook.errors import InputError, StorageError, VersionError
from hornbook.runs.atomic import write_bytes

Numbers = NDArray[np.int64]

PACKED_FORMAT = 1


class Tokens(Protocol):
    """What a plan asks of a stored token array."""

    @property
    def tokens(self) -> int:
        """How many tokens there are."""

    @property
    def document_starts(self) -> NDArray[np.uint64]:
        """Index of each document's first token, ascending."""

    def gather(self, starts: Numbers, width: int) -> Numbers:
        """Tokens [n, width] that begin at starts [n]."""


class Plan(Protocol):
    """Numbered rows of one width."""

    length: int

    def __len__(self) -> int:
        """How many rows there are."""

    def rows(self, positions: Numbers) -> Rows:
        """The rows at positions [n]."""


class StreamPlan:
    """Row r is tokens r T .. r T + T of the stream: T inputs and the next token of the last.

    Every token but the stream's first is a target once an epoch; what does not fill the last row is
    dropped. The end-of-text token trails its document, and carries loss.

    Args:
        array: the tokens of one source.
        length: T, inputs a row.
        source: its name, for messages.

    Raises:
        InputError: fewer than T + 1 tokens.
    """

    def __init__(self, array: Tokens, length: int, source: str = "") -> None:
        if array.tokens < length + 1:
            name = f"Source {source!r}" if source else "This source"
            raise InputError(
                f"{name} has {array.tokens} tokens, and one row of {length} needs {length + 1}; "
                f"add text or set a shorter sequence_length."
            )
        self.array = array
        self.length = length
        self._starts = np.asarray(array.document_starts).astype(np.int64)

    def __len__(self) -> int:
        """Whole rows in the stream."""
        return (self.array.tokens - 1) // self.length

    def rows(self, positions: Numbers) -> Rows:
        """Rows [n] at positions [n], read with one gather; all tokens carry loss."""
        width = self.length + 1
        starts = np.asarray(positions, dtype=np.int64) * self.length
        tokens = self.array.gather(starts, width)
        return Rows(tokens, self._documents(starts, width), np.ones(tokens.shape, dtype=bool))

    def _documents(self, starts: Numbers, width: int) -> NDArray[np.int32]:
        """Number [n, width] of each token's document within its row, from 0."""
        after = np.searchsorted(self._starts, starts, side="right")
        until = np.searchsorted(self._starts, starts + width, side="left")
        counts = until - after  # documents that begin inside the row, past its first token
        row = np.repeat(np.arange(len(starts)), counts)
        nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        begins = np.zeros((len(starts), width), dtype=np.int32)
        np.add.at(begins, (row, self._starts[after[row] + nth] - starts[row]), 1)
        return np.cumsum(begins, axis=1, dtype=np.int32)


class PackedPlan:
    """Rows of whole items, side by side, padded at the end. Made by `pack`, stored as one .npz.

    Attributes: length, T; tokens and learn [N]: all items in row order; item_starts [items + 1] and
    row_starts [rows + 1] into them; cut, items longer than a row, shortened to its T + 1 tokens;
    dropped, items left without any target.
    """

    def __init__(self, length: int, arrays: dict[str, NDArray[np.generic]]) -> None:
        self.length = length
        self._arrays = arrays
        self.tokens = arrays["tokens"]
        self.learn = arrays["learn"]
        self.item_starts = arrays["item_starts"].astype(np.int64)
        self.row_starts = arrays["row_starts"].astype(np.int64)
        self.cut, self.dropped = (int(number) for number in arrays["left_out"])

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.row_starts) - 1

    @property
    def padding_share(self) -> float:
        """Share of all places that hold no token."""
        return 1 - len(self.tokens) / (len(self) * (self.length + 1))

    @property
    def fingerprint(self) -> str:
        """32 hex digits that change with any token, mask or place."""
        digest = xxhash.xxh3_128(f"packed {PACKED_FORMAT} {self.length}".encode())
        for name in sorted(self._arrays):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self._arrays[name]).tobytes())
        return digest.hexdigest()

    def rows(self, positions: Numbers) -> Rows:
        """Rows [n] at positions [n]. An item's first token carries no loss: nothing precedes it."""
        found = lay_out(self.item_starts, self.row_starts, positions, self.length + 1)
        places, filled = self.item_starts[found.items] + found.offsets, found.filled
        tokens = np.where(filled, self.tokens[places], 0).astype(np.int64)
        learn = filled & self.learn[places].astype(bool) & ~found.begins
        return Rows(tokens, found.documents, learn, found.begins)

    def save(self, path: Path) -> None:
        """Write the plan as one .npz: the same plan gives the same bytes."""
        file = io.BytesIO()
        header = np.array([PACKED_FORMAT, self.length], dtype=np.int64)
        np.savez(file, allow_pickle=False, header=header, **self._arrays)
        write_bytes(path, file.getvalue())

    @classmethod
    def load(cls, path: Path) -> "PackedPlan":
        """Read a plan that `save` wrote.

        Raises:
            StorageError: the file is missing or torn. VersionError: it is of a newer format.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            version, length = (int(number) for number in arrays.pop("header"))
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise StorageError(
                f"The packed rows {path} cannot be read ({error}); run again to rebuild them."
            ) from error
        if version > PACKED_FORMAT:
            raise VersionError(
                f"The packed rows {path} have format {version}; this Hornbook reads up to "
                f"{PACKED_FORMAT}: update Hornbook."
            )
        return cls(length, arrays)


def pack(items: Iterable[tuple[NDArray[np.int64], NDArray[np.bool_]]], length: int) -> PackedPlan:
    """Pack items (ids [m], learn [m]) into rows of length + 1 tokens, best fit first.

    Items longer than a row lose their end (counted in `cut`); what has no target, because nothing
    in it is to be learnt but perhaps its first token, is left out (counted in `dropped`).

    Raises:
        InputError: no item has a target.
    """
    kept: list[tuple[NDArray[np.int64], NDArray[np.bool_]]] = []
    cut = dropped = 0
    for ids, learn in items:
        cut += len(ids) > length + 1
        if learn[1 : length + 1].any():
            kept.append((ids[: length + 1], learn[: length + 1]))
        else:
            dropped += 1
    if not kept:
        raise InputError(
            f"None of {dropped} examples has anything to learn within {length + 1} tokens; give "
            f"examples with answers, or a longer sequence_length."
        )
    lengths = np.array([len(ids) for ids, _ in kept], dtype=np.int64)
    rows = best_fit(lengths, length + 1)
    order = [item for row in rows for item in row]
    tokens = np.concatenate([kept[item][0] for item in order])
    small = np.uint16 if tokens.max() < 2**16 else np.uint32
    arrays: dict[str, NDArray[np.generic]] = {
        "tokens": tokens.astype(small),
        "learn": np.concatenate([kept[item][1] for item in order]).astype(bool),
        "item_starts": np.concatenate([[0], np.cumsum(lengths[order])]).astype(np.int64),
        "row_starts": np.cumsum([0] + [int(lengths[row].sum()) for row in rows], dtype=np.int64),
        "left_out": np.array([cut, dropped], dtype=np.int64),
    }
    return PackedPlan(length, arrays)


def evaluation_rows(plan: Plan, count: int) -> Numbers:
    """Positions of `count` rows (or all there are), evenly spaced over the plan: a fixed set."""
    return spread(len(plan), count)


def spread(rows: int, count: int) -> Numbers:
    """`count` of the numbers 0 .. rows - 1 (or all of them), evenly spaced."""
    count = min(count, rows)
    return (2 * np.arange(count, dtype=np.int64) + 1) * rows // (2 * count)


def training_plans(arrays: Mapping[str, Tokens], length: int) -> dict[str, StreamPlan]:
    """A plan for each training source that has at least one row of `length`.

    Raises:
        InputError: none has.
    """
    advice = "add text, or set a shorter pretraining.sequence_length"
    return _plans_of(arrays, length, "training", advice)


def evaluation_plans(arrays: Mapping[str, Tokens], length: int) -> dict[str, StreamPlan]:
    """A plan for each held-out source that has at least one row of `length`.

    Raises:
        InputError: none has.
    """
    advice = (
        "add text, or set a shorter pretraining.sequence_length or a larger "
        "corpus.validation_fraction"
    )
    return _plans_of(arrays, length, "validation", advice)


def _plans_of(
    arrays: Mapping[str, Tokens], length: int, split: str, advice: str
) -> dict[str, StreamPlan]:
    """A plan for each source that fills a row; what is said where none does."""
    plans = {
        source: StreamPlan(array, length, source)
        for source, array in arrays.items()
        if array.tokens > length
    }
    if not plans:
        most = max((array.tokens for array in arrays.values()), default=0)
        raise InputError(
            f"The {split} text has {most} tokens in its largest source, and one row of {length} "
            f"needs {length + 1}; {advice}."
        )
    return plans
