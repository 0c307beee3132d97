"""Documents in, token files out: streaming, checked, and continued after a kill.

A shard is written under a temporary name, flushed, and renamed; then the list of finished shards
(`unfinished.json`) is replaced. The manifest comes last and says that the source is whole. After a
kill at any moment the finished shards are verified and kept, their documents are passed over, and
the result is the same bytes as without the kill.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import xxhash
from jaxtyping import Int64
from numpy import ndarray

from hornbook.errors import HornbookError
from hornbook.runs.atomic import TEMPORARY, remove_temporaries, reporting_full_disk, sync_folder
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.store.check import check_digests, check_sizes
from hornbook.store.encoding import Batches, Encoded, Encoders, StoredIds
from hornbook.store.manifest import (
    MANIFEST,
    STARTS_DTYPE,
    FileRecord,
    Manifest,
    Shard,
    read_manifest,
    write_manifest,
)
from hornbook.store.separators import separators_of
from hornbook.tokenizers.special import Where
from hornbook.tokenizers.tokenizer import Tokenizer

UNFINISHED = "unfinished.json"
BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Writing:
    """How a store is written; `workers`, the threads that encode, change nothing in it."""

    shard_tokens: int
    separator: Where = "end"
    workers: int = 1


def write_store(
    documents: Mapping[str, Mapping[str, Batches]],
    tokenizer: Tokenizer,
    directory: Path,
    writing: Writing,
    *,
    progress: Progress,
    stop: StopSignal,
) -> dict[str, dict[str, Manifest]]:
    """Write every source of every split; documents are split -> source -> batches.

    A source without documents leaves no folder. Raises what `write_source` raises.
    """
    written: dict[str, dict[str, Manifest]] = {split: {} for split in documents}
    every = [(split, *item) for split, sources in documents.items() for item in sources.items()]
    with Encoders(tokenizer, writing.workers) as encoders:
        for split, source, batches in every:
            with progress.task(f"{split} {source}", unit="bytes") as task:
                manifest = write_source(
                    batches,
                    encoders,
                    directory / split / source,
                    writing,
                    advance=task.advance,
                    stop=stop,
                )
            if manifest.documents:
                written[split][source] = manifest
    return written


def write_source(
    batches: Batches,
    encoders: Encoders,
    directory: Path,
    writing: Writing,
    *,
    advance: Callable[[int], None],
    stop: StopSignal,
) -> Manifest:
    """Write one source, or what is missing of it; `advance` is told the bytes of text done.

    Raises StorageError when the disk is full, and what `encode_task` raises; TokenizerError for a
    tokenizer without the separator; Interrupted, between tasks, when a stop was asked for.
    """
    tokenizer = encoders.tokenizer
    separators = separators_of(tokenizer, writing.separator)
    empty = Manifest(tokenizer.fingerprint, tokenizer.vocab_size, separators)
    finished = _verified(directory, MANIFEST, empty)
    if finished is not None:
        (directory / UNFINISHED).unlink(missing_ok=True)
        advance(finished.bytes)
        return finished
    manifest = _verified(directory, UNFINISHED, empty) or empty
    if not manifest.shards:
        shutil.rmtree(directory, ignore_errors=True)
    advance(manifest.bytes)
    left = _without(batches, manifest.documents)
    encoded = encoders.ahead(left, separators, empty.dtype)
    with reporting_full_disk(directory), closing(encoded):
        directory.mkdir(parents=True, exist_ok=True)
        remove_temporaries(directory)
        for shard in _shards(encoded, directory, manifest, writing.shard_tokens, advance, stop):
            manifest = replace(manifest, shards=(*manifest.shards, shard))
            write_manifest(directory / UNFINISHED, manifest)
        if manifest.documents:
            write_manifest(directory / MANIFEST, manifest)
            (directory / UNFINISHED).unlink()
        else:
            directory.rmdir()
    return manifest


def _verified(directory: Path, name: str, expected: Manifest) -> Manifest | None:
    """What a manifest lists, if it was made as expected and its files are whole."""
    try:
        manifest = read_manifest(directory / name)
        check_sizes(directory, manifest)
        for shard in manifest.shards:
            check_digests(directory, shard)
    except HornbookError:
        return None  # what cannot be trusted is written anew
    return manifest if replace(manifest, shards=()) == expected else None


def _without(batches: Batches, documents: int) -> Iterator[pa.RecordBatch]:
    """The batches less the first `documents` rows."""
    for batch in batches:
        passed = min(documents, batch.num_rows)
        documents -= passed
        if passed < batch.num_rows:
            yield batch.slice(passed)


def _shards(
    encoded: Iterator[Encoded],
    directory: Path,
    kept: Manifest,
    shard_tokens: int,
    advance: Callable[[int], None],
    stop: StopSignal,
) -> Iterator[Shard]:
    """Write the shards that are not kept yet; each closes at the end of a document."""
    number, first = len(kept.shards), kept.tokens
    shard: _OpenShard | None = None
    try:
        for task in encoded:
            stop.check()
            begin = 0
            while begin < len(task.ends):
                if shard is None:
                    shard = _OpenShard(directory, number, first, kept.dtype)
                begin = shard.fill(task, begin, shard_tokens)
                if shard.tokens >= shard_tokens:
                    yield shard.close()
                    number, first, shard = number + 1, first + shard.tokens, None
            advance(int(task.sizes.sum()))
        if shard is not None:
            yield shard.close()
            shard = None
    finally:
        if shard is not None:
            shard.abandon()


class _OpenShard:
    """Two files under temporary names, filled with whole documents."""

    def __init__(
        self, directory: Path, number: int, first_token: int, dtype: np.dtype[Any]
    ) -> None:
        self.tokens = 0
        self._directory = directory
        self._number = number
        self._first_token = first_token
        self._itemsize = dtype.itemsize
        self._bytes = 0
        self._starts: list[Int64[ndarray, " documents"]] = []
        self._digest = xxhash.xxh3_128()
        self._file: BinaryIO = self._temporary("tokens").open("wb", buffering=BUFFER_BYTES)

    def fill(self, task: Encoded, begin: int, limit: int) -> int:
        """Append documents from number `begin` on until the shard has `limit` tokens.

        Returns the number of the next document.
        """
        before = int(task.ends[begin - 1]) if begin else 0
        full = int(np.searchsorted(task.ends, before + limit - self.tokens))
        end = min(full + 1, len(task.ends))
        after = int(task.ends[end - 1])
        starts = np.append(before, task.ends[begin : end - 1])
        self._starts.append(starts + (self._first_token + self.tokens - before))
        self._bytes += int(task.sizes[begin:end].sum())
        self._append(task.ids[before:after])
        return end

    def _append(self, ids: StoredIds) -> None:
        self.tokens += len(ids)
        stored = ids.tobytes()
        self._digest.update(stored)
        self._file.write(stored)

    def close(self) -> Shard:
        """Flush both files to the disk and give them their names."""
        documents = np.concatenate(self._starts).astype(STARTS_DTYPE)
        starts = documents.tobytes()
        token_bytes = self.tokens * self._itemsize
        _flush(self._file)
        with self._temporary("documents").open("wb") as file:
            file.write(starts)
            _flush(file)
        for part in ("tokens", "documents"):
            self._temporary(part).replace(self._directory / self._name(part))
        sync_folder(self._directory)
        return Shard(
            tokens=self.tokens,
            documents=len(documents),
            bytes=self._bytes,
            token_file=FileRecord(self._name("tokens"), token_bytes, self._digest.hexdigest()),
            start_file=FileRecord(
                self._name("documents"), len(starts), xxhash.xxh3_128_hexdigest(starts)
            ),
        )

    def abandon(self) -> None:
        """Close and remove what is not whole."""
        try:
            self._file.close()
        finally:
            self._temporary("tokens").unlink(missing_ok=True)
            self._temporary("documents").unlink(missing_ok=True)

    def _name(self, part: str) -> str:
        return f"{part}-{self._number:05d}.bin"

    def _temporary(self, part: str) -> Path:
        return self._directory / f".{self._name(part)}{TEMPORARY}"


def _flush(file: BinaryIO) -> None:
    """Bring everything written to the disk itself, and close."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
