"""Documents in, token files out: streaming, checked, and continued after a kill.

A shard is written under a temporary name, flushed, and renamed; then the list of finished shards
(`unfinished.json`) is replaced. The manifest comes last and says that the source is whole. After a
kill at any moment the finished shards are verified and kept, their documents are passed over, and
the result is the same bytes as without the kill.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from jaxtyping import Int64
from numpy import ndarray

from hornbook.errors import HornbookError, StorageError
from hornbook.runs.atomic import TEMPORARY, remove_temporaries, reporting_full_disk, sync_folder
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.store.check import check_digests, check_sizes
from hornbook.store.manifest import (
    MANIFEST,
    STARTS_DTYPE,
    FileRecord,
    Manifest,
    Shard,
    read_manifest,
    write_manifest,
)
from hornbook.tokenizers.tokenizer import Tokenizer

UNFINISHED = "unfinished.json"
BUFFER_BYTES = 1 << 20

Batches = Iterable[pa.RecordBatch]


def write_store(
    documents: Mapping[str, Mapping[str, Batches]],
    tokenizer: Tokenizer,
    directory: Path,
    *,
    shard_tokens: int,
    progress: Progress,
    stop: StopSignal,
) -> dict[str, dict[str, Manifest]]:
    """Write every source of every split; documents are split -> source -> batches.

    A source without documents leaves no folder. Raises what `write_source` raises.
    """
    written: dict[str, dict[str, Manifest]] = {}
    for split, sources in documents.items():
        written[split] = {}
        for source, batches in sources.items():
            with progress.task(f"{split} {source}", unit="bytes") as task:
                manifest = write_source(
                    batches,
                    tokenizer,
                    directory / split / source,
                    shard_tokens=shard_tokens,
                    advance=task.advance,
                    stop=stop,
                )
            if manifest.documents:
                written[split][source] = manifest
    return written


def write_source(
    batches: Batches,
    tokenizer: Tokenizer,
    directory: Path,
    *,
    shard_tokens: int,
    advance: Callable[[int], None],
    stop: StopSignal,
) -> Manifest:
    """Write one source, or what is missing of it; `advance` is told the bytes of text done.

    Raises StorageError when the disk is full, or the bytes of a document's tokens are not those of
    its text; Interrupted, between batches, when a stop was asked for.
    """
    empty = Manifest(tokenizer.fingerprint, tokenizer.vocab_size, tokenizer.end_of_text, ())
    finished = _verified(directory, MANIFEST, empty)
    if finished is not None:
        (directory / UNFINISHED).unlink(missing_ok=True)
        advance(finished.bytes)
        return finished
    kept = _verified(directory, UNFINISHED, empty) or empty
    if not kept.shards:
        shutil.rmtree(directory, ignore_errors=True)
    advance(kept.bytes)
    manifest = kept
    with reporting_full_disk(directory):
        directory.mkdir(parents=True, exist_ok=True)
        remove_temporaries(directory)
        for shard in _shards(batches, tokenizer, directory, kept, shard_tokens, advance, stop):
            manifest = Manifest(
                empty.tokenizer,
                empty.vocab_size,
                empty.end_of_text,
                (*manifest.shards, shard),
            )
            write_manifest(directory / UNFINISHED, manifest)
        if manifest.documents:
            write_manifest(directory / MANIFEST, manifest)
            (directory / UNFINISHED).unlink()
        else:
            directory.rmdir()
    return manifest


def _verified(directory: Path, name: str, expected: Manifest) -> Manifest | None:
    """What a manifest lists, if it was made for this tokenizer and its files are whole."""
    try:
        manifest = read_manifest(directory / name)
        check_sizes(directory, manifest)
        for shard in manifest.shards:
            check_digests(directory, shard)
    except HornbookError:
        return None  # what cannot be trusted is written anew
    same = (manifest.tokenizer, manifest.vocab_size, manifest.end_of_text) == (
        expected.tokenizer,
        expected.vocab_size,
        expected.end_of_text,
    )
    return manifest if same else None


def _shards(
    batches: Batches,
    tokenizer: Tokenizer,
    directory: Path,
    kept: Manifest,
    shard_tokens: int,
    advance: Callable[[int], None],
    stop: StopSignal,
) -> Iterator[Shard]:
    """Write the shards that are not kept yet; each closes at the end of a document."""
    number, first = len(kept.shards), kept.tokens
    end_of_text = kept.dtype.type(tokenizer.end_of_text).tobytes()
    shard: _OpenShard | None = None
    try:
        for batch in _without(batches, kept.documents):
            stop.check()
            ids, sizes = _encode(batch, tokenizer)
            for document, size in zip(ids, sizes, strict=True):
                if shard is None:
                    shard = _OpenShard(directory, number, first, kept.dtype)
                shard.add(document.astype(kept.dtype).tobytes() + end_of_text, size)
                if shard.tokens >= shard_tokens:
                    yield shard.close()
                    number, first, shard = number + 1, first + shard.tokens, None
            advance(sum(sizes))
        if shard is not None:
            yield shard.close()
            shard = None
    finally:
        if shard is not None:
            shard.abandon()


def _without(batches: Batches, documents: int) -> Iterator[pa.RecordBatch]:
    """The batches less the first `documents` rows."""
    for batch in batches:
        passed = min(documents, batch.num_rows)
        documents -= passed
        if passed < batch.num_rows:
            yield batch.slice(passed)


def _encode(
    batch: pa.RecordBatch, tokenizer: Tokenizer
) -> tuple[list[Int64[ndarray, " tokens"]], list[int]]:
    """Ids and bytes of UTF-8 of each document, after the byte audit.

    The audit: where a tokenizer loses nothing, the bytes of a text's tokens are the text's bytes.
    """
    texts: Any = batch.column("text")
    ids = tokenizer.encode_batch(texts.to_pylist())
    sizes: list[int] = pc.binary_length(texts).to_pylist()
    if tokenizer.lossless:
        lengths = tokenizer.byte_lengths
        for row, (document, size) in enumerate(zip(ids, sizes, strict=True)):
            found = int(lengths[document].sum(dtype=np.int64))
            if found != size:
                name = batch.column("id")[row].as_py()
                raise StorageError(
                    f"The tokens of document {name} stand for {found} bytes, its text has {size}: "
                    "the tokenizer loses text it promises to keep; train it again, and report "
                    "this as a bug if it comes back."
                )
    return ids, sizes


class _OpenShard:
    """Two files under temporary names, filled document by document."""

    def __init__(
        self, directory: Path, number: int, first_token: int, dtype: np.dtype[Any]
    ) -> None:
        self.tokens = 0
        self._directory = directory
        self._number = number
        self._first_token = first_token
        self._itemsize = dtype.itemsize
        self._bytes = 0
        self._starts: list[int] = []
        self._digest = xxhash.xxh3_128()
        self._file: BinaryIO = self._temporary("tokens").open("wb", buffering=BUFFER_BYTES)

    def add(self, ids: bytes, size: int) -> None:
        """Append one document's ids, as bytes, for `size` bytes of text."""
        self._starts.append(self._first_token + self.tokens)
        self.tokens += len(ids) // self._itemsize
        self._bytes += size
        self._digest.update(ids)
        self._file.write(ids)

    def close(self) -> Shard:
        """Flush both files to the disk and give them their names."""
        starts = np.array(self._starts, dtype=STARTS_DTYPE).tobytes()
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
            documents=len(self._starts),
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
