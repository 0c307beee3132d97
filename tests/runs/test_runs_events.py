import errno
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.errors import StorageError
from hornbook.runs.events import EventLog, read_events


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "events.jsonl")


def test_an_event_is_one_json_line_at_once(log: EventLog) -> None:
    log.bind("pretraining", "0123456789abcdef").write("metric", step=3, loss=1.5, text="Grüße\n")
    (line,) = log.path.read_text("utf-8").splitlines()
    event = json.loads(line)
    time = datetime.fromisoformat(event.pop("time"))
    assert abs(datetime.now(UTC) - time) < timedelta(minutes=1)
    assert event == {
        "stage": "pretraining",
        "fingerprint": "0123456789ab",
        "kind": "metric",
        "step": 3,
        "loss": 1.5,
        "text": "Grüße\n",
    }


def test_the_table_has_typed_columns(log: EventLog) -> None:
    events = log.bind("pretraining", "a")
    events.write("metric", step=0, loss=np.float32(0.5), tokens=np.int64(7), fine=True)
    events.write("metric", step=1, loss=2, tokens=8, note={"a": [1]})
    events.write("decision", what="precision", why="bf16 is fast here")
    table = read_events(log.path)
    types = {field.name: field.type for field in table.schema}
    assert types.pop("time") == pa.timestamp("ms", tz="UTC")
    assert types == {
        "stage": pa.string(),
        "fingerprint": pa.string(),
        "kind": pa.string(),
        "step": pa.int64(),
        "loss": pa.float64(),
        "tokens": pa.int64(),
        "fine": pa.bool_(),
        "note": pa.string(),
        "what": pa.string(),
        "why": pa.string(),
    }
    assert table["loss"].to_pylist() == [0.5, 2.0, None]
    assert table["note"].to_pylist() == [None, '{"a": [1]}', None]


def test_values_that_are_no_numbers_stay_valid_json_and_come_back(log: EventLog) -> None:
    events = log.bind("pretraining", "a")
    for step, loss in enumerate([1.0, math.nan, math.inf, -math.inf]):
        events.write("metric", step=step, loss=loss, text="nan")
    for line in log.path.read_text("utf-8").splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    table = read_events(log.path)
    assert np.array_equal(
        table["loss"].to_numpy(), [1.0, math.nan, math.inf, -math.inf], equal_nan=True
    )
    assert table["text"].to_pylist() == ["nan"] * 4


def test_stage_and_kind_choose_rows_and_their_columns(log: EventLog) -> None:
    log.bind("a", "1").write("metric", step=0, loss=1.0)
    log.bind("a", "1").write("sample", step=0, text="x")
    log.bind("b", "2").write("metric", step=0, loss=2.0)
    assert read_events(log.path, stage="a")["kind"].to_pylist() == ["metric", "sample"]
    assert read_events(log.path, kind="metric")["loss"].to_pylist() == [1.0, 2.0]
    assert "text" not in read_events(log.path, stage="a", kind="metric").column_names


def test_repeated_steps_keep_the_last(log: EventLog) -> None:
    events = log.bind("a", "1")
    for step, loss in [(0, 1.0), (1, 0.9), (2, 0.8), (1, 0.91), (2, 0.81), (3, 0.7)]:
        events.write("metric", step=step, loss=loss)
    table = read_events(log.path)
    assert table["step"].to_pylist() == [0, 1, 2, 3]
    assert table["loss"].to_pylist() == [1.0, 0.91, 0.81, 0.7]


def test_rows_stand_in_the_order_of_the_log(log: EventLog) -> None:
    events = log.bind("a", "1")
    for kind, step in [("metric", 0), ("metric", 1), ("sample", 0), ("metric", 1)]:
        events.write(kind, step=step)
    assert read_events(log.path)["kind"].to_pylist() == ["metric", "sample", "metric"]


def test_what_differs_within_a_step_is_no_repeat(log: EventLog) -> None:
    events = log.bind("a", "1")
    for _ in range(2):
        events.write("evaluation", step=5, source="code", bits_per_byte=1.0)
        events.write("evaluation", step=5, source="docs", bits_per_byte=2.0)
        events.write("sample", step=5, prompt="def", text="x")
        events.write("sample", step=5, prompt="class", text="y")
        events.write("incident", step=5, what="checkpoint 3 is damaged")
        events.write("incident", step=5, what="checkpoint 4 is damaged")
    assert read_events(log.path).num_rows == 6


def test_events_without_a_step_all_stay(log: EventLog) -> None:
    for _ in range(3):
        log.bind("a", "1").write("decision", what="precision", why="bf16")
    assert read_events(log.path).num_rows == 3


def test_events_of_an_older_fingerprint_are_not_shown_until_it_returns(log: EventLog) -> None:
    log.bind("a", "old").write("metric", step=0, loss=1.0)
    log.bind("b", "same").write("metric", step=0, loss=5.0)
    log.bind("a", "new").write("metric", step=0, loss=2.0)
    assert read_events(log.path, kind="metric")["loss"].to_pylist() == [5.0, 2.0]
    log.bind("a", "old").write("stage", state="restored")
    assert read_events(log.path, kind="metric")["loss"].to_pylist() == [1.0, 5.0]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 400))
def test_a_torn_line_is_passed_over_and_the_next_one_is_whole(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        log = EventLog(path)
        for step in range(3):
            log.bind("a", "1").write("metric", step=step, loss=1.0, text="größer")
        whole = path.read_bytes()
        cut = min(cut, len(whole))
        path.write_bytes(whole[:cut])
        torn = whole[:cut]
        complete = torn.count(b"\n") + (1 if whole[cut : cut + 1] == b"\n" else 0)
        assert read_events(path).num_rows == complete
        again = EventLog(path)
        again.bind("a", "1").write("metric", step=9, loss=0.0)
        steps = read_events(path)["step"].to_pylist()
        assert steps == [*range(complete), 9]


def test_lines_that_are_no_events_are_passed_over(log: EventLog) -> None:
    log.path.write_bytes(b'[1]\n{}\n\xff\xfe\nnull\n{"stage": "a"}\n')
    log.bind("a", "1").write("metric", step=0)
    assert read_events(log.path).num_rows == 1


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    table = read_events(tmp_path / "none.jsonl")
    assert table.num_rows == 0
    assert table.column_names == ["time", "stage", "fingerprint", "kind", "step"]


def test_what_json_cannot_hold_is_refused_and_leaves_no_line(log: EventLog) -> None:
    value: Any = object()
    with pytest.raises(TypeError, match="object"):
        log.bind("a", "1").write("metric", step=0, loss=value)
    assert not log.path.exists()


def test_a_lone_surrogate_does_not_stop_the_log(log: EventLog) -> None:
    log.bind("a", "1").write("sample", step=0, text="\ud800")
    assert read_events(log.path).num_rows == 1


def test_a_full_disk_is_one_clear_error_and_the_log_goes_on(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **keywords: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    events = log.bind("a", "1")
    events.write("metric", step=0)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(StorageError, match=r"events\.jsonl: .*disk is full"):
            events.write("metric", step=1)
    events.write("metric", step=2)
    assert read_events(log.path)["step"].to_pylist() == [0, 2]
