"""Raising `steps` continues the training where the schedule allows it, with the same bytes."""

import shutil
from pathlib import Path

import pytest

import hornbook
from hornbook.reporting.facts import read_run
from hornbook.runs.directory import RunDirectory

CONSTANT = {"pretraining.schedule": "constant"}


def weights(run: hornbook.run) -> dict[str, bytes]:
    """The bytes of all that pre-training made."""
    folder = run.directory / "pretraining"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def resumed(run: hornbook.run) -> list[str]:
    """Why pre-training went on from a checkpoint, if it did."""
    rows = run.events("pretraining", "decision").to_pylist()
    return [row["why"] for row in rows if row["what"] == "resume"]


@pytest.fixture(scope="module")
def eight(tmp_path_factory, settings):
    """A run of eight steps at a constant rate."""
    directory = tmp_path_factory.mktemp("eight") / "run"
    return hornbook.run("demo", directory, settings | CONSTANT, until="pretraining").directory


@pytest.fixture
def copied(eight, tmp_path) -> Path:
    shutil.copytree(eight, tmp_path / "copied")
    return tmp_path / "copied"


def test_more_steps_at_a_constant_rate_go_on_and_end_with_the_same_bytes(
    copied, settings, tmp_path
):
    twelve = settings | CONSTANT | {"pretraining.steps": 12}
    raised = hornbook.run("demo", copied, twelve, until="pretraining")
    straight = hornbook.run("demo", tmp_path / "straight", twelve, until="pretraining")
    assert resumed(raised) == [
        "training for 8 steps was the same up to there: checkpoint of step 8"
    ]
    assert resumed(straight) == []
    assert weights(raised) == weights(straight)
    steps = raised.events("pretraining", "evaluation").column("step").to_pylist()
    assert sorted(set(steps)) == [4, 8, 12]  # the curve is whole
    assert (copied / "archive").is_dir()
    (given,) = read_run(RunDirectory(copied)).contributions
    assert (given["step"], given["samples"], given["share"]) == (12, 48, 1.0)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"pretraining.schedule": "cosine"}, id="another schedule"),
        pytest.param({"pretraining.learning_rate": 1e-4}, id="another rate"),
        pytest.param({"run.seed": 5}, id="another seed"),
        pytest.param({"model.dropout": 0.0}, id="another model"),
    ],
)
def test_more_steps_and_something_else_begin_anew(copied, settings, changes):
    more = settings | CONSTANT | {"pretraining.steps": 9} | changes
    assert resumed(hornbook.run("demo", copied, more, until="pretraining")) == []


def test_a_falling_rate_begins_anew_and_is_what_it_would_have_been(tmp_path, settings):
    falling = settings | {"pretraining.schedule": "linear"}
    run = hornbook.run("demo", tmp_path / "run", falling, until="pretraining")
    ten = falling | {"pretraining.steps": 9}
    raised = hornbook.run("demo", run.directory, ten, until="pretraining")
    straight = hornbook.run("demo", tmp_path / "straight", ten, until="pretraining")
    assert resumed(raised) == []
    assert weights(raised) == weights(straight)


def test_a_damaged_shorter_training_is_not_continued(copied, settings):
    for path in (copied / "pretraining").rglob("weights.safetensors"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    twelve = settings | CONSTANT | {"pretraining.steps": 12}
    assert resumed(hornbook.run("demo", copied, twelve, until="pretraining")) == []
