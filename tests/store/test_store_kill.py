"""SIGKILL in the middle of tokenising: what was finished stays, the end is the same bytes.

A child process writes a store and kills itself at the n-th of its dangerous moments: before a batch
is encoded, before a flush, before and after a rename. It prints each moment, so the log shows
where the kill fell.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from stored_texts import files

from hornbook.store import open_store

PROGRAM = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.store.writer import write_store
from hornbook.tokenizers.byte import ByteTokenizer

directory, fatal = Path(sys.argv[1]), int(sys.argv[2])
moments = 0

def moment(what):
    global moments
    print(moments, what, flush=True)
    if moments == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    moments += 1

def watch(owner, name, label):
    inner = getattr(owner, name)
    def watched(*args):
        moment(f"before {name} {label(*args)}")
        result = inner(*args)
        moment(f"after {name} {label(*args)}")
        return result
    setattr(owner, name, watched)

watch(ByteTokenizer, "encode_batch", lambda self, texts: f"tokenising {texts[0][:6]!r}")
watch(os, "fsync", lambda descriptor: "")
watch(Path, "replace", lambda self, target: f"to {target.parent.name}/{target.name}")

def batches(source):
    for start in range(0, 12, 4):
        texts = [f"{source} {n} " * 5 for n in range(start, start + 4)]
        yield pa.record_batch({"id": pa.array(texts), "text": pa.array(texts, pa.large_string())})

sources = {"a": batches("a"), "b": batches("b")}
write_store({"train": sources, "validation": {"a": batches("v")}}, ByteTokenizer(), directory,
            shard_tokens=120, progress=Progress(quiet=True), stop=StopSignal())
print("end of work")
"""


def child(directory: Path, fatal: int) -> list[str]:
    """The moments the child lived through."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(directory), str(fatal)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == (-9 if not done.stdout.endswith("end of work\n") else 0), done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[str]]:
    directory = tmp_path_factory.mktemp("whole")
    moments = child(directory, -1)
    return files(directory), moments


def kill_and_continue(directory: Path, fatal: int, whole: dict[str, bytes]) -> str:
    killed = child(directory, fatal)
    assert "end of work" not in killed
    finished = {path: path.stat().st_ino for path in directory.rglob("tokens-*.bin")}
    listed = {path.parent for path in directory.rglob("*.json")}
    child(directory, -1)
    assert files(directory) == whole
    for path, number in finished.items():
        if (path.parent / "manifest.json") in listed:
            assert path.stat().st_ino == number, f"{path} was written again"
    return killed[-1]


PLACES = {
    "tokenising": "before encode_batch tokenising 'a 4",
    "between the two renames": "before replace to a/documents-00001.bin",
    "between rename and list": "before replace to a/unfinished.json",
    "before the manifest": "before replace to a/manifest.json",
    "after the manifest": "after replace to a/manifest.json",
    "next source": "before encode_batch tokenising 'b 8",
}


@pytest.mark.parametrize("place", list(PLACES))
def test_a_kill_loses_nothing(
    tmp_path: Path, whole: tuple[dict[str, bytes], list[str]], place: str
) -> None:
    expected, moments = whole
    fatal = next(n for n, moment in enumerate(moments) if PLACES[place] in moment)
    fell = kill_and_continue(tmp_path, fatal, expected)
    print(f"killed at moment {fell}")
    assert PLACES[place] in fell


def test_finished_shards_are_not_tokenised_again(
    tmp_path: Path, whole: tuple[dict[str, bytes], list[str]]
) -> None:
    _, moments = whole
    child(tmp_path, next(n for n, moment in enumerate(moments) if "tokenising 'b 8" in moment))
    again = [moment for moment in child(tmp_path, -1) if "before encode_batch" in moment]
    assert not any("'a " in moment for moment in again)
    assert not any("'b 0" in moment for moment in again)
    assert open_store(tmp_path).splits["train"]["a"].documents == 12


@pytest.mark.slow
def test_a_kill_at_every_moment_loses_nothing(
    tmp_path: Path, whole: tuple[dict[str, bytes], list[str]]
) -> None:
    expected, moments = whole
    for fatal in range(len(moments) - 1):
        fell = kill_and_continue(tmp_path / str(fatal), fatal, expected)
        print(f"killed at moment {fell}")
