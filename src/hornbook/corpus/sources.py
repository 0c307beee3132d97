"""Where documents come from: names in a recipe become sources with a reader and a digest.

A source is a library that finds its own files ("python:code"), a file, or a folder, which is walked
in sorted order. What cannot be opened or is not text is put aside as a row; it stops nothing.
"""

import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, cast

import xxhash

from hornbook.corpus.documents import WHOLE_FILE, Document, Dropped
from hornbook.corpus.readers import LIBRARIES, READERS
from hornbook.corpus.readers.lines import Limits
from hornbook.errors import InputError
from hornbook.recipe.fingerprint import file_digest
from hornbook.recipe.plugins import find

_NAMES = {"python:code": "code", "python:docs": "docs"}
_PEEK_BYTES = 8192


def _open_plain(path: Path) -> BinaryIO:
    return path.open("rb")


def _open_gzip(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb"))


OPENERS: dict[str, Callable[[Path], BinaryIO]] = {".gz": _open_gzip}
"""The suffix of a compressed file -> what opens it."""


@dataclass(frozen=True)
class Source:
    """One source of documents: its name in the run, and the library or path it was given as."""

    name: str
    given: str

    @property
    def path(self) -> Path | None:
        """The file or folder, or None for a library."""
        return None if self.given in LIBRARIES else Path(self.given).expanduser()

    def read(self, limits: Limits) -> Iterator[Document | Dropped]:
        """Yield all documents and all that was put aside, in an order that never changes."""
        path = self.path
        if path is None:
            yield from find(self.given, LIBRARIES)(limits)
        elif path.is_dir():
            for file in walk(path):
                if isinstance(file, Dropped):
                    yield file
                else:
                    yield from _read_file(file, path, limits)
        else:
            yield from _read_file(path, path.parent, limits)

    def digest(self) -> str:
        """Return a hash of the content that `read` would read, and of its files' names."""
        path = self.path
        if path is None:
            return str(find(LIBRARIES[self.given].partition(":")[0], {}).digest())
        root = path if path.is_dir() else path.parent
        state = xxhash.xxh3_128()
        for file in walk(path) if path.is_dir() else [path]:
            if not isinstance(file, Dropped) and _format(file) is not None:
                state.update(f"{_shown_path(file, root)}\0{_digest(file)}\n".encode())
        return state.hexdigest()


def resolve(given: Iterable[str]) -> tuple[Source, ...]:
    """Return a source for each entry of `corpus.sources`, names made unique with -2, -3.

    Raises:
        InputError: a path that does not exist, or a file of an unknown format.
    """
    sources: list[Source] = []
    for entry in given:
        name = base = _NAMES.get(entry) or slug(_check_path(entry))
        number = 2
        while any(source.name == name for source in sources):
            name, number = f"{base}-{number}", number + 1
        sources.append(Source(name, entry))
    if not sources:
        raise InputError("corpus.sources is empty; name a folder, a file, or python:code.")
    return tuple(sources)


def slug(path: Path) -> str:
    """Return a path's stem as a name: lower case, letters, digits and "-"."""
    stem = path.resolve().name if path.is_dir() else path.name
    while not path.is_dir() and Path(stem).suffix in {*READERS, *OPENERS}:
        stem = Path(stem).stem
    return re.sub(r"[^\w]+|_+", "-", stem.lower()).strip("-") or "text"


def walk(folder: Path) -> Iterator[Path | Dropped]:
    """Yield the files below a folder, in sorted order; hidden ones and links to folders are left.

    A folder that cannot be listed is yielded as `Dropped`.
    """
    try:
        entries = sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name))
    except OSError as error:
        yield Dropped(_shown_path(folder, folder.parent), WHOLE_FILE, "unreadable", _why(error))
        return
    for path in entries:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not path.is_symlink():
                yield from walk(path)
        else:
            yield path


def _check_path(entry: str) -> Path:
    path = Path(entry).expanduser()
    try:
        path.stat()
    except OSError as error:
        near = get_close_matches(entry, LIBRARIES, n=1)
        hint = (
            f'did you mean "{near[0]}"?'
            if near
            else "correct the path (of a recipe: in corpus.sources)."
        )
        raise InputError(f"The source {entry} {_why(error)}; {hint}") from None
    if path.is_file() and _format(path) is None:
        known = ", ".join(READERS)
        raise InputError(
            f"The source {entry} has a format that cannot be read; known are {known}, "
            "each also with .gz: convert it, or rename it if it is plain text."
        )
    return path


def _format(path: Path) -> str | None:
    """Return the row of READERS for a file, looking behind a compression's suffix."""
    inner = path.with_suffix("") if path.suffix.lower() in OPENERS else path
    return READERS.get(inner.suffix.lower())


def _read_file(path: Path, root: Path, limits: Limits) -> Iterator[Document | Dropped]:
    shown = _shown_path(path, root)
    reader = _format(path)
    if reader is None:
        reason = f'no reader for files ending in "{path.suffix}"'
        yield Dropped(shown, WHOLE_FILE, "unknown_format", reason, path.suffix)
        return
    try:
        with OPENERS.get(path.suffix.lower(), _open_plain)(path) as stream:
            if b"\0" in cast(Any, stream).peek(_PEEK_BYTES)[:_PEEK_BYTES]:
                reason = (
                    "holds NUL bytes, so it is no UTF-8 text; if it is UTF-16, save it as UTF-8"
                )
                yield Dropped(shown, WHOLE_FILE, "binary", reason)
                return
            yield from find(reader, {})(stream, shown, limits)
    except (OSError, EOFError, zlib.error) as error:
        yield Dropped(shown, WHOLE_FILE, "unreadable", _why(error))


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:
        return "unreadable"


def _shown_path(path: Path, root: Path) -> str:
    """Return the path relative to the source, so that a corpus does not depend on where it lay."""
    name = path.relative_to(root).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _why(error: BaseException) -> str:
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"
