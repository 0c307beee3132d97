"""The stages of a run in order: each is up to date, restored, built, skipped or borrowed."""

import contextlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hornbook.errors import Interrupted, StorageError
from hornbook.runs import archive, checksums
from hornbook.runs.atomic import remove_temporaries, reporting_full_disk, sync_tree, write_text
from hornbook.runs.decide import Decision, Upstream, chosen, decide, lineage
from hornbook.runs.directory import RunDirectory, lock, recorded
from hornbook.runs.events import EventLog, Events
from hornbook.runs.manifest import StageRecord, machine, versions
from hornbook.runs.progress import Progress, readable_seconds
from hornbook.runs.signals import StopSignal
from hornbook.runs.stage import RunRecipe, Stage, StageContext, resolve

NAME_WIDTH = 12


@dataclass
class Execution:
    """One pass over the stages: what it works with, and what is finished so far."""

    recipe: RunRecipe
    run: RunDirectory
    progress: Progress
    stop: StopSignal
    log: EventLog
    finished: dict[str, Upstream | None] = field(default_factory=dict)

    def context(
        self, stage: Stage, fingerprint: str, finished: Mapping[str, Upstream | None]
    ) -> StageContext:
        """Return what a stage's function is given."""
        return StageContext(
            recipe=self.recipe,
            run=self.run,
            directory=self.run.partial(stage.name, fingerprint),
            inputs={name: found.directory for name in stage.reads if (found := finished[name])},
            lineage=lineage(stage, self.recipe, finished),
            events=self.log.bind(stage.name, fingerprint),
            progress=self.progress,
            stop=self.stop,
        )

    def say(self, stage: Stage, text: str) -> None:
        """Print a stage's one line."""
        self.progress.say(f"{stage.name.ljust(NAME_WIDTH)}{text}")


def execute(
    stages: Sequence[Stage],
    recipe: RunRecipe,
    run: RunDirectory,
    *,
    progress: Progress,
    stop: StopSignal,
    only: Collection[str] | None = None,
) -> dict[str, str]:
    """Bring a run up to date with its recipe and return each stage's state.

    Takes the run's lock, records the resolved recipe, then goes through the stages (or those named
    in `only` and all they read): states are "up to date", "restored", "finished", "skipped" and
    "borrowed". Raises `LockedError`, `VersionError`, `RecipeError` (a stage that cannot be
    borrowed), `StorageError` (a full disk), `Interrupted` after saving, and whatever a stage
    raises; what was finished stays, and the same call again continues.
    """
    _check(stages)
    selected = chosen(stages, recipe, only)
    run.create(tuple(stage.name for stage in stages))
    with lock(run):
        run.begin()
        before = recorded(run)
        write_text(run.recipe_path, recipe.to_toml())
        work = Execution(recipe, run, progress, stop, EventLog(run.events_path))
        states: dict[str, str] = {}
        for stage in stages:
            archive.settle(run, stage.name)
        for stage in selected:
            stop.check()
            decision = decide(stage, recipe, run, work.finished, work.context, before)
            states[stage.name] = ACTIONS[decision.action](work, stage, decision)
        return states


@dataclass(frozen=True)
class Planned:
    """What `execute` would do with a stage now, and why."""

    stage: str
    action: str  # "up to date", "restore", "build", "skip", "borrow", or "depends" on upstream
    why: str


def plan_stages(
    stages: Sequence[Stage],
    recipe: RunRecipe,
    run: RunDirectory,
    only: Collection[str] | None = None,
) -> list[Planned]:
    """Say what `execute` would do, changing nothing; "depends" follows a stage yet to be built."""
    _check(stages)
    work = Execution(recipe, run, Progress(quiet=True), StopSignal(), EventLog(run.events_path))
    before = recorded(run)
    plan: list[Planned] = []
    for stage in chosen(stages, recipe, only):
        waiting = [name for name in stage.reads if name not in work.finished]
        if waiting and stage.name not in recipe.borrowed:
            plan.append(Planned(stage.name, "depends", f"{', '.join(waiting)} first"))
            continue
        decision = decide(stage, recipe, run, work.finished, work.context, before)
        plan.append(Planned(stage.name, decision.action, decision.why))
        if decision.action != "build":
            work.finished[stage.name] = _upstream(run, stage, decision)
    return plan


def _check(stages: Sequence[Stage]) -> None:
    """Raise `ValueError` unless each stage reads only stages that stand above it."""
    above: set[str] = set()
    for stage in stages:
        if stage.name in above or not above.issuperset(stage.reads):
            raise ValueError(f"stage {stage.name} stands twice, or reads a stage below it")
        above.add(stage.name)


def _upstream(run: RunDirectory, stage: Stage, decision: Decision) -> Upstream | None:
    if decision.record is None or decision.upstream is not None:
        return decision.upstream
    return Upstream(run.stage(stage.name), checksums.digest(decision.record.outputs))


def _keep(work: Execution, stage: Stage, decision: Decision) -> str:
    work.finished[stage.name] = _upstream(work.run, stage, decision)
    work.log.bind(stage.name, decision.fingerprint).write("stage", state="up to date")
    work.say(stage, "up to date")
    return "up to date"


def _restore(work: Execution, stage: Stage, decision: Decision) -> str:
    assert decision.record is not None
    archive.install(work.run, stage.name, decision.record)
    work.finished[stage.name] = _upstream(work.run, stage, decision)
    work.log.bind(stage.name, decision.fingerprint).write("stage", state="restored")
    work.say(stage, "restored from the archive")
    return "restored"


def _skip(work: Execution, stage: Stage, decision: Decision) -> str:
    archive.retire(work.run, stage.name)
    work.finished[stage.name] = None
    events = work.log.bind(stage.name, decision.fingerprint)
    events.write("stage", state="skipped", why=decision.why)
    work.say(stage, f"skipped: {decision.why}")
    return "skipped"


def _borrow(work: Execution, stage: Stage, decision: Decision) -> str:
    source = work.recipe.borrowed[stage.name]
    archive.retire(work.run, stage.name, borrowed=source)
    work.finished[stage.name] = decision.upstream
    events = work.log.bind(stage.name, decision.fingerprint)
    events.write("stage", state="borrowed", source=source)
    work.say(stage, f"borrowed from {source}")
    return "borrowed"


def _build(work: Execution, stage: Stage, decision: Decision) -> str:
    run, name = work.run, stage.name
    if _is_current(run, name, decision.fingerprint):
        archive.mark_damaged(run, name)
    if run.archive(name, decision.fingerprint).exists():
        archive.forget_archived(run, name, decision.fingerprint)
    context = work.context(stage, decision.fingerprint, work.finished)
    started = time.monotonic()
    with _reported(context.events), reporting_full_disk(context.directory):
        context.events.write("stage", state="started", why=decision.why)
        context.directory.mkdir(exist_ok=True)
        remove_temporaries(context.directory)
        summary = resolve(stage.function)(context) or {}
        sync_tree(context.directory)  # before the manifest says that it is whole
        record = _record(work, stage, decision, summary, time.monotonic() - started)
        archive.install(run, name, record)
        archive.remove_other_partials(run, name)
        context.events.write(
            "stage", state="finished", seconds=record.seconds, summary=record.summary
        )
    found = Upstream(run.stage(name), checksums.digest(record.outputs))
    work.finished[name] = found
    took, told = f"done in {readable_seconds(record.seconds)}", summary_text(summary)
    work.say(stage, f"{took}  ({told})" if told else took)
    return "finished"


ACTIONS: dict[str, Callable[[Execution, Stage, Decision], str]] = {
    "up to date": _keep,
    "restore": _restore,
    "build": _build,
    "skip": _skip,
    "borrow": _borrow,
}


def _is_current(run: RunDirectory, name: str, fingerprint: str) -> bool:
    record = run.manifest().stages.get(name)
    return record is not None and record.fingerprint == fingerprint


def _record(
    work: Execution, stage: Stage, decision: Decision, summary: Mapping[str, Any], seconds: float
) -> StageRecord:
    directory = work.run.partial(stage.name, decision.fingerprint)
    inputs = {name: work.finished[name] for name in stage.reads}
    return StageRecord(
        fingerprint=decision.fingerprint,
        inputs={name: found.recorded() for name, found in inputs.items() if found},
        outputs=checksums.measure(directory),
        seconds=round(seconds, 3),
        versions=versions(),
        machine=machine(),
        summary=json.loads(json.dumps(summary)),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@contextlib.contextmanager
def _reported(events: Events) -> Iterator[None]:
    """Write down how a stage ended that did not finish, then let the error go on."""
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, Interrupted | KeyboardInterrupt)
        # On a full disk the log cannot grow either; the first error is the one to show.
        with contextlib.suppress(StorageError):
            events.write(
                "stage",
                state="interrupted" if stopped else "failed",
                error=f"{type(error).__name__}: {error}",
            )
        raise


def summary_text(summary: Mapping[str, Any]) -> str:
    """Write the plain values of a stage's summary on one line."""
    plain = {key: value for key, value in summary.items() if isinstance(value, str | int | float)}
    return ", ".join(f"{key.replace('_', ' ')} {_short(value)}" for key, value in plain.items())


def _short(value: str | float) -> str:
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
