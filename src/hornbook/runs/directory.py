"""The run directory: its paths, its lock, and the recipe recorded in it."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from hornbook.errors import InputError, LockedError, StorageError
from hornbook.runs.atomic import reporting_full_disk
from hornbook.runs.manifest import (
    FORMAT_VERSION,
    Manifest,
    StageRecord,
    read_manifest,
    write_manifest,
)

__all__ = ["FORMAT_VERSION", "FoundStage", "RunDirectory", "lock", "recorded"]

SHORT = 12  # characters of a fingerprint in names of directories


@dataclass(frozen=True)
class FoundStage:
    """A finished stage: its directory, here or in the run it is borrowed from, and its record."""

    directory: Path
    record: StageRecord


@dataclass(frozen=True)
class RunDirectory:
    """The places of a run; making one touches nothing."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @property
    def recipe_path(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def manifest_path(self) -> Path:
        """The records of the finished stages."""
        return self.path / "manifest.json"

    @property
    def events_path(self) -> Path:
        """The append-only log."""
        return self.path / "events.jsonl"

    @property
    def report_path(self) -> Path:
        """The page that shows the run."""
        return self.path / "report.html"

    @property
    def archive_path(self) -> Path:
        """The folder of what changed recipes replaced."""
        return self.path / "archive"

    def stage(self, name: str) -> Path:
        """Return the directory of a finished stage."""
        return self.path / name

    def partial(self, name: str, fingerprint: str) -> Path:
        """Return the directory in which a stage is being made, the same one after a kill."""
        return self.path / f"{name}.partial-{fingerprint[:SHORT]}"

    def archive(self, name: str, fingerprint: str) -> Path:
        """Return the directory in which a replaced stage waits."""
        return self.archive_path / archive_name(name, fingerprint)

    def makings(self, name: str) -> dict[str, Path]:
        """Return all that is here of a stage, whole, replaced or begun, by short fingerprint."""
        places = {}
        for path in (*self.path.glob(f"{name}.partial-*"), *self.archive_path.glob(f"{name}-*")):
            places[path.name[-SHORT:]] = path
        if name in (stages := self.manifest().stages):
            places[stages[name].fingerprint[:SHORT]] = self.stage(name)
        return places

    def manifest(self) -> Manifest:
        """Read the records; raises `VersionError` if a newer Hornbook wrote them."""
        return read_manifest(self.manifest_path)

    def find(self, name: str) -> FoundStage | None:
        """Return a finished stage, followed to the run it is borrowed from, or None."""
        run, seen = self, {self.path.resolve()}
        while True:
            manifest = run.manifest()
            if name in manifest.stages:
                return FoundStage(run.stage(name), manifest.stages[name])
            if name not in manifest.borrowed:
                return None
            run = RunDirectory((run.path / manifest.borrowed[name]).resolve())
            if run.path in seen:
                return None
            seen.add(run.path)

    def create(self, stage_names: tuple[str, ...]) -> None:
        """Make the directory if it is new.

        Raises `InputError` when the path is a file, cannot be made, or is a folder that is no run
        but holds something with a stage's name, which a stage would replace.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: a file, not a run directory; name another directory.")
        if not self.manifest_path.exists():
            taken = [name for name in (*stage_names, "archive") if self.stage(name).exists()]
            if taken:
                raise InputError(
                    f"{self.path}: not a run (no manifest.json), but holds {', '.join(taken)}, "
                    "which a run would replace; name another directory."
                )
        try:
            with reporting_full_disk(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be made ({error.strerror}); name another directory."
            ) from error

    def begin(self) -> None:
        """Write an empty manifest if there is none; call with the lock held."""
        if not self.manifest_path.exists():
            write_manifest(self.manifest_path, Manifest())


def archive_name(name: str, fingerprint: str) -> str:
    """Return how the archive calls a stage of one fingerprint."""
    return f"{name}-{fingerprint[:SHORT]}"


@contextmanager
def lock(run: RunDirectory) -> Iterator[None]:
    """Hold the run for this process; the lock dies with the process, however that ends.

    Raises `LockedError` at once when another process holds it, and `InputError` without a run.
    """
    if not run.path.is_dir():
        raise InputError(f"{run.path}: there is no such run directory.")
    held = filelock.FileLock(run.path / ".lock", timeout=0)
    try:
        held.acquire()
    except filelock.Timeout:
        raise LockedError(
            f"{run.path}: another process is working on this run; wait until it ends, or stop it, "
            "or name another run directory."
        ) from None
    try:
        yield
    finally:
        held.release()


def recorded(run: RunDirectory) -> dict[str, Any]:
    """Return the recipe recorded in the run as section -> key -> value; empty for a new run.

    Automatic choices that were resolved once stand in it, and are kept by reading them from here.
    """
    run.manifest()
    if not run.recipe_path.exists():
        return {}
    try:
        return tomllib.loads(run.recipe_path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StorageError(
            f"{run.recipe_path}: the recorded recipe cannot be read ({error}); delete it and run "
            "with the original recipe again."
        ) from error
