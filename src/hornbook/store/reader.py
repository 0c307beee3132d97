"""Read tokens at any place: memory-mapped files behind one array of ids a source.

Opening reads manifests and compares sizes; a shard's checksum is verified when the shard is first
touched. Reading goes through `np.asarray(memmap)`: slicing an `np.memmap` itself runs subclass
hooks and takes ten times as long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt64
from numpy import ndarray

from hornbook.errors import StorageError
from hornbook.store.check import check_digest, check_sizes, check_tokenizer
from hornbook.store.manifest import (
    MANIFEST,
    REBUILD,
    SPLITS,
    STARTS_DTYPE,
    FileRecord,
    read_manifest,
)


class TokenArray:
    """The tokens of one source in one split, as if they were one array.

    tokens, documents, bytes: counts; bytes are those of the text's UTF-8.
    begin_of_text, end_of_text: the ids before and after each document's text, None where none
    stands; both belong to their document. Can be pickled; each process maps for itself.
    """

    def __init__(self, directory: Path) -> None:
        manifest = read_manifest(directory / MANIFEST)
        check_sizes(directory, manifest)
        self.directory = directory
        self.manifest = manifest
        self.tokens = manifest.tokens
        self.documents = manifest.documents
        self.bytes = manifest.bytes
        self.begin_of_text = manifest.separators.begin_of_text
        self.end_of_text = manifest.separators.end_of_text
        self.vocab_size = manifest.vocab_size
        self.tokenizer_fingerprint = manifest.tokenizer
        sizes = [shard.tokens for shard in manifest.shards]
        self._firsts = np.cumsum([0, *sizes], dtype=np.int64)  # [shards + 1]
        self._mapped: dict[int, ndarray[Any, Any]] = {}

    def read(self, start: int, count: int) -> Int64[ndarray, " count"]:
        """The ids from `start` on; raises IndexError beyond the end."""
        self._require_inside(start, start + count)
        ids = np.empty(count, dtype=np.int64)
        done = 0
        shard = int(np.searchsorted(self._firsts, start, side="right")) - 1
        while done < count:
            local = start + done - int(self._firsts[shard])
            piece = self.shard_ids(shard)[local : local + count - done]
            ids[done : done + len(piece)] = piece
            done += len(piece)
            shard += 1
        return ids

    def gather(self, starts: Int64[ndarray, " n"], width: int) -> Int64[ndarray, "n width"]:
        """Rows of `width` ids from each of `starts`; raises IndexError beyond the end."""
        starts = np.asarray(starts, dtype=np.int64)
        if not len(starts) or not width:
            return np.empty((len(starts), width), dtype=np.int64)
        low, high = int(starts.min()), int(starts.max())
        self._require_inside(low, high + width)
        shard = int(np.searchsorted(self._firsts, low, side="right")) - 1
        if high + width <= self._firsts[shard + 1]:  # blocks of the order are local: the usual case
            rows = self._windows(shard, width)[starts - self._firsts[shard]]
            return np.asarray(rows, dtype=np.int64)
        ids = np.empty((len(starts), width), dtype=np.int64)
        shards = np.searchsorted(self._firsts, starts, side="right") - 1
        whole = starts + width <= self._firsts[shards + 1]
        for shard in np.unique(shards[whole]).tolist():
            rows = np.flatnonzero(whole & (shards == shard))
            ids[rows] = self._windows(shard, width)[starts[rows] - self._firsts[shard]]
        for row in np.flatnonzero(~whole).tolist():
            ids[row] = self.read(int(starts[row]), width)
        return ids

    @cached_property
    def document_starts(self) -> UInt64[ndarray, " documents"]:
        """The index of each document's first token, ascending."""
        pieces = [self.shard_starts(number) for number in range(len(self.manifest.shards))]
        return np.concatenate([np.empty(0, dtype=STARTS_DTYPE), *pieces])

    def text_span(self, document: int) -> tuple[int, int]:
        """Where [start, end) the text of a document lies, its separators left out."""
        starts = self.document_starts
        after = int(starts[document + 1]) if document + 1 < self.documents else self.tokens
        separators = self.manifest.separators
        start = int(starts[document]) + len(separators.leading)
        return start, after - len(separators.trailing)

    def shard_first(self, number: int) -> int:
        """Which token of the source is the first of a shard."""
        return int(self._firsts[number])

    def shard_ids(self, number: int) -> ndarray[Any, Any]:
        """The ids [tokens] of one shard, mapped and verified when first asked for."""
        if number not in self._mapped:
            record = self.manifest.shards[number].token_file
            check_digest(self.directory, record)
            self._mapped[number] = self._map(record, self.manifest.dtype)
        return self._mapped[number]

    def shard_starts(self, number: int) -> UInt64[ndarray, " documents"]:
        """Where the documents of one shard start in the source, verified."""
        record = self.manifest.shards[number].start_file
        check_digest(self.directory, record)
        return self._map(record, STARTS_DTYPE)

    def _windows(self, number: int, width: int) -> ndarray[Any, Any]:
        """View [n - width + 1, width] of a shard's ids: row i is ids i .. i + width - 1."""
        ids = self.shard_ids(number)
        shape = (len(ids) - width + 1, width)
        # sliding_window_view makes the same view in ten times as long, half the time of a gather.
        return np.ndarray(shape, ids.dtype, ids.data, strides=(ids.itemsize, ids.itemsize))

    def _map(self, record: FileRecord, dtype: np.dtype[Any]) -> ndarray[Any, Any]:
        return np.asarray(np.memmap(self.directory / record.name, dtype=dtype, mode="r"))

    def _require_inside(self, start: int, end: int) -> None:
        if not 0 <= start <= end <= self.tokens:
            raise IndexError(
                f"tokens {start} to {end} of {self.directory}, which has {self.tokens}"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": {}}


@dataclass(frozen=True)
class Store:
    """An open store: splits["train"]["web"] is a TokenArray."""

    directory: Path
    splits: Mapping[str, Mapping[str, TokenArray]]
    tokenizer_fingerprint: str


def open_store(directory: str | Path, tokenizer_fingerprint: str | None = None) -> Store:
    """Open every source of every split; with a fingerprint, only if that tokenizer made them.

    Raises StorageError when there is nothing, a file is missing or has another size, or the
    tokenizer is another; VersionError when a newer Hornbook wrote it.
    """
    directory = Path(directory)
    splits = {
        split: {
            path.parent.name: TokenArray(path.parent)
            for path in sorted((directory / split).glob(f"*/{MANIFEST}"))
        }
        for split in SPLITS
    }
    arrays = [array for sources in splits.values() for array in sources.values()]
    if not arrays:
        raise StorageError(f"{directory} holds no token store: {REBUILD}.")
    expected = tokenizer_fingerprint or arrays[0].tokenizer_fingerprint
    for array in arrays:
        check_tokenizer(array.directory, array.tokenizer_fingerprint, expected)
    return Store(directory, splits, expected)
