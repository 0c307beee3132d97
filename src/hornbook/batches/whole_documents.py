"""Rows of whole documents: no text is cut that fits into a row.

A document longer than a row is cut into pieces of T + 1 tokens; a piece begins with the last token
of the one before, which is read and not learnt, so that every token but a document's first is a
target once an epoch. Pieces and documents share rows by best-fit decreasing ("best_fit"; Ding et
al. 2024, arXiv:2404.10830), or have one each ("padded"). A document of one token has no target, and
is in no row.

A plan holds numbers, not tokens, and is a function of where documents start: it is stored once, and
made again where it is not of these documents, this length and this policy.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import xxhash
from numpy.typing import NDArray

from hornbook.batches.packing import best_fit, lay_out
from hornbook.batches.plans import Tokens
from hornbook.batches.rows import Rows
from hornbook.errors import InputError, StorageError
from hornbook.runs.atomic import write_bytes

Numbers = NDArray[np.int64]
Fit = Callable[[Numbers, int], tuple[Numbers, Numbers]]

FORMAT = 1


class DocumentPlan:
    """Rows of pieces of a token array, side by side, padded at the end.

    Args:
        array: the tokens of one source.
        length: T, inputs a row.
        starts, lengths [pieces]: where each piece lies in the array, in row order.
        items [rows + 1]: pieces before each row.
    """

    def __init__(
        self, array: Tokens, length: int, starts: Numbers, lengths: Numbers, items: Numbers
    ) -> None:
        self.array, self.length = array, length
        self.starts, self.lengths, self.items = starts, lengths, items
        self._item_starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._row_starts = self._item_starts[items]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.items) - 1

    def rows(self, positions: Numbers) -> Rows:
        """Rows [n] at positions [n], read with one gather. A piece's first token has no loss."""
        found = lay_out(self._item_starts, self._row_starts, positions, self.length + 1)
        places = np.where(found.filled, self.starts[found.items] + found.offsets, 0)
        tokens = self.array.gather(places.reshape(-1), 1).reshape(places.shape)
        tokens = np.where(found.filled, tokens, 0)
        return Rows(tokens, found.documents, found.filled & ~found.begins, found.begins)

    def save(self, path: Path, key: str) -> None:
        """Write the plan as one .npz: the same plan gives the same bytes."""
        arrays = {"starts": self.starts, "lengths": self.lengths, "items": self.items}
        name = np.array([key, fingerprint(arrays)])
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, header=name, **arrays)
        write_bytes(path, file.getvalue())


def fingerprint(arrays: Mapping[str, Numbers]) -> str:
    """32 hex digits that change with any piece and any place."""
    digest = xxhash.xxh3_128()
    for name in sorted(arrays):
        digest.update(f"{name} {len(arrays[name])} ".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def plan_key(array: Tokens, length: int, policy: str) -> str:
    """32 hex digits of all that a plan depends on: policy, length, and where documents start."""
    digest = xxhash.xxh3_128(f"documents {FORMAT} {policy} {length} {array.tokens}".encode())
    digest.update(np.ascontiguousarray(array.document_starts).tobytes())
    return digest.hexdigest()


def load_plan(path: Path, array: Tokens, length: int, key: str) -> DocumentPlan:
    """Read a plan that was saved under this key.

    Raises:
        StorageError: the file is missing, torn or altered, or is of something else.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("starts", "lengths", "items")}
            saved, digest = (str(part) for part in file["header"])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise StorageError(f"The packed rows {path} cannot be read ({error}).") from error
    if saved != key or digest != fingerprint(arrays):
        raise StorageError(f"The packed rows {path} are of other documents, or were altered.")
    return DocumentPlan(array, length, **arrays)


def make_plan(array: Tokens, length: int, policy: str) -> DocumentPlan:
    """Cut what is longer than a row, and give every piece its row.

    policy: one of `POLICIES`.
    """
    starts, lengths = pieces(array, length)
    order, items = POLICIES[policy](lengths, length + 1)
    return DocumentPlan(array, length, starts[order], lengths[order], items)


def pieces(array: Tokens, length: int) -> tuple[Numbers, Numbers]:
    """Start and length, each [pieces], of all documents in pieces of at most length + 1 tokens.

    A document of n > 1 tokens has n - 1 targets, so ceil((n - 1) / length) pieces.
    """
    begins = np.asarray(array.document_starts).astype(np.int64)
    targets = np.diff(begins, append=array.tokens) - 1
    counts = -(-np.maximum(targets, 0) // length)
    document = np.repeat(np.arange(len(begins)), counts)
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = begins[document] + nth * length
    return starts, np.minimum(targets[document] - nth * length, length) + 1


def _best_fit(lengths: Numbers, capacity: int) -> tuple[Numbers, Numbers]:
    """Pieces in row order [pieces], and pieces before each row [rows + 1]."""
    rows = best_fit(lengths, capacity)
    order = [piece for row in rows for piece in row]
    return np.array(order, dtype=np.int64), np.cumsum([0, *map(len, rows)], dtype=np.int64)


def _padded(lengths: Numbers, capacity: int) -> tuple[Numbers, Numbers]:
    """The same with a row for every piece."""
    return np.arange(len(lengths)), np.arange(len(lengths) + 1)


POLICIES: Mapping[str, Fit] = {"best_fit": _best_fit, "padded": _padded}


def stored_plan(array: Tokens, length: int, policy: str, path: Path | None) -> DocumentPlan:
    """Open the plan at a path if it is that of this array, or make it and store it there.

    Without a path it is made and not stored.
    """
    if path is None:
        return make_plan(array, length, policy)
    key = plan_key(array, length, policy)
    try:
        return load_plan(path, array, length, key)
    except StorageError:
        plan = make_plan(array, length, policy)
        plan.save(path, key)
        return plan


def document_plans(
    arrays: Mapping[str, Tokens], length: int, policy: str, folder: Path | None = None
) -> dict[str, DocumentPlan]:
    """A plan for each training source that has a document of two tokens or more.

    folder: where plans are stored, one file a source.

    Raises:
        InputError: no source has one.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    plans = {
        source: stored_plan(array, length, policy, folder and folder / f"{source}.npz")
        for source, array in arrays.items()
    }
    found = {source: plan for source, plan in plans.items() if len(plan)}
    if not found:
        raise InputError("The training text has no document of two tokens or more; add text.")
    return found
