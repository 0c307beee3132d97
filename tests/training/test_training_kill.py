"""SIGKILL while training, in the middle of a save, and between write and rename."""

import subprocess
import sys
from pathlib import Path

from tiny_training import bytes_below, make_plan, run

from hornbook.checkpoints.read import newest

KILLED = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from tiny_training import make_plan, run
from hornbook.checkpoints import write as module
from hornbook.training import loop

def die(where):
    print(f"killed {where}", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

def late(kill, times, real):
    calls = []
    def counted(*arguments, **keywords):
        calls.append(arguments)
        if len(calls) == times:
            kill(real, *arguments)
        return real(*arguments, **keywords)
    return counted

def half(real, path, tensors):
    real(path, tensors)
    os.truncate(path, path.stat().st_size // 2)
    die(f"in the middle of {path.parent.name}/{path.name}")

# Updates 1 to 12, a checkpoint every 4, two files each.
points = {
    "training": (loop, "advance", late(lambda *_: die("in update 7"), 7, loop.advance)),
    "save": (module, "write_tensors", late(half, 4, module.write_tensors)),
    "rename": (
        module,
        "rename_directory",
        late(
            lambda real, old, new: die(f"between {old.name} and {new.name}"),
            2,
            module.rename_directory,
        ),
    ),
    "end": (
        loop,
        "prune",
        late(lambda *_: die("after the last save, before the end"), 1, loop.prune),
    ),
}
parent = Path(sys.argv[2])
run(make_plan(parent / "warm", steps=1), parent / "warm.jsonl")  # what is slow the first time
for workers in (0, 2):
    for point, (owner, name, killer) in points.items():
        child = os.fork()
        if not child:
            setattr(owner, name, killer)
            plan = make_plan(parent / f"{point}{workers}", dropout=0.1, loader_workers=workers)
            run(plan, parent / f"{point}{workers}.jsonl")
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (point, status)
"""


def test_killed_anywhere_it_ends_with_the_same_bytes(tmp_path):
    """With 0 and with 2 loader workers; dropout on."""
    finished = subprocess.run(
        [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    expected = [
        "killed in update 7",
        "killed in the middle of step-00000008.partial/training.safetensors",
        "killed between step-00000008.partial and step-00000008",
        "killed after the last save, before the end",
    ]
    assert finished.stdout.splitlines() == expected * 2
    run(make_plan(tmp_path / "whole", dropout=0.1), tmp_path / "whole.jsonl")
    whole = bytes_below(tmp_path / "whole")
    for workers in (0, 2):
        for point, step in (("training", 4), ("save", 4), ("rename", 4), ("end", 12)):
            place = tmp_path / f"{point}{workers}"
            assert newest(place, print).step == step, point
            plan = make_plan(place, dropout=0.1, loader_workers=workers)
            run(plan, place.with_suffix(".jsonl"))
            assert bytes_below(place) == whole, point
