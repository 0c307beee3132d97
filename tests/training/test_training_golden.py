"""Twenty losses that a refactoring must reproduce.

To the bit where CPU capability, torch and threads are those of a stored curve; elsewhere within a
thousandth of every stored one. After a change that is meant to change them, run this file as a
program: it rewrites the curve of this machine.
"""

import json
import tempfile
from pathlib import Path

import pytest
import torch
from tiny_training import make_plan, run

from hornbook.runs.events import read_events
from hornbook.training.compute import bf16_is_fast

STORED = Path(__file__).with_name("golden_losses.json")
PRECISIONS = ("float32", "bfloat16")


def key():
    bf16 = "with" if bf16_is_fast("cpu") else "without"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{capability} {bf16} bf16, torch {torch.__version__}, 1 thread"


def curve(directory, precision):
    plan = make_plan(directory / "c", precision, dropout=0.1, steps=20, micro_batch_size=2)
    run(plan, directory / "events.jsonl")
    return read_events(directory / "events.jsonl", "pretraining", "metric")["loss"].to_pylist()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_twenty_losses(tmp_path, precision):
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    losses = curve(tmp_path, precision)
    assert len(losses) == 20
    if key() in stored:
        assert losses == stored[key()][precision]
    for curves in stored.values():
        assert losses == pytest.approx(curves[precision], rel=1e-3)


if __name__ == "__main__":
    known = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    known[key()] = {}
    for name in PRECISIONS:
        with tempfile.TemporaryDirectory() as folder:
            known[key()][name] = curve(Path(folder), name)
    STORED.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
