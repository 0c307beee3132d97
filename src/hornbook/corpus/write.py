"""Writing: kept documents into Parquet shards, the same bytes for the same corpus.

A shard holds documents of one source and one split, taken in reading order until `shard_bytes` are
full and then sorted by id; its row groups close at about 4 MB of text. Neither depends on how the
work was cut into batches.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hornbook.corpus.documents import BATCH_BYTES, SCHEMA, document_id
from hornbook.corpus.split import Side, tail_start

SPLITS = ("train", "validation")

Rows = list[dict[str, str]]


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as one Parquet file: zstd, no statistics of the writer's moment."""
    pq.write_table(table, path, compression="zstd", compression_level=3)


class ShardWriter:
    """Gathers the documents of one split and writes a shard whenever one is full."""

    def __init__(self, folder: Path, split: str, shard_bytes: int) -> None:
        self.folder, self.split, self.shard_bytes = folder, split, shard_bytes
        self.shards = 0
        self.held: Rows = []
        self.held_bytes = 0

    def add(self, row: dict[str, str]) -> None:
        """Take one document; write a shard if it is full now."""
        self.held.append(row)
        self.held_bytes += len(row["text"].encode("utf-8"))
        if self.held_bytes >= self.shard_bytes:
            self.flush()

    def flush(self) -> None:
        """Write what is held, if anything, as the next shard."""
        if not self.held:
            return
        path = self.folder / f"{self.split}-{self.shards:05d}.parquet"
        rows = sorted(self.held, key=lambda row: row["id"])
        with pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=3) as writer:
            for group in row_groups(rows):
                writer.write_table(pa.Table.from_pylist(group, SCHEMA))
        self.shards += 1
        self.held, self.held_bytes = [], 0


def row_groups(rows: Rows) -> Iterator[Rows]:
    """Cut rows into groups of about BATCH_BYTES of text."""
    group: Rows = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row["text"].encode("utf-8"))
        if size >= BATCH_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def parts(row: dict[str, str], side: int, fraction: float) -> dict[str, dict[str, str]]:
    """Return split -> document: the document itself, or its beginning and its end.

    The beginning keeps the document's id; the end gets one of its own, from the same source and
    path and the place of the cut.
    """
    if side != Side.BOTH:
        return {SPLITS[side]: row}
    cut = tail_start(row["text"], fraction)
    if cut == 0:
        return {"train": row}
    end = row | {"text": row["text"][cut:], "id": document_id(row["source"], row["id"], cut)}
    return {"train": row | {"text": row["text"][:cut]}, "validation": end}


def write_documents(
    batches: Iterable[pa.RecordBatch],
    sides: NDArray[np.int64],
    writers: dict[str, ShardWriter],
    fraction: float,
    count: Callable[[str, str], None],
) -> None:
    """Write the documents of one source; `sides` has one entry a row, negative for dropped ones.

    `count(split, text)` hears of every document written.
    """
    first = 0
    for batch in batches:
        chosen = sides[first : first + batch.num_rows]
        first += batch.num_rows
        kept = np.flatnonzero(chosen >= 0)
        rows = batch.select(SCHEMA.names).take(kept).to_pylist()
        for row, side in zip(rows, chosen[kept], strict=True):
            for split, part in parts(row, int(side), fraction).items():
                writers[split].add(part)
                count(split, part["text"])
    for writer in writers.values():
        writer.flush()
