import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import toy_stages
from toy_stages import go, outputs, recipe_of

from hornbook.errors import InputError, LockedError, StorageError, VersionError
from hornbook.runs.directory import RunDirectory, lock, recorded

HOLDER = """
import sys, time
from hornbook.runs.directory import RunDirectory, lock
with lock(RunDirectory(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(run: RunDirectory) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.stdout.close()
    return process


def test_the_layout_is_the_promised_one(run: RunDirectory) -> None:
    go(run)
    go(run, {"told.greeting": "good day"})
    found = sorted(path.name for path in run.path.iterdir() if not path.name.startswith("."))
    stages = [stage.name for stage in toy_stages.STAGES]
    assert found == sorted(["recipe.toml", "manifest.json", "events.jsonl", "archive", *stages])
    assert run.recipe_path == run.path / "recipe.toml"
    assert run.events_path == run.path / "events.jsonl"
    assert run.report_path == run.path / "report.html"
    assert run.stage("words") == run.path / "words"
    assert run.archive("told", "0123456789abcdef") == run.path / "archive" / "told-0123456789ab"


def test_the_manifest_holds_everything_about_a_stage(run: RunDirectory) -> None:
    go(run)
    content = json.loads(run.manifest_path.read_text("utf-8"))
    assert content["format"] == 1
    record = content["stages"]["repeated"]
    assert set(record) == {
        "fingerprint",
        "inputs",
        "outputs",
        "seconds",
        "versions",
        "machine",
        "summary",
        "finished",
    }
    assert {"hornbook", "python", "numpy", "torch", "tokenizers"} <= set(record["versions"])
    assert record["machine"]["cores"] == os.cpu_count()
    assert record["outputs"] == {
        "inner/all.txt": {"bytes": 72, "xxh3": record["outputs"]["inner/all.txt"]["xxh3"]}
    }
    assert len(record["inputs"]["words"]["digest"]) == 32
    assert record["summary"]["characters"] == 72


def test_a_second_process_is_refused_at_once_by_name(run: RunDirectory) -> None:
    go(run)
    process = holder(run)
    try:
        with pytest.raises(LockedError, match=f"{run.path}: another process"):
            go(run)
    finally:
        process.kill()
        process.wait()


def test_the_lock_dies_with_a_killed_holder(run: RunDirectory) -> None:
    go(run)
    process = holder(run)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert set(go(run).values()) == {"up to date"}


def test_the_lock_holds_within_one_process_too(run: RunDirectory) -> None:
    go(run)
    with lock(run), pytest.raises(LockedError):
        go(run)
    go(run)


def test_a_lock_needs_a_run(run: RunDirectory) -> None:
    with pytest.raises(InputError, match="no such run"), lock(run):
        pass


def test_a_run_of_a_newer_format_is_left_alone(run: RunDirectory) -> None:
    go(run)
    content = json.loads(run.manifest_path.read_text("utf-8"))
    run.manifest_path.write_text(json.dumps(content | {"format": 2}), encoding="utf-8")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    for attempt in (lambda: go(run, {"words.count": 2}), lambda: recorded(run), run.manifest):
        with pytest.raises(VersionError, match=r"newer Hornbook \(format 2.*update"):
            attempt()
    assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 1}', '{"format": "x"}'])
def test_a_manifest_that_cannot_be_read_is_one_clear_error(run: RunDirectory, content: str) -> None:
    go(run)
    kept = outputs(run)
    run.manifest_path.write_text(content, encoding="utf-8")
    with pytest.raises(StorageError, match=r"manifest\.json: the manifest .*cannot be read"):
        go(run)
    assert outputs(run) == kept


def test_a_folder_that_is_no_run_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"not a run .*holds words"):
        go(RunDirectory(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["words"]


def test_something_foreign_in_a_stages_place_is_never_overwritten(run: RunDirectory) -> None:
    go(run, {"told.greeting": ""})
    run.stage("told").mkdir()
    (run.stage("told") / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="told: stands where stage told belongs"):
        go(run)
    assert (run.stage("told") / "mine.txt").read_text("utf-8") == "mine"


def test_a_file_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="a file, not a run directory"):
        go(RunDirectory(tmp_path / "run"))


def test_the_resolved_recipe_is_recorded_and_read_back(run: RunDirectory) -> None:
    assert recorded(run) == {}
    go(run, {"words.count": 2, "words.color": "blue"})
    found = recorded(run)
    assert found["words"] == {"count": 2, "color": "blue"}
    assert toy_stages.read(found, toy_stages.SECTIONS) == recipe_of(
        {"words.count": 2, "words.color": "blue"}
    )


def test_a_recorded_recipe_that_cannot_be_read_is_one_clear_error(run: RunDirectory) -> None:
    go(run)
    run.recipe_path.write_text("[words\n", encoding="utf-8")
    with pytest.raises(StorageError, match=r"recipe\.toml: the recorded recipe cannot be read"):
        go(run)
