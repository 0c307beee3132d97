"""Whether a stage must run, and why: fingerprints compared, outputs verified, nothing changed.

A stage's fingerprint hashes its name and revision, the hashed options of its sections, a digest of
each upstream stage's outputs, and the digests of what it reads from outside.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hornbook.errors import RecipeError, StorageError
from hornbook.runs import checksums
from hornbook.runs.archive import archived
from hornbook.runs.directory import RunDirectory
from hornbook.runs.manifest import StageRecord
from hornbook.runs.stage import RunRecipe, Stage, StageContext, resolve


@dataclass(frozen=True)
class Upstream:
    """A finished stage as those that read it see it."""

    directory: Path
    digest: str
    source: str = ""  # the run it is borrowed from

    def recorded(self) -> dict[str, str]:
        """Return what the manifest keeps of an input."""
        return {"digest": self.digest} | ({"from": self.source} if self.source else {})


@dataclass(frozen=True)
class Decision:
    """What is to happen with a stage: "up to date", "restore", "build", "skip" or "borrow"."""

    action: str
    why: str
    fingerprint: str
    record: StageRecord | None = None
    upstream: Upstream | None = None


Finished = Mapping[str, Upstream | None]  # stage -> what it left; None where it was skipped
MakeContext = Callable[[Stage, str, Finished], StageContext]


def chosen(stages: Sequence[Stage], recipe: RunRecipe, only: Collection[str] | None) -> list[Stage]:
    """Return the stages to go through: all, or those named and everything they read.

    Raises `RecipeError` when a name, or a stage the recipe borrows, is not in the table.
    """
    table = {stage.name: stage for stage in stages}
    for name in [*(only or ()), *recipe.borrowed]:
        if name not in table:
            raise RecipeError(f"{name}: no stage of this name (stages: {', '.join(table)})")
    wanted = set(table if only is None else only)
    for stage in reversed(stages):
        if stage.name in wanted and stage.name not in recipe.borrowed:
            wanted.update(stage.reads)
    return [stage for stage in stages if stage.name in wanted]


def decide(
    stage: Stage,
    recipe: RunRecipe,
    run: RunDirectory,
    finished: Finished,
    make_context: MakeContext,
    before: Mapping[str, Any],
) -> Decision:
    """Decide about one stage whose upstream is finished; `before` is the recipe recorded last.

    Raises `RecipeError` or `StorageError` when a stage cannot be borrowed as asked.
    """
    if stage.name in recipe.borrowed:
        return _borrow(stage.name, recipe.borrowed[stage.name], run)
    identity = _fingerprint(stage, recipe, finished)
    reason = stage.skip and resolve(stage.skip)(make_context(stage, identity, finished))
    if reason:
        return Decision("skip", str(reason), identity)
    manifest = run.manifest()
    record = manifest.stages.get(stage.name)
    fault = None
    if record and record.fingerprint == identity and stage.name not in manifest.damaged:
        fault = checksums.fault(run.stage(stage.name), record.outputs)
        if fault is None:
            return Decision("up to date", "", identity, record)
    kept = archived(run, manifest, stage.name, identity)
    if kept and checksums.fault(run.archive(stage.name, identity), kept.outputs) is None:
        return Decision("restore", "found in the archive", identity, kept)
    why = fault or _why(stage, recipe, run, record, finished, before, identity)
    return Decision("build", why, identity)


def lineage(stage: Stage, recipe: RunRecipe, finished: Finished) -> str:
    """Return what two makings of a stage share if they differ in nothing but what may grow."""
    return _fingerprint(stage, recipe, finished, stage.grows) if stage.grows else ""


def _fingerprint(
    stage: Stage, recipe: RunRecipe, finished: Finished, without: Collection[str] = ()
) -> str:
    inputs = {name: found.digest for name in stage.reads if (found := finished[name])}
    outside = resolve(stage.outside)(recipe) if stage.outside else {}
    also = {
        "stage": stage.name,
        "revision": stage.revision,
        "inputs": inputs,
        "outside": outside,
    }
    return recipe.fingerprint(stage.sections, also, without)


def _borrow(name: str, source: str, run: RunDirectory) -> Decision:
    """Find a stage in another run and verify it."""
    other = RunDirectory(Path(source))
    where = f'{name}.from = "{source}"'
    if other.path.resolve() == run.path.resolve():
        raise RecipeError(f"{where}: a run cannot borrow from itself")
    if not other.manifest_path.exists():
        raise RecipeError(f"{where}: no run there (looked in {other.path.resolve()})")
    found = other.find(name)
    if found is None:
        has = ", ".join(other.manifest().stages) or "no finished stage"
        raise RecipeError(f"{where}: that run has not finished {name} (it has: {has})")
    fault = checksums.fault(found.directory, found.record.outputs)
    if fault:
        raise StorageError(f"{where}: {fault}; run {source} again, which rebuilds it.")
    upstream = Upstream(found.directory, checksums.digest(found.record.outputs), source)
    return Decision("borrow", f"from {source}", found.record.fingerprint, found.record, upstream)


def _why(
    stage: Stage,
    recipe: RunRecipe,
    run: RunDirectory,
    record: StageRecord | None,
    finished: Finished,
    before: Mapping[str, Any],
    identity: str,
) -> str:
    """Say in a few words why a stage has to be built."""
    if run.partial(stage.name, identity).exists():
        return "continues where it stopped"
    if record is None:
        return "not made yet"
    if record.fingerprint == identity:
        return "its outputs were damaged"
    changed = _changed_options(stage, recipe, before)
    digests = {name: found.digest for name, found in finished.items() if found}
    changed += [
        f"{name} changed"
        for name in stage.reads
        if record.inputs.get(name, {}).get("digest") != digests.get(name)
    ]
    return "; ".join(changed) or "its revision, or what it reads from outside, changed"


def _changed_options(stage: Stage, recipe: RunRecipe, before: Mapping[str, Any]) -> list[str]:
    """Say which options differ; a name such as "a.b" in a stage's sections is that option alone."""
    changed = []
    for name in stage.sections:
        section, _, only = name.partition(".")
        was = before.get(section, {})
        changed += [
            f"{section}.{key} {was[key]} -> {value}"
            for key, value in recipe[section].hashed().items()
            if key in was and only in ("", key) and json.dumps(was[key]) != json.dumps(value)
        ]
    return changed
