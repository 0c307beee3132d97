"""JSON Lines: one object a line, its text in the field "text", the rest kept as metadata."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from hornbook.corpus.documents import Document, Dropped
from hornbook.corpus.readers.lines import Limits, bounded_lines
from hornbook.corpus.readers.plain_text import invalid_utf8, line_too_long

_UTF8_MARK = b"\xef\xbb\xbf"


def read(stream: BinaryIO, path: str, limits: Limits) -> Iterator[Document | Dropped]:
    """Yield one document a line; a line that is not such an object is dropped alone.

    The fields "licence" (or "license") and "language" fill the columns of that name.
    """
    for line in bounded_lines(stream, limits.line_bytes):
        if line.data is None:
            yield line_too_long(path, line.offset, line.length, limits)
            continue
        data = line.data.removeprefix(_UTF8_MARK) if line.offset == 0 else line.data
        if data.strip():
            yield _document(data, path, line.offset)


def _document(data: bytes, path: str, offset: int) -> Document | Dropped:
    try:
        record = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        return invalid_utf8(path, offset, error)
    except (ValueError, RecursionError) as error:
        reason = f"the line at byte {offset:,} is not JSON: {_first_line(error)}"
        return Dropped(path, offset, "broken_json", reason, _shown(data))
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        reason = f'the line at byte {offset:,} is no JSON object with a string in "text"'
        return Dropped(path, offset, "no_text", reason, _shown(data))
    text = record.pop("text")
    licence = _taken(record, "licence", "license")
    language = _taken(record, "language")
    try:
        (text + licence + language + json.dumps(record, ensure_ascii=False)).encode("utf-8")
    except UnicodeEncodeError:
        reason = f"the line at byte {offset:,} holds half of a surrogate pair (\\ud800..\\udfff)"
        return Dropped(path, offset, "invalid_utf8", reason, str(offset))
    return Document(text, path, offset, f"{path}#{offset}", licence, language, record)


def _taken(record: dict[str, object], *names: str) -> str:
    for name in names:
        if isinstance(record.get(name), str):
            return str(record.pop(name))
    return "unknown"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _shown(data: bytes) -> str:
    return data[:80].decode("utf-8", errors="replace").strip()
