"""Stages put in their place, replaced ones kept in the archive, and restored from there.

The manifest is written first and the directories are moved after it. Whatever a kill interrupts,
`settle` finds by one rule: the current record of a stage names a fingerprint; if a directory of
that fingerprint still stands outside its place (partial or archived), it has to be moved in.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from hornbook.errors import InputError
from hornbook.runs.atomic import readable_bytes, rename_directory
from hornbook.runs.directory import RunDirectory, archive_name, lock
from hornbook.runs.manifest import Manifest, StageRecord, write_manifest


def install(run: RunDirectory, name: str, record: StageRecord) -> None:
    """Make a record, whose directory is whole in its partial or archived place, the current one."""
    manifest = _retired(run.manifest(), name, record.fingerprint)
    archive = dict(manifest.archive)
    archive.pop(archive_name(name, record.fingerprint), None)
    stages = {**manifest.stages, name: record}
    damaged = tuple(other for other in manifest.damaged if other != name)
    borrowed = {key: value for key, value in manifest.borrowed.items() if key != name}
    write_manifest(run.manifest_path, Manifest(stages, archive, borrowed, damaged))
    settle(run, name)


def retire(run: RunDirectory, name: str, borrowed: str | None = None) -> None:
    """Move a stage that the recipe now skips, or borrows from another run, to the archive."""
    manifest = _retired(run.manifest(), name, "")
    stages = {key: value for key, value in manifest.stages.items() if key != name}
    elsewhere = {key: value for key, value in manifest.borrowed.items() if key != name}
    if borrowed is not None:
        elsewhere[name] = Path(os.path.relpath(borrowed, run.path)).as_posix()
    write_manifest(run.manifest_path, replace(manifest, stages=stages, borrowed=elsewhere))
    settle(run, name)


def settle(run: RunDirectory, name: str) -> None:
    """Finish the moves of one stage that the manifest announces; nothing to do is the usual case.

    Raises `InputError` when something that no run made stands in the stage's place.
    """
    manifest = run.manifest()
    if name in manifest.damaged:
        return
    record, place = manifest.stages.get(name), run.stage(name)
    sources = (
        [run.partial(name, record.fingerprint), run.archive(name, record.fingerprint)]
        if record
        else []
    )
    source = next((path for path in sources if path.exists()), None)
    if place.exists() and (source is not None or record is None):
        _clear(run, manifest, name, place, replaced=source is not None)
    if source is not None:
        rename_directory(source, place)
    _keep_newest(run, name)


def mark_damaged(run: RunDirectory, name: str) -> None:
    """Note that a stage's outputs were altered: they stay until the rebuilt ones replace them."""
    manifest = run.manifest()
    if name not in manifest.damaged:
        write_manifest(run.manifest_path, replace(manifest, damaged=(*manifest.damaged, name)))


def forget_archived(run: RunDirectory, name: str, fingerprint: str) -> None:
    """Remove one entry of the archive."""
    key = archive_name(name, fingerprint)
    if run.archive(name, fingerprint).exists():
        shutil.rmtree(run.archive(name, fingerprint))
    manifest = run.manifest()
    archive = {entry: record for entry, record in manifest.archive.items() if entry != key}
    write_manifest(run.manifest_path, replace(manifest, archive=archive))


def archived(
    run: RunDirectory, manifest: Manifest, name: str, fingerprint: str
) -> StageRecord | None:
    """Return the record of a stage that waits in the archive under this fingerprint, or None."""
    record = manifest.archive.get(archive_name(name, fingerprint))
    if record is None or record.fingerprint != fingerprint:
        return None
    return record if run.archive(name, fingerprint).is_dir() else None


def remove_other_partials(run: RunDirectory, name: str) -> None:
    """Remove what was begun under other options, once a stage is finished."""
    for path in run.path.glob(f"{name}.partial-*"):
        shutil.rmtree(path)


def clean(run: RunDirectory) -> str:
    """Empty a run's archive and say how much that freed; raises `LockedError` while it runs."""
    with lock(run):
        manifest = run.manifest()
        files = [path for path in run.archive_path.rglob("*") if path.is_file()]
        freed = sum(path.stat().st_size for path in files)
        if run.archive_path.exists():
            shutil.rmtree(run.archive_path)
        if manifest.archive:
            write_manifest(run.manifest_path, replace(manifest, archive={}))
    return f"{readable_bytes(freed)} freed"


def _retired(manifest: Manifest, name: str, fingerprint: str) -> Manifest:
    """Return the manifest with a stage's current record archived, unless it is the same or bad."""
    record = manifest.stages.get(name)
    if record is None or record.fingerprint == fingerprint or name in manifest.damaged:
        return manifest
    entry = archive_name(name, record.fingerprint)
    older = {key: value for key, value in manifest.archive.items() if key != entry}
    return replace(manifest, archive={**older, entry: record})


def _clear(
    run: RunDirectory, manifest: Manifest, name: str, place: Path, *, replaced: bool
) -> None:
    """Move what stands in a stage's place to the archive if a record of it waits there."""
    waiting = [
        record
        for entry, record in manifest.archive.items()
        if entry == archive_name(name, record.fingerprint)
        and not run.archive(name, record.fingerprint).exists()
    ]
    if waiting:
        rename_directory(place, run.archive(name, waiting[-1].fingerprint))
    elif replaced:
        shutil.rmtree(place)
    else:
        raise InputError(
            f"{place}: stands where stage {name} belongs, but no run made it; move it elsewhere."
        )


def _keep_newest(run: RunDirectory, name: str) -> None:
    """Leave only the newest of a stage's archive entries (the last in the manifest)."""
    entries = [
        record
        for entry, record in run.manifest().archive.items()
        if entry == archive_name(name, record.fingerprint)
    ]
    for record in entries[:-1]:
        forget_archived(run, name, record.fingerprint)
