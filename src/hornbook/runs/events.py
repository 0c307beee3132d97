"""The log of a run: append-only, one JSON object a line, read back as an Arrow table.

Every line has `time` (UTC), `stage`, `fingerprint` (its first 12 characters), `kind` and, where it
belongs to one, `step`; then whatever values the kind has. After a kill, repeated steps stand twice
in the log: the reader keeps the last. A line torn by the kill is passed over.
"""

import json
import math
import numbers
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from hornbook.runs.atomic import reporting_full_disk

SHORT = 12
COLUMNS = ("time", "stage", "fingerprint", "kind", "step")
NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
# What tells two events of one step apart: a repeat has all of these in common.
IDENTITY = ("stage", "kind", "step", "source", "prompt", "what")


@dataclass(frozen=True)
class EventLog:
    """A log being written; one process writes it, and holds the run's lock.

    The file is opened for each event and held by nobody: that costs microseconds, and whoever
    reads, moves or kills finds it whole.
    """

    path: Path

    def bind(self, stage: str, fingerprint: str) -> "Events":
        """Return the writer that a stage is given."""
        return Events(self, stage, fingerprint[:SHORT])

    def append(self, event: dict[str, Any]) -> None:
        """Write one line, first ending one that a kill or a full disk has torn.

        Raises `StorageError` when the disk is full.
        """
        text = json.dumps(_plain(event), ensure_ascii=False, allow_nan=False)
        line = text.encode("utf-8", errors="replace") + b"\n"
        path = Path(self.path)
        with reporting_full_disk(path), path.open("ab+") as file:
            file.write(b"\n" + line if _is_torn(file) else line)


@dataclass(frozen=True)
class Events:
    """What a stage writes its events with."""

    log: EventLog
    stage: str
    fingerprint: str

    def write(self, kind: str, step: int | None = None, **values: Any) -> None:
        """Append one event; values are text, numbers, truth values, or lists and dicts of them."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        place = {"time": time, "stage": self.stage, "fingerprint": self.fingerprint, "kind": kind}
        self.log.append(place | ({} if step is None else {"step": step}) | values)

    def repeat(self, fingerprint: str, last_step: int) -> None:
        """Append what the log holds of this stage under an earlier fingerprint, up to a step.

        So that a training that is continued under a new fingerprint keeps its curve.
        """
        for event in list(_lines(Path(self.log.path))):
            earlier = event["stage"] == self.stage and event["fingerprint"] == fingerprint
            step = event.get("step")
            if earlier and isinstance(step, int) and step <= last_step:
                self.log.append(event | {"fingerprint": self.fingerprint})


def read_events(path: str | Path, stage: str | None = None, kind: str | None = None) -> pa.Table:
    """Read a log: each stage under its newest fingerprint, each repeated step once, its last.

    Columns are `time`, `stage`, `fingerprint`, `kind`, `step`, then every value that occurs in the
    chosen events, null where an event has none; nested values are JSON text. A missing log has no
    events.
    """
    events = list(_lines(Path(path)))
    newest = {event["stage"]: event["fingerprint"] for event in events}
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, event in enumerate(events):
        if event["fingerprint"] != newest[event["stage"]]:
            continue
        repeatable = event.get("step") is not None
        key = tuple(event.get(name) for name in IDENTITY) if repeatable else (number,)
        kept.pop(key, None)
        kept[key] = event
    chosen = [
        event
        for event in kept.values()
        if stage in (None, event["stage"]) and kind in (None, event["kind"])
    ]
    return _table(chosen)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and {"stage", "fingerprint", "kind"} <= event.keys():
                yield event


def _table(events: list[dict[str, Any]]) -> pa.Table:
    names = dict.fromkeys([*COLUMNS, *(name for event in events for name in event)])
    return pa.table({name: _column(name, [event.get(name) for event in events]) for name in names})


def _column(name: str, values: list[Any]) -> "pa.Array[Any]":
    """Give a column the type of its values: numbers if all are, else text."""
    kinds = {type(value) for value in values if value is not None}
    if name == "time":
        stamps = [None if value is None else datetime.fromisoformat(value) for value in values]
        return pa.array(stamps, pa.timestamp("ms", tz="UTC"))
    if not kinds or kinds in ({bool}, {int}):
        return pa.array(values, {bool: pa.bool_(), int: pa.int64()}[next(iter(kinds), int)])
    if kinds & {int, float} and all(_is_number(value) for value in values):
        return pa.array([NUMBERS.get(value, value) for value in values], pa.float64())
    return pa.array([_text(value) for value in values], pa.string())


def _is_number(value: Any) -> bool:
    return value is None or type(value) in (int, float) or (type(value) is str and value in NUMBERS)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Reduce to what JSON holds: NumPy's numbers to Python's, NaN and infinities to text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"an event cannot hold {type(value).__name__}: {value!r}")


def _is_torn(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
