"""Plain text and Markdown: one file is one document, a long one several, cut at line ends."""

from collections.abc import Iterator
from typing import BinaryIO

from hornbook.corpus.documents import Document, Dropped
from hornbook.corpus.readers.lines import Limits, bounded_lines


def read(stream: BinaryIO, path: str, limits: Limits) -> Iterator[Document | Dropped]:
    """Yield the file as documents of at most `limits.document_bytes`.

    A line longer than `limits.line_bytes` is dropped, and the text before and after it become
    documents of their own: nothing is taken from inside a text.
    """
    start, size = 0, 0
    held: list[bytes] = []
    for line in bounded_lines(stream, limits.line_bytes):
        if held and (line.data is None or size + line.length > limits.document_bytes):
            yield _document(b"".join(held), path, start)
            held, size = [], 0
        if line.data is None:
            yield line_too_long(path, line.offset, line.length, limits)
            continue
        if not held:
            start = line.offset
        held.append(line.data)
        size += line.length
    if held:
        yield _document(b"".join(held), path, start)


def line_too_long(path: str, offset: int, length: int, limits: Limits) -> Dropped:
    """Return the row for a line past the limit."""
    reason = (
        f"a line of {length:,} bytes at byte {offset:,} is longer than the limit of "
        f"{limits.line_bytes:,}; break it up or raise corpus.maximum_line_bytes"
    )
    return Dropped(path, offset, "line_too_long", reason, str(length))


def invalid_utf8(path: str, offset: int, error: UnicodeError) -> Dropped:
    """Return the row for bytes that are not UTF-8; its value is where they stand in the file."""
    place = offset + getattr(error, "start", 0)
    reason = f"byte {place:,} is not valid UTF-8; save the file as UTF-8"
    return Dropped(path, offset, "invalid_utf8", reason, str(place))


def _document(data: bytes, path: str, offset: int) -> Document | Dropped:
    try:
        return Document(data.decode("utf-8"), path, offset, group=path)
    except UnicodeDecodeError as error:
        return invalid_utf8(path, offset, error)
