"""The doors to documents: any readable path as a stream, and a finished corpus in stored order."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hornbook.corpus.clean import clean
from hornbook.corpus.documents import BATCH_BYTES, SCHEMA, Document, Documents, Dropped, batches
from hornbook.corpus.readers import READERS
from hornbook.corpus.readers.lines import Limits
from hornbook.corpus.sources import resolve
from hornbook.errors import InputError, StorageError


def read_documents(
    source: str | Path,
    *,
    batch_bytes: int = BATCH_BYTES,
    dropped: Callable[[Dropped], object] | None = None,
) -> Documents:
    """Yield the documents of a file, a folder, "python:code" or "python:docs", lightly cleaned.

    Record batches of about `batch_bytes` with the columns id, text, source, path, licence, language
    and metadata. A record that cannot be read is left out; `dropped` is called with each, if given.

    Raises:
        InputError: the path does not exist, its format is unknown, or nothing in it can be read.
    """
    (found,) = resolve([str(source)])
    put_aside: list[Dropped] = []

    def documents() -> Iterator[Document]:
        for item in found.read(Limits()):
            if isinstance(item, Document):
                yield item
                continue
            put_aside.append(item)
            if dropped is not None:
                dropped(item)

    empty = True
    for batch in batches(documents(), found.name, batch_bytes):
        empty = False
        yield clean(batch)[0].select(SCHEMA.names)
    if empty:
        why = f": {put_aside[0].path}, for one, {put_aside[0].reason}" if put_aside else ""
        raise InputError(
            f"The source {source} holds no text that can be read{why}; known formats are "
            f"{', '.join(READERS)}, each also with .gz."
        )


def open_documents(corpus_directory: Path, split: str, source: str | None = None) -> Documents:
    """Yield the documents of a finished corpus in stored order, of one source if named.

    Raises:
        StorageError: a shard is missing or cannot be read.
    """
    shards = sorted((corpus_directory / "documents").glob(f"{split}-*.parquet"))
    if not shards:
        raise StorageError(
            f"There are no {split} documents in {corpus_directory}; run the corpus stage again."
        )
    for path in shards:
        try:
            with pq.ParquetFile(path) as shard:
                for number in range(shard.num_row_groups):
                    for batch in shard.read_row_group(number).to_batches():
                        if batch.num_rows and source in (None, batch.column("source")[0].as_py()):
                            yield batch
        except (OSError, pa.ArrowException) as error:
            raise StorageError(
                f"{path} cannot be read ({error}); run the corpus stage again."
            ) from error


def sources_of(corpus_directory: Path) -> tuple[str, ...]:
    """Return the names of a finished corpus' sources, in the recipe's order.

    Raises:
        StorageError: statistics.json is missing or torn.
    """
    path = corpus_directory / "statistics.json"
    try:
        return tuple(json.loads(path.read_text(encoding="utf-8"))["sources"])
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(
            f"{path} cannot be read ({error}); run the corpus stage again."
        ) from error
