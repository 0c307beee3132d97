"""Writing so that a kill, a crash or a full disk leaves either the old or the new, never a half.

Bytes go to a temporary file beside their place, are flushed to the disk, and take the place by one
rename; the folder is flushed after it, so that the rename itself survives a power cut.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hornbook.errors import StorageError

TEMPORARY = ".temporary"
TROUBLE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the disk can only be read; make it writable or choose another directory",
}


@contextmanager
def reporting_full_disk(path: str | Path) -> Iterator[None]:
    """Turn a full or read-only disk, met while writing to `path`, into one clear `StorageError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in TROUBLE:
            raise
        raise StorageError(
            f"{path}: cannot be written, for {TROUBLE[error.errno]}, then run the same command "
            "again; nothing saved before is lost."
        ) from error


@contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes the place of `path` when all of it is written.

    On failure the old file stays and no temporary is left. Raises `StorageError` when the disk is
    full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    with reporting_full_disk(path):
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Replace a file's bytes whole; see `writing`."""
    with writing(path) as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    """Replace a file's text whole, as UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def rename_directory(temporary: str | Path, final: str | Path) -> None:
    """Flush a finished directory to the disk and move it to its place, which must be free."""
    temporary, final = Path(temporary), Path(final)
    with reporting_full_disk(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        sync_tree(temporary)
        temporary.rename(final)
        sync_folder(final.parent)
        if temporary.parent != final.parent:
            sync_folder(temporary.parent)


def sync_tree(directory: Path) -> None:
    """Flush every file and folder below a directory, and the directory, to the disk."""
    for path in directory.rglob("*"):
        sync_folder(path)
    sync_folder(directory)


def sync_folder(path: Path) -> None:
    """Flush one folder's entries (or one file's bytes) to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(directory: Path) -> None:
    """Remove the temporary files that a kill left anywhere below a directory."""
    for path in directory.rglob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def require_free_space(path: str | Path, needed_bytes: int, what: str) -> None:
    """Raise `StorageError` unless the disk that holds `path` has room; `what` names the need."""
    place = Path(path).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed_bytes:
        raise StorageError(
            f"{path}: {what} needs {readable_bytes(needed_bytes)}, but only {readable_bytes(free)} "
            f"are free; make room for {readable_bytes(needed_bytes - free)} more."
        )


def readable_bytes(count: float) -> str:
    """Write a number of bytes with a unit, in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
