"""What a run directory says about its run, as plain values; what it does not say stays empty.

A run may be unfinished, skip its tuning or lack a baseline, and a field may be missing from an
event: nothing here raises for that. Only files of the run directory are read.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hornbook.evaluation.significance import wilson
from hornbook.reporting import corpus_facts
from hornbook.reporting.corpus_facts import CorpusSource, TokenRow
from hornbook.runs.directory import RunDirectory, recorded
from hornbook.runs.events import read_events
from hornbook.runs.manifest import Manifest, StageRecord

Record = dict[str, Any]

ALL_SOURCES = "all"
"""The name of an evaluation or baseline over all sources together."""

UNFINISHED = ("started", "interrupted", "failed")
"""States in which a stage has something left to do, whatever an older manifest says."""

BROKEN = {"failed": "the stage failed", "interrupted": "the stage was interrupted"}

PLACE = ("stage", "kind", "fingerprint", "time", "step", "state")
"""Columns that every event has; the rest are its own values."""


@dataclass(frozen=True)
class StageFacts:
    """One stage: how it ended, how long it took, what it says of itself, and on what it ran."""

    name: str
    state: str
    seconds: float | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Share:
    """`count` of `total`, with the bounds (0..1) of its 95 % Wilson interval."""

    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The observed share, count / total."""
        return self.count / self.total


@dataclass(frozen=True)
class Tuning:
    """What instruction tuning was measured to do on the held-out questions."""

    shares: Mapping[str, Share]
    answers: tuple[Record, ...]


@dataclass(frozen=True)
class RunFacts:
    """Everything the page and the comparison show."""

    name: str
    recipe_text: str
    recipe: Mapping[str, Any]
    stages: tuple[StageFacts, ...]
    metrics: Mapping[str, tuple[Record, ...]]
    evaluations: Mapping[str, tuple[Record, ...]]
    baselines: Mapping[str, Mapping[str, float]]
    corpus: tuple[CorpusSource, ...]
    tokens: tuple[TokenRow, ...]
    tokenizer: Mapping[str, Any]
    samples: tuple[Record, ...]
    tuning: Tuning | None
    incidents: tuple[Record, ...]
    decisions: tuple[Record, ...]
    contributions: tuple[Record, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

    def stage(self, name: str) -> StageFacts | None:
        """The stage of that name, if the run has begun it."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def final_bits_per_byte(self, stage: str = "pretraining") -> dict[str, float]:
        """The last evaluation of each source, by source name."""
        final: dict[str, float] = {}
        for record in self.evaluations.get(stage, ()):
            value = number(record, "bits_per_byte")
            if value is not None:
                final[str(record.get("source") or ALL_SOURCES)] = value
        return final

    def compared_baselines(self) -> dict[str, dict[str, float]]:
        """The baselines' scores on the sources that the network was evaluated on (else on all)."""
        sources = self.final_bits_per_byte()
        return {
            model: {s: value for s, value in values.items() if s in sources or not sources}
            for model, values in self.baselines.items()
        }

    def tokens_seen(self, stage: str = "pretraining") -> float | None:
        """The count of tokens at the last recorded step."""
        seen = [number(record, "tokens") for record in self.metrics.get(stage, ())]
        return max((count for count in seen if count is not None), default=None)

    def seconds(self) -> float | None:
        """The sum of what the stages took, if any says so."""
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        return sum(known) if known else None


def number(record: Record, name: str) -> float | None:
    """A finite number of an event, or None where it is absent or something else."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def read_json(path: Path) -> Any:
    """The file's JSON, or an empty dict where it is missing or torn."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def read_records(run: RunDirectory) -> list[Record]:
    """Every event as a dict of what it has, in the order of the log."""
    rows = read_events(run.events_path).to_pylist()
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def read_run(run: RunDirectory) -> RunFacts:
    """Gather everything; absent files give empty parts.

    Raises VersionError for a run of a newer format and StorageError for a damaged manifest.
    """
    records = read_records(run)
    by_kind: dict[str, list[Record]] = {}
    for record in records:
        by_kind.setdefault(str(record.get("kind")), []).append(record)
    recipe_text = run.recipe_path.read_text(encoding="utf-8") if run.recipe_path.exists() else ""
    stages = _stages(run.manifest(), by_kind.get("stage", []))
    summaries = {stage.name: stage.summary for stage in stages}
    samples = by_kind.get("sample", [])
    evaluations = by_kind.get("evaluation", [])
    return RunFacts(
        name=run.path.resolve().name,
        recipe_text=recipe_text,
        recipe=recorded(run),
        stages=stages,
        metrics=_by_stage(by_kind.get("metric", [])),
        evaluations=_by_stage([each for each in evaluations if "bits_per_byte" in each]),
        baselines=baselines(read_json(_directory(run, "baseline") / "results.json")),
        corpus=corpus_facts.read_sources(_directory(run, "corpus")),
        tokens=corpus_facts.read_tokens(_directory(run, "store")),
        tokenizer=summaries.get("tokenizer", {}),
        samples=tuple(each for each in samples if each.get("stage") != "finetuning"),
        tuning=_tuning(summaries.get("finetuning", {}), _directory(run, "finetuning")),
        incidents=(*by_kind.get("incident", ()), *_broken(by_kind.get("stage", []))),
        decisions=tuple(by_kind.get("decision", [])),
        contributions=_newest(by_kind.get("contribution", [])),
        skipped=_skipped(by_kind.get("stage", [])),
    )


def own_values(record: Record) -> dict[str, Any]:
    """The values of an event without the columns that every event has."""
    return {key: value for key, value in record.items() if key not in PLACE}


def _by_stage(records: list[Record]) -> dict[str, tuple[Record, ...]]:
    grouped: dict[str, list[Record]] = {}
    for record in records:
        grouped.setdefault(str(record.get("stage")), []).append(record)
    return {
        stage: tuple(sorted(group, key=lambda record: record.get("step", 0)))
        for stage, group in grouped.items()
    }


def _newest(records: list[Record]) -> tuple[Record, ...]:
    """The record of the largest step of each source.

    Each counts from the training's beginning, and a shorter training that was gone on from has left
    its own.
    """
    rising = sorted(records, key=lambda record: record.get("step", 0))
    return tuple({record.get("source"): record for record in rising}.values())


def _directory(run: RunDirectory, stage: str) -> Path:
    """Where a stage's outputs are: here, or in the run it is borrowed from."""
    found = run.find(stage)
    return found.directory if found else run.stage(stage)


def _stages(manifest: Manifest, events: list[Record]) -> tuple[StageFacts, ...]:
    """Stages in the order they were begun: those of the log, completed from the manifest.

    A stage that was started and has not ended since is unfinished, whatever stands in the manifest.
    """
    last = {str(event["stage"]): event for event in events}
    return tuple(
        _finished(name, manifest.stages[name])
        if name in manifest.stages and last.get(name, {}).get("state") not in UNFINISHED
        else _unfinished(name, last[name])
        for name in dict.fromkeys([*last, *manifest.stages])
    )


def _unfinished(name: str, event: Record) -> StageFacts:
    return StageFacts(name, str(event.get("state", "")), summary=own_values(event))


def _finished(name: str, record: StageRecord) -> StageFacts:
    return StageFacts(
        name, "finished", record.seconds, record.summary, record.versions, record.machine
    )


def _broken(events: list[Record]) -> tuple[Record, ...]:
    """Stages that failed or were interrupted, told as incidents."""
    return tuple(
        {**own_values(event), "stage": event["stage"], "what": BROKEN[event["state"]]}
        for event in events
        if event.get("state") in BROKEN
    )


def _skipped(events: list[Record]) -> dict[str, str]:
    """Stages that were left out, with the reason the log gives."""
    return {
        str(event.get("stage")): str(event.get("why", event.get("reason", "")))
        for event in events
        if event.get("state") == "skipped"
    }


def baselines(results: Any) -> dict[str, dict[str, float]]:
    """Model name -> source -> bits per byte, from `baseline/results.json`.

    The file holds `{"models": {model: {source: {"bits_per_byte": x, ...}}}}`; a plain number in the
    place of the innermost dict is read too.
    """
    table: dict[str, dict[str, float]] = {}
    models = results.get("models", {}) if isinstance(results, dict) else {}
    for model, sources in models.items():
        for source, value in sources.items():
            number = value.get("bits_per_byte") if isinstance(value, dict) else value
            if isinstance(number, int | float):
                table.setdefault(model, {})[source] = float(number)
    return table


def _tuning(summary: Mapping[str, Any], directory: Path) -> Tuning | None:
    """How many held-out answers kept the form, and the answers themselves."""
    written = read_json(directory / "answers.json")
    values = {**written, **summary} if isinstance(written, dict) else summary
    total = values.get("asked")
    shares: dict[str, Share] = {}
    if isinstance(total, int) and total > 0:
        for name in ("well_formed", "stopped"):
            count = values.get(name)
            if isinstance(count, int):
                shares[name] = Share(count, total, *wilson(count, total))
    answers = tuple(values.get("answers", ()))
    return Tuning(shares, answers) if shares or answers else None
