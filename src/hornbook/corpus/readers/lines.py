"""Lines of a binary stream in bounded memory, whatever the stream holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_SKIP_BYTES = 1 << 16


@dataclass(frozen=True)
class Limits:
    """How much of a file may be in memory at once.

    A line longer than `line_bytes` is put aside; a text longer than `document_bytes` becomes
    several documents, cut at line ends.
    """

    line_bytes: int = 8_000_000
    document_bytes: int = 4_000_000


@dataclass(frozen=True)
class Line:
    """One line with its end; `data` is None where it is longer than the limit."""

    offset: int
    length: int
    data: bytes | None


def bounded_lines(stream: BinaryIO, limit: int) -> Iterator[Line]:
    """Yield each line of the stream, holding at most `limit` + 1 bytes of it.

    A longer line is read past in small pieces and reported with its length alone. Errors of the
    stream (a torn gzip file, a vanished disk) are the caller's to catch.
    """
    offset = 0
    while data := stream.readline(limit + 1):
        length = len(data)
        if length <= limit or data.endswith(b"\n"):
            yield Line(offset, length, data)
        else:
            del data
            length += _skip_line(stream)
            yield Line(offset, length, None)
        offset += length


def _skip_line(stream: BinaryIO) -> int:
    skipped = 0
    while piece := stream.readline(_SKIP_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped
