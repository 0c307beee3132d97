"""Readers: one file a format; bytes in, documents and dropped records out.

A format's reader is `read(stream, path, limits)`: an open binary file, the path to record, and
`Limits`. It yields `Document` for what can be read and `Dropped`, with rule and reason, for what
cannot; it never raises because of what the file holds, and its memory does not grow with the file.
A library's reader finds its own files: `read(limits)` yields the same two, `digest()` names the
bytes it would read.

Adding a format is one file here and one row in READERS; `.gz` in front of it comes for free.
"""

READERS = {
    ".txt": "hornbook.corpus.readers.plain_text:read",
    ".md": "hornbook.corpus.readers.plain_text:read",
    ".jsonl": "hornbook.corpus.readers.json_lines:read",
    ".json-lines": "hornbook.corpus.readers.json_lines:read",
}
"""A file's suffix -> the function that reads such files."""

LIBRARIES = {
    "python:code": "hornbook.corpus.readers.python_library:read_code",
    "python:docs": "hornbook.corpus.readers.python_library:read_docs",
}
"""A source that needs no path -> the function that finds and reads it."""
