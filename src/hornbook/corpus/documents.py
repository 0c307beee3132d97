"""What a document is: one row of text with its source, path and licence; batches of about 4 MB."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import pyarrow as pa
import xxhash

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.large_string()),
        ("source", pa.string()),
        ("path", pa.string()),
        ("licence", pa.string()),
        ("language", pa.string()),
        ("metadata", pa.string()),
    ]
)
"""The columns of every document, in memory and on disk; `metadata` is a JSON object."""

GROUPED = SCHEMA.append(pa.field("group", pa.string()))
"""SCHEMA while the corpus is being built: documents of one group fall on one side of the split."""

DROPPED = pa.schema(
    [(name, pa.string()) for name in ("id", "source", "path", "rule", "reason", "value")]
)
"""One row for each document or record that was put aside."""

WHOLE_FILE = -1
"""The offset of a row that speaks of a file, not of a record in it."""

BATCH_BYTES = 4_000_000

Documents = Iterator[pa.RecordBatch]
"""A stream of record batches with the columns of SCHEMA."""


@dataclass(frozen=True)
class Document:
    """One document as a reader found it; `offset` is its place in the file, `group` its kin."""

    text: str
    path: str
    offset: int
    group: str
    licence: str = "unknown"
    language: str = "unknown"
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Dropped:
    """One record that cannot be a document, with the rule that says so and the value it judged."""

    path: str
    offset: int
    rule: str
    reason: str
    value: str = ""


def document_id(source: str, path: str, offset: int) -> str:
    """Return the document's name for ever: 128 bits of hash as 32 hex digits.

    It depends on where the record stands and on nothing else, so that any number of workers and
    any size of batch gives the same ids.
    """
    return xxhash.xxh3_128_hexdigest(f"{source}\0{path}\0{offset}".encode())


def strings(rows: pa.Table | pa.RecordBatch, column: str) -> list[str]:
    """Return a column of text, which in this room never holds nulls."""
    return cast(list[str], rows.column(column).to_pylist())


def dropped_row(source: str, dropped: Dropped) -> dict[str, str]:
    """Return the row of DROPPED for a record that a reader put aside."""
    return {
        "id": document_id(source, dropped.path, dropped.offset),
        "source": source,
        "path": dropped.path,
        "rule": dropped.rule,
        "reason": dropped.reason,
        "value": dropped.value,
    }


def batches(
    documents: Iterable[Document], source: str, batch_bytes: int = BATCH_BYTES
) -> Documents:
    """Gather documents into record batches of GROUPED, each closed once it holds `batch_bytes`."""
    rows: list[Document] = []
    size = 0
    for document in documents:
        rows.append(document)
        size += len(document.text)
        if size >= batch_bytes:
            yield _record_batch(rows, source)
            rows, size = [], 0
    if rows:
        yield _record_batch(rows, source)


def _record_batch(rows: list[Document], source: str) -> pa.RecordBatch:
    columns = [
        [document_id(source, row.path, row.offset) for row in rows],
        [row.text for row in rows],
        [source] * len(rows),
        [row.path for row in rows],
        [row.licence for row in rows],
        [row.language for row in rows],
        [json.dumps(row.metadata, ensure_ascii=False, sort_keys=True) for row in rows],
        [row.group for row in rows],
    ]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, GROUPED.types, strict=True)]
    return pa.record_batch(arrays, schema=GROUPED)
