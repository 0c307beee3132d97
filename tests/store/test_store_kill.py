"""SIGKILL in the middle of tokenising: what was finished stays, the end is the same bytes.

A child process writes a store and kills itself at one of its dangerous moments: before or after a
task is encoded or a file renamed. It prints each moment, so the log shows where the kill fell.
"""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from stored_texts import files, write_two_sources

from hornbook.tokenizers.kinds.byte import ByteTokenizer

PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
directory, fatal = Path(sys.argv[1]), sys.argv[2]
sys.path.insert(0, sys.argv[3])
from stored_texts import write_two_sources
from hornbook.store import encoding
from hornbook.tokenizers.kinds.byte import ByteTokenizer

encoding.TASK_BYTES = 1  # every document is a task
moments = 0
one = threading.Lock()

def moment(what):
    global moments
    with one:
        moments += 1
        print(f"moment {moments}, {what}", flush=True)
        if fatal in f"moment {moments}, {what}":
            os.kill(os.getpid(), signal.SIGKILL)

def watch(owner, name, label):
    inner = getattr(owner, name)
    def watched(*args):
        moment(f"before {name} {label(*args)}")
        result = inner(*args)
        moment(f"after {name} {label(*args)}")
        return result
    setattr(owner, name, watched)

watch(ByteTokenizer, "encode_batch", lambda self, texts: f"tokenising {texts[0][:3]}")
watch(Path, "replace", lambda self, target: f"to {target.parent.name}/{target.name}")
write_two_sources(directory, workers=int(sys.argv[4]))
"""


def killed(directory: Path, fatal: str, workers: int = 1) -> str:
    """Run the child until it kills itself, or ends; return the last moment it saw."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", PROGRAM, str(directory), fatal, here, str(workers)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert child.returncode in (-9, 0), child.stderr
    return child.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("whole")
    write_two_sources(directory)
    return files(directory)


def kill_and_continue(
    directory: Path, fatal: str, whole: dict[str, bytes], workers: int = 1
) -> str:
    fell = killed(directory, fatal, workers)
    write_two_sources(directory, workers)
    assert files(directory) == whole, fell
    return fell


PLACES = {
    "tokenising": "before encode_batch tokenising a 4",
    "between the two renames": "before replace to a/documents-00001.bin",
    "between rename and list": "before replace to a/unfinished.json",
    "in the middle of a list": "after replace to a/unfinished.json",
    "before the manifest": "before replace to a/manifest.json",
    "after the manifest": "after replace to a/manifest.json",
    "in the next source": "before encode_batch tokenising b 8",
}


@pytest.mark.parametrize("place", list(PLACES))
def test_a_kill_loses_nothing(tmp_path: Path, whole: dict[str, bytes], place: str) -> None:
    fell = kill_and_continue(tmp_path, PLACES[place], whole)
    print(f"killed at {fell}")
    assert PLACES[place] in fell


MOMENTS = 125
"""At least so many moments has the child before its end."""


def test_a_kill_at_five_random_moments_of_two_threads_loses_nothing(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    for number in random.SystemRandom().sample(range(1, MOMENTS), 5):
        directory = tmp_path / str(number)
        fell = kill_and_continue(directory, f"moment {number},", whole, workers=2)
        print(f"killed at {fell}")
        assert fell.startswith(f"moment {number},"), "the child came to its end"


def test_finished_shards_are_not_tokenised_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "b 8" in killed(tmp_path, "before encode_batch tokenising b 8")
    again: list[str] = []
    inner = ByteTokenizer.encode_batch

    def watched(self: ByteTokenizer, texts: list[str]) -> list:
        again.extend(text[:3] for text in texts)
        return inner(self, texts)

    monkeypatch.setattr(ByteTokenizer, "encode_batch", watched)
    write_two_sources(tmp_path)
    assert [text for text in again if text[0] == "a"] == []
    assert sorted(text for text in again if text[0] == "b") == ["b 1", "b 1", "b 8", "b 9"]


@pytest.mark.slow
def test_a_kill_at_every_moment_loses_nothing(tmp_path: Path, whole: dict[str, bytes]) -> None:
    for number in range(1, 1000):
        fell = kill_and_continue(tmp_path / str(number), f"moment {number},", whole)
        if not fell.startswith(f"moment {number},"):  # the child came to its end
            break
    assert number > 50
