"""SIGKILL anywhere in a whole run: the same command again ends with the same bytes.

The child prints where it was killed, so that the log shows that the kill fell where it should.
"""

import json
import signal
import subprocess
import sys

import pytest

import hornbook

KILLED = """
import importlib, json, os, signal, sys

import hornbook

directory, settings, place, times, workers = sys.argv[1:]
module, name = place.rsplit(".", 1)
owner = importlib.import_module(module.partition(":")[0])
for part in filter(None, module.partition(":")[2].split(".")):
    owner = getattr(owner, part)
real, calls = getattr(owner, name), []

def counted(*arguments, **keywords):
    calls.append(None)
    if len(calls) == int(times):
        told = [str(a).rpartition("/")[2] for a in arguments if hasattr(a, "parts")]
        print(f"killed at call {times} of {place} {told}", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **keywords)

setattr(owner, name, counted)
overrides = json.loads(settings) | {"pretraining.loader_workers": int(workers)}
hornbook.run("demo", directory, overrides)
"""
POINTS = {
    "reading": ("hornbook.corpus.readers.plain_text.read", 20),
    "tokenising": ("hornbook.tokenizers.kinds.byte_bpe:ByteBPE.encode_batch", 1),
    "training": ("hornbook.training.loop.advance", 6),
    "in the middle of a save": ("hornbook.checkpoints.write.write_text", 2),
    "between a checkpoint's write and its rename": (
        "hornbook.checkpoints.write.rename_directory",
        2,
    ),
    "between a stage's write and its rename": ("hornbook.runs.archive.rename_directory", 3),
}


def made(directory) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for stage in ("corpus", "tokenizer", "store", "baseline", "pretraining")
        for path in sorted((directory / stage).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, settings):
    return made(hornbook.run("demo", tmp_path_factory.mktemp("runs") / "whole", settings).directory)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_ends_with_the_same_bytes(point, workers, unbroken, tmp_path, settings):
    place, times = POINTS[point]
    directory = tmp_path / "run"
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED,
            directory,
            json.dumps(settings),
            place,
            str(times),
            str(workers),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"{point}, {workers} workers: {killed.stdout.strip()}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert f"killed at call {times} of {place}" in killed.stdout
    hornbook.run("demo", directory, settings | {"pretraining.loader_workers": workers})
    found = made(directory)
    assert found.keys() == unbroken.keys()
    assert [name for name in unbroken if found[name] != unbroken[name]] == []
