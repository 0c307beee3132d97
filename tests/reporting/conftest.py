"""A run directory with everything that the report shows, through the run room's doors."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hornbook.runs.directory import RunDirectory
from hornbook.runs.events import EventLog
from hornbook.runs.manifest import Manifest, StageRecord, write_manifest

HOSTILE = "<script>alert('x')</script><img src=http://evil.example/x.png>"
HAN = "床前明月光，疑是地上霜"
RECIPE = """[run]
seed = 1

[corpus]
sources = ["python:code", "python:docs"]

[pretraining]
steps = 120
learning_rate = 0.001
"""
SECONDS = {
    "corpus": 11.2,
    "tokenizer": 6.1,
    "store": 4.4,
    "baseline": 8.8,
    "pretraining": 131.2,
    "finetuning": 51.0,
}
SUMMARIES: dict[str, dict[str, Any]] = {
    "tokenizer": {"kind": "byte-bpe", "vocab_size": 4096},
    "finetuning": {"asked": 100, "stopped": 91, "well_formed": 78},
}


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_events(run: RunDirectory) -> None:
    log = EventLog(run.events_path)
    noise = np.random.default_rng(0).normal(0, 0.05, 120)
    for stage in SECONDS:
        events = log.bind(stage, "0123456789abcdef")
        events.write("stage", state="started")
        if stage == "pretraining":
            events.write("decision", what="precision", why="bf16, which this processor multiplies")
            events.write("incident", step=40, what="an update was rejected", why="loss was nan")
            for step in range(1, 121):
                events.write(
                    "metric",
                    step=step,
                    loss=8.0 * 0.98**step + 2 + noise[step - 1],
                    learning_rate=1e-3,
                    gradient_norm=0.5,
                    tokens_per_second=25_000.0,
                    tokens=step * 4096,
                    samples=step * 16,
                )
                if step % 40 == 0:
                    for source, end in (("code", 1.67), ("docs", 1.93)):
                        bits = end + 120 / step - 1
                        events.write("evaluation", step=step, source=source, bits_per_byte=bits)
                    events.write("sample", step=step, prompt="def f(", text=f"x): {HOSTILE} {HAN}")
                    events.write("sample", step=step, prompt="import ", text=f"sys {step}")
        if stage == "finetuning":
            for step in range(1, 21):
                events.write("metric", step=step, loss=3.0 / step, tokens=step * 512)
        events.write("stage", state="finished", seconds=SECONDS[stage])


def write_outputs(run: RunDirectory) -> None:
    source = {"read": 1650, "kept": 1450, "train": 1400, "validation": 50, "bytes": 8_600_000}
    example = {"path": "encodings/big5.py", "reason": "letters are 0.12 of it", "opening": HOSTILE}
    statistics = source | {
        "dropped": {"letters": 200},
        "changed": {"control": 7},
        "examples": {"letters": [example]},
    }
    write_json(run.path / "corpus/statistics.json", {"sources": {"code": statistics}})
    tokens = {"tokens": 2_400_000, "bytes": 8_400_000, "documents": 1400}
    write_json(run.path / "store/train/code/manifest.json", tokens)
    models = {
        "unigram": {"code": {"bits_per_byte": 2.59}, "docs": {"bits_per_byte": 2.77}},
        "5-gram": {"code": {"bits_per_byte": 1.86}, "docs": {"bits_per_byte": 2.21}},
    }
    write_json(run.path / "baseline/results.json", {"models": models})
    answer = {
        "question": "What does `os.path.join` do?",
        "answer": f"Return {HOSTILE} a path.",
        "reference": "Join two or more pathname components.",
        "stopped": True,
        "well_formed": True,
    }
    write_json(run.path / "finetuning/answers.json", {"answers": [answer]})


def record(stage: str, seconds: float) -> StageRecord:
    return StageRecord(
        fingerprint="0123456789abcdef",
        inputs={},
        outputs={},
        seconds=seconds,
        versions={"python": "3.11.9", "torch": "2.13.0"},
        machine={"system": "linux", "cores": 2},
        summary=SUMMARIES.get(stage, {}),
        finished="2026-01-01T00:00:00+00:00",
    )


def make_run(path: Path, recipe: str = RECIPE) -> RunDirectory:
    run = RunDirectory(path)
    path.mkdir(parents=True)
    run.recipe_path.write_text(recipe, encoding="utf-8")
    write_events(run)
    write_outputs(run)
    stages: Mapping[str, StageRecord] = {name: record(name, took) for name, took in SECONDS.items()}
    write_manifest(run.manifest_path, Manifest(stages=stages))
    return run


@pytest.fixture
def make() -> Callable[..., RunDirectory]:
    """The maker of full run directories."""
    return make_run


@pytest.fixture(scope="module")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """One full run for a module's reading tests."""
    return make_run(tmp_path_factory.mktemp("runs") / "demo")
