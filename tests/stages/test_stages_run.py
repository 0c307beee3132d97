"""A whole run, again and again: what is up to date stays, what changed is made again."""

import shutil
from pathlib import Path

import pytest

import hornbook
from hornbook.errors import InputError, RecipeError
from hornbook.runs.directory import RunDirectory
from hornbook.stages.run import read_recipe, resume

ALL = ["corpus", "tokenizer", "store", "baseline", "pretraining", "finetuning"]


def last_states(run: hornbook.run) -> dict[str, str]:
    """Each stage's newest state in the events."""
    rows = run.events(kind="stage").to_pylist()
    return {row["stage"]: row["state"] for row in rows}


def outputs(directory: Path) -> dict[str, bytes]:
    """The bytes of all that stages made."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for stage in ALL
        for path in sorted((directory / stage).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory, settings):
    """One finished run, copied by the tests that change it."""
    directory = tmp_path_factory.mktemp("runs") / "small"
    return hornbook.run("demo", directory, settings)


@pytest.fixture
def run(finished, tmp_path):
    copy = tmp_path / "small"
    shutil.copytree(finished.directory, copy)
    return copy


def test_a_run_makes_every_stage_and_skips_tuning_without_docstrings(finished):
    states = last_states(finished)
    assert states == dict.fromkeys(ALL[:-1], "finished") | {"finetuning": "skipped"}
    skipped = finished.events("finetuning", "stage").to_pylist()[-1]
    assert "0 docstrings" in skipped["why"]
    assert (finished.directory / "report.html").stat().st_size > 10_000


def test_the_same_recipe_again_touches_nothing(run, settings):
    before = outputs(run)
    again = hornbook.run("demo", run, settings)
    assert set(last_states(again).values()) == {"up to date", "skipped"}
    assert outputs(run) == before


@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("corpus", "documents/train-00000.parquet"),
        ("tokenizer", "tokenizer.json"),
        ("store", "train/texts0/tokens-00000.bin"),
        ("baseline", "ngram.safetensors"),
        ("pretraining", "checkpoints/step-00000008/weights.safetensors"),
    ],
)
def test_one_flipped_byte_rebuilds_that_stage_alone(run, settings, stage, file):
    before = outputs(run)
    damaged = run / stage / file
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    states = last_states(hornbook.run("demo", run, settings))
    assert [name for name in ALL if states[name] == "finished"] == [stage]
    assert outputs(run) == before


def test_a_changed_rate_trains_again_and_changing_it_back_restores(run, settings):
    before = outputs(run)
    other = hornbook.run("demo", run, settings | {"pretraining.learning_rate": 1e-4})
    assert [name for name in ALL if last_states(other)[name] == "finished"] == ["pretraining"]
    weights = "pretraining/checkpoints/step-00000008/weights.safetensors"
    assert outputs(run)[weights] != before[weights]
    back = hornbook.run("demo", run, settings)
    assert last_states(back)["pretraining"] == "restored"
    assert outputs(run) == before


def test_a_changed_baseline_is_made_again_alone(run, settings):
    other = hornbook.run("demo", run, settings | {"baseline.order": 2})
    assert [name for name in ALL if last_states(other)[name] == "finished"] == ["baseline"]


def test_a_changed_row_length_reaches_baseline_and_training(run, settings):
    shorter = settings | {"pretraining.sequence_length": 32}
    states = last_states(hornbook.run("demo", run, shorter))
    assert [name for name in ALL if states[name] == "finished"] == ["baseline", "pretraining"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretraining.sequence_length": 65}, "model.max_length = 64"),
        ({"finetuning.sequence_length": 128}, "finetuning.sequence_length = 128"),
        ({"model.n_heads": 5}, "does not divide"),
        ({"model.size": "huge"}, "124m"),
    ],
)
def test_sections_that_do_not_fit_together_are_refused_at_once(settings, changes, message):
    with pytest.raises(RecipeError, match=message):
        read_recipe("demo", settings | changes)


def test_a_borrowed_stage_brings_its_options(run, settings, tmp_path):
    lending = {"pretraining.from": str(run), "store.from": str(run), "tokenizer.from": str(run)}
    own = {key: value for key, value in settings.items() if key.startswith(("model", "fine"))}
    assert read_recipe("demo", own | lending)["pretraining"].sequence_length == 64


def test_why_the_machine_was_chosen_is_written_down(tmp_path, settings):
    chosen = settings | {"compute.device": "auto"}
    run = hornbook.run("demo", tmp_path / "run", chosen, until="corpus")
    assert "device" in run.events(kind="decision").to_pylist()[-1]["why"]


def test_what_is_only_shown_changes_nothing(run, settings):
    shown = settings | {"pretraining.log_interval_steps": 1, "pretraining.loader_workers": 2}
    assert "finished" not in last_states(hornbook.run("demo", run, shown)).values()


def test_a_borrowed_corpus_and_tokenizer_feed_another_model(run, settings, tmp_path):
    borrowing = {
        key: value
        for key, value in settings.items()
        if not key.startswith(("corpus.", "tokenizer.", "store."))
    }
    borrowing |= {f"{stage}.from": str(run) for stage in ("corpus", "tokenizer", "store")}
    other = hornbook.run("demo", tmp_path / "other", borrowing)
    states = last_states(other)
    assert [states[stage] for stage in ALL[:3]] == ["borrowed"] * 3
    assert outputs(other.directory) == {
        name: data
        for name, data in outputs(run).items()
        if name.startswith(("baseline", "pretraining"))
    }


def test_resume_continues_with_the_stored_recipe(run):
    assert "finished" not in last_states(resume(run)).values()


def test_resume_says_where_there_is_no_run(tmp_path):
    with pytest.raises(InputError, match="is no run"):
        resume(tmp_path)


def test_unknown_keys_stop_before_anything_is_made(tmp_path, settings):
    with pytest.raises(RecipeError) as caught:
        hornbook.run(
            "demo", tmp_path / "run", settings | {"pretraining.lerning_rate": 1, "model.stepz": 2}
        )
    assert "learning_rate" in str(caught.value)
    assert "model.stepz" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_resolved_recipe_has_no_automatic_choice_left(tmp_path, settings):
    open_choices = {f"compute.{key}": "auto" for key in ("device", "precision", "threads")}
    run = hornbook.run("demo", tmp_path / "run", settings | open_choices, until="corpus")
    compute = read_recipe(RunDirectory(run.directory).recipe_path)["compute"]
    assert compute.device in ("cpu", "cuda")
    assert compute.precision in ("float32", "bfloat16")
    assert compute.threads >= 1


def test_a_run_keeps_the_precision_it_began_with(tmp_path, settings, monkeypatch):
    run = hornbook.run("demo", tmp_path / "run", settings, until="corpus")
    monkeypatch.setattr("hornbook.training.compute.bf16_is_fast", lambda device: True)
    hornbook.run("demo", run.directory, settings | {"compute.precision": "auto"}, until="corpus")
    compute = read_recipe(RunDirectory(run.directory).recipe_path)["compute"]
    assert compute.precision == "float32"
