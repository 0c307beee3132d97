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
from numpy.lib.stride_tricks import sliding_window_view

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
            piece = self._shard(shard)[local : local + count - done]
            ids[done : done + len(piece)] = piece
            done += len(piece)
            shard += 1
        return ids

    def gather(self, starts: Int64[ndarray, " n"], width: int) -> Int64[ndarray, "n width"]:
        """Rows of `width` ids from each of `starts`; raises IndexError beyond the end."""
        starts = np.asarray(starts, dtype=np.int64)
        ids = np.empty((len(starts), width), dtype=np.int64)
        if ids.size == 0:
            return ids
        self._require_inside(int(starts.min()), int(starts.max()) + width)
        shards = np.searchsorted(self._firsts, starts, side="right") - 1
        whole = starts + width <= self._firsts[shards + 1]
        for shard in np.unique(shards[whole]).tolist():
            rows = np.flatnonzero(whole & (shards == shard))
            windows = sliding_window_view(self._shard(shard), width)
            ids[rows] = windows[starts[rows] - self._firsts[shard]]
        for row in np.flatnonzero(~whole).tolist():
            ids[row] = self.read(int(starts[row]), width)
        return ids

    @cached_property
    def document_starts(self) -> UInt64[ndarray, " documents"]:
        """The index of each document's first token, ascending."""
        pieces = []
        for shard in self.manifest.shards:
            check_digest(self.directory, shard.start_file)
            pieces.append(self._map(shard.start_file, STARTS_DTYPE))
        return np.concatenate([np.empty(0, dtype=STARTS_DTYPE), *pieces])

    def text_span(self, document: int) -> tuple[int, int]:
        """Where [start, end) the text of a document lies, its separators left out."""
        starts = self.document_starts
        after = int(starts[document + 1]) if document + 1 < self.documents else self.tokens
        separators = self.manifest.separators
        start = int(starts[document]) + len(separators.leading)
        return start, after - len(separators.trailing)

    def _shard(self, number: int) -> ndarray[Any, Any]:
        """The ids of one shard, mapped and verified when first asked for."""
        if number not in self._mapped:
            record = self.manifest.shards[number].token_file
            check_digest(self.directory, record)
            self._mapped[number] = self._map(record, self.manifest.dtype)
        return self._mapped[number]

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
