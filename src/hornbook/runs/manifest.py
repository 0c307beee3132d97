"""The manifest of a run: what each finished stage is, and what waits in the archive.

`manifest.json` is the one authority. It is written before directories are moved, so that after a
kill it tells what was about to happen and `archive.settle` can finish the move.
"""

import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from hornbook.errors import StorageError, VersionError
from hornbook.runs.atomic import write_text

FORMAT_VERSION = 1
RECORDED_PACKAGES = (
    "hornbook",
    "numpy",
    "torch",
    "tokenizers",
    "tiktoken",
    "pyarrow",
    "safetensors",
    "selectolax",
)


@dataclass(frozen=True)
class StageRecord:
    """One finished stage: where it came from, what it left, what it took."""

    fingerprint: str
    inputs: Mapping[str, Mapping[str, str]]  # upstream stage -> {"digest"} and, borrowed, {"from"}
    outputs: Mapping[str, Mapping[str, Any]]  # relative file -> {"bytes", "xxh3"}
    seconds: float
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    summary: Mapping[str, Any]
    finished: str  # UTC, ISO 8601


@dataclass(frozen=True)
class Manifest:
    """All records of a run; archive entries are named `<stage>-<first 12 of the fingerprint>`."""

    stages: Mapping[str, StageRecord] = field(default_factory=dict)
    archive: Mapping[str, StageRecord] = field(default_factory=dict)
    borrowed: Mapping[str, str] = field(default_factory=dict)  # stage -> the other run, relative
    damaged: tuple[str, ...] = ()  # stages being rebuilt because their outputs were altered


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; a missing one is empty.

    Raises `VersionError` for a newer format and `StorageError` for one that cannot be read.
    """
    try:
        if not path.exists():
            return Manifest()
        content = json.loads(path.read_text(encoding="utf-8"))
        version = int(content["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error
    if version > FORMAT_VERSION:
        raise VersionError(
            f"{path.parent}: this run was written by a newer Hornbook (format {version}; this one "
            f"reads up to {FORMAT_VERSION}); update Hornbook, or name another run directory."
        )
    try:
        return Manifest(
            stages=_records(content["stages"]),
            archive=_records(content.get("archive", {})),
            borrowed=content.get("borrowed", {}),
            damaged=tuple(content.get("damaged", ())),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from error


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace the manifest whole; raises `StorageError` when the disk is full."""
    content = {"format": FORMAT_VERSION, **asdict(manifest)}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on, without importing the packages."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, Any]:
    """Return what kind of machine this is."""
    return {
        "system": sys.platform,
        "architecture": platform.machine(),
        "processor": platform.processor(),
        "cores": os.cpu_count(),
    }


def _records(items: Mapping[str, Any]) -> dict[str, StageRecord]:
    return {name: StageRecord(**item) for name, item in items.items()}


def _unreadable(path: Path, error: Exception) -> StorageError:
    return StorageError(
        f"{path}: the manifest of this run cannot be read ({type(error).__name__}: {error}); "
        "put back a copy of it, or name another run directory."
    )
