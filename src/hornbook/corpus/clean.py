"""Light cleaning: what no reader of the text would miss, each change written down.

A kernel: a batch of documents in, the cleaned batch and the rows of SPANS out. Spans count code
points of the text as it was read; applied from the last row to the first they give the text as it
is kept. Line ends are too many for a row each: a document gets one row over its whole length,
before its others, which says that every CR LF and CR left in it became the replacement.
"""

import re

import pyarrow as pa

from hornbook.corpus.documents import strings

_COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "start": pa.int64(),
    "end": pa.int64(),
    "rule": pa.string(),
    "replacement": pa.string(),
}

SPANS = pa.schema(_COLUMNS)
"""One row for each change inside a text."""

_Row = dict[str, str | int]

_BYTE_ORDER_MARK = "\ufeff"
_NULS = re.compile("\0+")


def clean(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[_Row]]:
    """Remove a byte order mark and NUL characters, and make every line end in a line feed."""
    texts = strings(batch, "text")
    ids = strings(batch, "id")
    spans: list[_Row] = []
    for number, text in enumerate(texts):
        if "\r" in text or "\0" in text or text.startswith(_BYTE_ORDER_MARK):
            spans += clean_spans(ids[number], text)
            texts[number] = clean_text(text)
    if not spans:
        return batch, spans
    column = pa.array(texts, pa.large_string())
    return batch.set_column(batch.schema.get_field_index("text"), "text", column), spans


def clean_text(text: str) -> str:
    """Return the text without byte order mark and NULs, with line feeds as line ends."""
    text = text.removeprefix(_BYTE_ORDER_MARK).replace("\0", "")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def clean_spans(document: str, text: str) -> list[_Row]:
    """Return what `clean_text` changes in a text, as rows of SPANS."""
    spans: list[_Row] = []

    def add(start: int, end: int, rule: str, replacement: str = "") -> None:
        spans.append(
            {"id": document, "start": start, "end": end, "rule": rule, "replacement": replacement}
        )

    if "\r" in text:
        add(0, len(text), "line_ends", "\n")
    if text.startswith(_BYTE_ORDER_MARK):
        add(0, 1, "byte_order_mark")
    for nuls in _NULS.finditer(text):
        add(nuls.start(), nuls.end(), "nul")
    return spans
