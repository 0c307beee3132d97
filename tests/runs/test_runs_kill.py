"""SIGKILL at every single change of the disk: the same command again ends with the same bytes."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy_stages import go, outputs

from hornbook.runs import atomic
from hornbook.runs.directory import RunDirectory

# Every call by which a run changes the disk; each is a place where a kill can fall before it.
CHANGES: tuple[tuple[Any, str], ...] = (
    (Path, "rename"),
    (Path, "replace"),
    (Path, "mkdir"),
    (Path, "unlink"),
    (Path, "write_text"),
    (os, "unlink"),
    (os, "rmdir"),
    (shutil, "rmtree"),
    (atomic, "write_bytes"),
    (atomic.os, "fsync"),
)
A: dict[str, Any] = {}
B: dict[str, Any] = {"words.count": 2, "repeated.factor": 3.0}
SKIPPING: dict[str, Any] = {"told.greeting": ""}


def build(run: RunDirectory) -> None:
    go(run, A)


def change(run: RunDirectory) -> None:
    go(run, A)
    go(run, B)


def damage(run: RunDirectory) -> None:
    go(run, A)
    for name in ("words/1.txt", "repeated/inner/all.txt"):
        (run.path / name).write_bytes(b"damaged")


def skip(run: RunDirectory) -> None:
    go(run, A)
    go(run, B | SKIPPING)


# name -> what was done before, and the recipe under which the kills fall
SCENARIOS: dict[str, tuple[Callable[[RunDirectory], None], dict[str, Any]]] = {
    "fresh": (lambda run: None, A),
    "replacing": (build, B),
    "restoring": (change, A),
    "rebuilding": (damage, A),
    "skipping": (build, SKIPPING),
    "unskipping": (skip, A),
}

# Where a kill can fall, as the log of kills shows it.
PLACES: dict[str, Callable[[str], bool]] = {
    "while a shard is written": lambda x: x.startswith("replace") and "words.partial-" in x,
    "while the manifest is written": lambda x: x.startswith("replace") and "manifest.json" in x,
    "between write and rename": lambda x: x.startswith("rename") and x.endswith("run/told"),
    "while moving into the archive": lambda x: bool(re.match(r"rename .* \S*/archive/", x)),
    "while moving out of the archive": lambda x: bool(re.match(r"rename \S*/archive/", x)),
    "while removing what was damaged": lambda x: bool(re.match(r"rmtree \S*run/words$", x)),
}
BUILDING = ("while a shard is written", "while the manifest is written")
FELL = {
    "fresh": (*BUILDING, "between write and rename"),
    "replacing": (*BUILDING, "between write and rename", "while moving into the archive"),
    "restoring": ("while moving into the archive", "while moving out of the archive"),
    "rebuilding": (*BUILDING, "while removing what was damaged"),
    "skipping": ("while the manifest is written", "while moving into the archive"),
    "unskipping": ("between write and rename", "while moving into the archive"),
}


def killed_after(count: int, run: RunDirectory, recipe: dict[str, Any], log: Path) -> int:
    """Fork a child that is killed just before its change number `count`; return its status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    left = count

    def counted(owner: Any, name: str) -> None:
        change = getattr(owner, name)

        def killing(*arguments: Any, **keywords: Any) -> Any:
            nonlocal left
            if left == 0:
                with log.open("a", encoding="utf-8") as file:
                    file.write(f"{name} {' '.join(map(str, arguments))}\n")
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return change(*arguments, **keywords)

        setattr(owner, name, killing)

    for owner, name in CHANGES:
        counted(owner, name)
    try:
        go(run, recipe)
    finally:
        os._exit(0)


def kills(
    run: RunDirectory, prepared: Path, recipe: dict[str, Any], log: Path, stride: int
) -> Iterator[int]:
    """Kill at one change after another, each time from the prepared state, until none is left."""
    for count in range(0, 10_000, stride):
        shutil.rmtree(run.path, ignore_errors=True)
        if prepared.exists():
            shutil.copytree(prepared, run.path)
        if killed_after(count, run, recipe, log) == 0:
            return
        yield count


def check(scenario: str, tmp_path: Path, stride: int) -> list[str]:
    """Run one scenario and return the log of where the kills fell."""
    prepare, recipe = SCENARIOS[scenario]
    reference = RunDirectory(tmp_path / "reference")
    go(reference, recipe)
    expected = outputs(reference)
    first = RunDirectory(tmp_path / "prepared")
    prepare(first)
    run, log = RunDirectory(tmp_path / "run"), tmp_path / "kills.log"
    for count in kills(run, first.path, recipe, log, stride):
        states = go(run, recipe)
        assert outputs(run) == expected, (count, states)
        assert set(go(run, recipe).values()) <= {"up to date", "skipped"}, count
        assert not list(run.path.glob("*.partial-*")), count
        assert len(list(run.archive_path.glob("*"))) <= 3, count
        go(run, A)
        assert outputs(run)["words/2.txt"] == b"word 2 of 1\n", count
    return log.read_text("utf-8").splitlines()


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_kill_at_some_changes_of_the_disk_costs_nothing(scenario: str, tmp_path: Path) -> None:
    assert check(scenario, tmp_path, stride=7)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_kill_at_any_change_of_the_disk_costs_nothing(scenario: str, tmp_path: Path) -> None:
    log = check(scenario, tmp_path, stride=1)
    for where in FELL[scenario]:
        assert any(PLACES[where](line) for line in log), f"no kill fell {where}"


SCRIPT = """
import os, pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
from toy_stages import go
from hornbook.runs.directory import RunDirectory
rename = pathlib.Path.rename
def kill(self, target):
    if target.name == "repeated":
        print(f"killed between write and rename: {self.name} -> {target.name}", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
pathlib.Path.rename = kill
go(RunDirectory(sys.argv[2]))
"""


def test_a_real_process_killed_between_write_and_rename(run: RunDirectory, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(run.path)],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL
    assert "killed between write and rename: repeated.partial-" in ended.stdout
    assert not run.stage("repeated").exists()
    assert go(run) == {"words": "up to date", "repeated": "up to date", "told": "finished"}
    reference = RunDirectory(tmp_path / "reference")
    go(reference)
    assert outputs(run) == outputs(reference)
