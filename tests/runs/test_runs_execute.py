import errno
import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import toy_stages
from toy_stages import STAGES, go, outputs, recipe_of

from hornbook.errors import Interrupted, RecipeError, StorageError
from hornbook.runs.directory import RunDirectory
from hornbook.runs.events import read_events
from hornbook.runs.execute import execute, plan_stages, summary_text
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.runs.stage import Stage, StageContext

UP_TO_DATE = {"words": "up to date", "repeated": "up to date", "told": "up to date"}
FINISHED = {"words": "finished", "repeated": "finished", "told": "finished"}


def planned(run: RunDirectory, **changes: Any) -> dict[str, tuple[str, str]]:
    recipe = recipe_of({key.replace("__", "."): value for key, value in changes.items()})
    return {item.stage: (item.action, item.why) for item in plan_stages(STAGES, recipe, run)}


def states(run: RunDirectory) -> list[tuple[str, str]]:
    table = read_events(run.events_path, kind="stage")
    return list(zip(table["stage"].to_pylist(), table["state"].to_pylist(), strict=True))


def test_a_fresh_run_is_made_and_then_up_to_date(run: RunDirectory) -> None:
    assert go(run) == FINISHED
    made = outputs(run)
    assert made["words/0.txt"] == b"word 0 of 1\n"
    assert go(run) == UP_TO_DATE
    assert outputs(run) == made
    assert states(run) == [
        *((name, state) for name in FINISHED for state in ("started", "finished")),
        *((name, "up to date") for name in FINISHED),
    ]


def test_each_stage_says_one_line(run: RunDirectory) -> None:
    said = io.StringIO()
    for _ in range(2):
        execute(STAGES, recipe_of(), run, progress=Progress(stream=said), stop=StopSignal())
    lines = said.getvalue().splitlines()
    assert lines[0].startswith("words       done in 0.")
    assert lines[0].endswith(" s  (words 3)")
    assert lines[1].endswith("(characters 72, share 0.1235)")
    assert lines[2].startswith("told        done in ")
    assert lines[3:] == [
        "words       up to date",
        "repeated    up to date",
        "told        up to date",
    ]


def test_summaries_show_plain_values() -> None:
    summary = {"bytes_per_token": 3.14159, "documents": 12345, "kind": "byte", "nested": {}}
    assert summary_text(summary) == "bytes per token 3.142, documents 12,345, kind byte"


def test_a_changed_option_reruns_its_stage_and_those_after_it(run: RunDirectory) -> None:
    go(run)
    assert planned(run, repeated__factor=3.0) == {
        "words": ("up to date", ""),
        "repeated": ("build", "repeated.factor 2.0 -> 3.0"),
        "told": ("depends", "repeated first"),
    }
    assert go(run, {"repeated.factor": 3.0}) == FINISHED | {"words": "up to date"}
    assert outputs(run)["repeated/inner/all.txt"].count(b"word 0") == 3


def test_what_was_replaced_waits_in_the_archive_and_is_restored(run: RunDirectory) -> None:
    go(run)
    first, record = outputs(run), run.manifest().stages["repeated"]
    go(run, {"repeated.factor": 3.0})
    second = outputs(run)
    waiting = run.archive("repeated", record.fingerprint) / "inner" / "all.txt"
    assert waiting.read_bytes() == first["repeated/inner/all.txt"]
    assert planned(run)["repeated"] == ("restore", "found in the archive")
    assert go(run) == {"words": "up to date", "repeated": "restored", "told": "restored"}
    assert outputs(run) == first
    assert run.manifest().stages["repeated"] == record
    assert go(run, {"repeated.factor": 3.0})["repeated"] == "restored"
    assert outputs(run) == second


def test_only_the_newest_of_each_stage_stays_in_the_archive(run: RunDirectory) -> None:
    for factor in (2.0, 3.0, 4.0, 5.0):
        go(run, {"repeated.factor": factor})
    assert sorted(path.name.split("-")[0] for path in run.archive_path.iterdir()) == [
        "repeated",
        "told",
    ]
    assert go(run, {"repeated.factor": 4.0})["repeated"] == "restored"
    assert go(run, {"repeated.factor": 3.0})["repeated"] == "finished"


def test_an_unhashed_option_changes_nothing(run: RunDirectory) -> None:
    go(run)
    assert go(run, {"words.color": "blue"}) == UP_TO_DATE


def test_what_is_read_outside_counts(run: RunDirectory) -> None:
    go(run)
    toy_stages.OUTSIDE["dictionary"] = "2"
    assert "outside" in planned(run)["words"][1]
    assert go(run) == FINISHED


def test_a_higher_revision_reruns_a_stage(run: RunDirectory) -> None:
    go(run)
    revised = (STAGES[0], Stage(**{**vars(STAGES[1]), "revision": 2}), STAGES[2])
    done = execute(revised, recipe_of(), run, progress=Progress(quiet=True), stop=StopSignal())
    assert done == {"words": "up to date", "repeated": "finished", "told": "up to date"}, (
        "the same bytes again leave those after it up to date"
    )


@pytest.mark.parametrize("harm", ["flip", "shorten", "remove", "remove all"])
@pytest.mark.parametrize("name", ["words/1.txt", "repeated/inner/all.txt", "told/told.json"])
def test_a_damaged_stage_alone_is_rebuilt(run: RunDirectory, name: str, harm: str) -> None:
    go(run)
    good = outputs(run)
    path, stage = run.path / name, name.split("/")[0]
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    if harm == "flip":
        path.write_bytes(data)
    elif harm == "shorten":
        path.write_bytes(data[:-1])
    elif harm == "remove":
        path.unlink()
    else:
        toy_stages_remove(run.stage(stage))
    assert planned(run)[stage][0] == "build"
    assert str(run.stage(stage)) in planned(run)[stage][1]
    assert go(run) == UP_TO_DATE | {stage: "finished"}
    assert outputs(run) == good
    assert go(run) == UP_TO_DATE


def toy_stages_remove(directory: Path) -> None:
    for path in sorted(directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    directory.rmdir()


def test_a_damaged_archive_is_not_restored(run: RunDirectory) -> None:
    go(run)
    good, record = outputs(run), run.manifest().stages["repeated"]
    go(run, {"repeated.factor": 3.0})
    (run.archive("repeated", record.fingerprint) / "inner" / "all.txt").write_bytes(b"bad")
    assert go(run) == {"words": "up to date", "repeated": "finished", "told": "restored"}
    assert outputs(run) == good
    assert go(run) == UP_TO_DATE


def test_a_skipped_stage_leaves_no_result_behind(run: RunDirectory) -> None:
    go(run)
    told = outputs(run)["told/told.json"]
    assert planned(run, told__greeting="")["told"] == ("skip", "there is no greeting")
    assert go(run, {"told.greeting": ""})["told"] == "skipped"
    assert not run.stage("told").exists()
    assert "told" not in run.manifest().stages
    assert go(run)["told"] == "restored"
    assert outputs(run)["told/told.json"] == told


def test_what_reads_a_skipped_stage_runs_without_it(run: RunDirectory) -> None:
    late = Stage("late", "test_runs_execute:late", reads=("words", "told"))
    stages = (*STAGES, late)
    for greeting, inputs in (("", ["words"]), ("hello", ["told", "words"])):
        execute(
            stages,
            recipe_of({"told.greeting": greeting}),
            run,
            progress=Progress(quiet=True),
            stop=StopSignal(),
        )
        assert json.loads((run.stage("late") / "inputs.json").read_text("utf-8")) == inputs


def late(context: StageContext) -> None:
    text = json.dumps(sorted(context.inputs))
    (context.directory / "inputs.json").write_text(text, encoding="utf-8")


def test_only_names_stages_and_what_they_read(run: RunDirectory) -> None:
    quiet: dict[str, Any] = {"progress": Progress(quiet=True), "stop": StopSignal()}
    done = execute(STAGES, recipe_of(), run, **quiet, only=["repeated"])
    assert done == {"words": "finished", "repeated": "finished"}
    assert not run.stage("told").exists()
    with pytest.raises(RecipeError, match=r"wrods: no stage .*words, repeated, told"):
        execute(STAGES, recipe_of(), run, **quiet, only=["wrods"])


def test_a_table_must_stand_in_reading_order(run: RunDirectory) -> None:
    for stages in ((STAGES[1], STAGES[0]), (STAGES[0], STAGES[0])):
        with pytest.raises(ValueError, match="stands twice, or reads a stage below it"):
            plan_stages(stages, recipe_of(), run)


def test_a_plan_changes_nothing(run: RunDirectory) -> None:
    assert planned(run)["words"] == ("build", "not made yet")
    assert not run.path.exists()


def test_an_interrupted_stage_keeps_its_shards_and_continues(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = toy_stages.write_text, []

    def write_and_ask(path: Path, text: str) -> None:
        write(path, text)
        written.append(path.name)
        if len(written) == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(toy_stages, "write_text", write_and_ask)
    with StopSignal() as stop, pytest.raises(Interrupted) as caught:
        go(run, stop=stop)
    assert caught.value.exit_code == 143
    assert states(run)[-1] == ("words", "interrupted")
    assert planned(run)["words"] == ("build", "continues where it stopped")
    assert go(run) == FINISHED
    assert written == ["0.txt", "1.txt", "2.txt"]


def test_an_interrupted_rebuild_continues_too(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(run)
    good = outputs(run)
    (run.stage("words") / "1.txt").write_bytes(b"damaged")
    write, written = toy_stages.write_text, []

    def write_twice(path: Path, text: str) -> None:
        if len(written) == 2:
            written.append("stop")
            raise KeyboardInterrupt
        write(path, text)
        written.append(path.name)

    monkeypatch.setattr(toy_stages, "write_text", write_twice)
    with pytest.raises(KeyboardInterrupt):
        go(run)
    assert (run.stage("words") / "2.txt").exists(), "what is there stays until it is replaced"
    assert go(run)["words"] == "finished"
    assert written == ["0.txt", "1.txt", "stop", "2.txt"]
    assert outputs(run) == good
    assert run.manifest().damaged == ()


def test_a_stop_between_stages_is_heard(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    with StopSignal() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            go(run, stop=stop)
    assert run.manifest().stages == {}


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3)])
def test_a_failing_stage_is_written_down_and_what_was_before_stays(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(context: StageContext) -> None:
        (context.directory / "half.txt").write_text("half", encoding="utf-8")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(toy_stages, "repeated", fail)
        with pytest.raises(type(error)):
            go(run)
    state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
    assert states(run)[-1] == ("repeated", state)
    assert set(run.manifest().stages) == {"words"}
    assert go(run) == FINISHED | {"words": "up to date"}


@pytest.mark.parametrize("place", ["stage", "manifest", "event"])
def test_a_full_disk_is_one_clear_error_and_loses_nothing(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    go(run)
    good, kept = outputs(run), run.manifest()

    def full(*arguments: Any, **keywords: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if place == "stage":
            patch.setattr(toy_stages, "repeated", full)
        elif place == "manifest":
            patch.setattr(Path, "replace", full)
        else:
            patch.setattr("hornbook.runs.events._is_torn", full)
        with pytest.raises(StorageError, match="disk is full") as caught:
            go(run, {"repeated.factor": 3.0})
    assert len(str(caught.value).splitlines()) == 1
    assert outputs(run) == good
    assert run.manifest() == kept
    assert go(run, {"repeated.factor": 3.0})["repeated"] == "finished"
    assert go(run) == {"words": "up to date", "repeated": "restored", "told": "restored"}
    assert outputs(run) == good


def test_events_show_the_stage_under_its_newest_options_only(run: RunDirectory) -> None:
    go(run, {"words.count": 5})
    go(run, {"words.count": 2})
    assert read_events(run.events_path, "words", "metric")["step"].to_pylist() == [0, 1]
    go(run, {"words.count": 5})
    assert read_events(run.events_path, "words", "metric")["step"].to_pylist() == [0, 1, 2, 3, 4]


def test_what_was_begun_under_other_options_goes_when_the_stage_is_finished(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(toy_stages, "words", lambda context: 1 / 0)
        for count in (4, 5):
            with pytest.raises(ZeroDivisionError):
                go(run, {"words.count": count})
    assert len(list(run.path.glob("words.partial-*"))) == 2
    go(run, {"words.count": 5})
    assert list(run.path.glob("*.partial-*")) == []
