"""A recipe fitted to a time, and what a recipe will cost: on machines that are made up."""

from collections import namedtuple
from pathlib import Path

import pytest

from hornbook.errors import RecipeError, SpecError, UserError
from hornbook.models.count import parameters, training_memory
from hornbook.stages import budget, forecast
from hornbook.stages.run import read_recipe

Usage = namedtuple("Usage", "total used free")


def matrix_parameters(spec) -> int:
    counts = parameters(spec)
    return counts["attention"] + counts["feed-forward"]


@pytest.fixture
def recipe():
    return read_recipe("demo", {"compute.device": "cpu", "compute.precision": "float32"})


@pytest.fixture
def measured(monkeypatch):
    """A machine whose update takes a time proportional to the model; the sizes it was asked for."""
    asked = []

    def update_seconds(spec, rows, length, compute, seconds, *, micro_batch_size):
        asked.append((spec.n_layers, spec.d_model))
        return matrix_parameters(spec) * rows * length * 4e-11

    monkeypatch.setattr(budget, "update_seconds", update_seconds)
    return asked


def matrix_parameters_of(recipe) -> int:
    return matrix_parameters(recipe["model"].spec(recipe["tokenizer"].vocab_size))


def test_larger_budgets_choose_larger_models(recipe, measured):
    budgets = [90, 120, 180, 300, 600, 1800, 3600, 7200, 36_000]
    fitted = [budget.fit(recipe, seconds)[0] for seconds in budgets]
    sizes = [matrix_parameters_of(found) for found in fitted]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) >= 4
    ladder = set(budget.LADDER)
    assert {(found["model"].n_layers, found["model"].d_model) for found in fitted} <= ladder


@pytest.mark.parametrize("seconds", [90, 150, 600, 3600, 36_000])
def test_the_numbers_fit_the_budget(recipe, measured, seconds):
    found, rungs = budget.fit(recipe, seconds)
    training, tuning, model = found["pretraining"], found["finetuning"], found["model"]
    (rung,) = [r for r in rungs if (r.n_layers, r.d_model) == (model.n_layers, model.d_model)]
    spent = (training.steps + tuning.steps) * rung.update_seconds
    spare = seconds - budget.OVERHEAD_SECONDS
    assert spare - 2 * rung.update_seconds <= spent <= spare
    assert training.steps > tuning.steps >= 1
    assert training.steps == rung.steps
    assert training.warmup_steps <= training.steps // 10
    assert tuning.warmup_steps <= tuning.steps // 10
    evaluations = training.steps / training.evaluation_interval_steps
    assert budget.EVALUATIONS <= evaluations < 2 * budget.EVALUATIONS
    assert model.d_model == model.n_heads * budget.HEAD_WIDTH


def test_without_docstrings_no_time_is_kept_for_tuning(recipe, measured):
    _, tuned = budget.fit(recipe, 600)
    _, untuned = budget.fit(recipe.replace({"corpus.sources": ("my-texts",)}), 600)
    spare = 600 - budget.OVERHEAD_SECONDS
    assert untuned[0].steps == int(spare / untuned[0].update_seconds)
    assert tuned[0].steps == int(0.8 * spare / tuned[0].update_seconds)


def test_no_model_is_chosen_that_memory_cannot_hold(recipe, measured, monkeypatch):
    def needed(found) -> int:
        spec = found["model"].spec(recipe["tokenizer"].vocab_size)
        options = found["pretraining"]
        memory = training_memory(spec, options.batch_size, options.sequence_length, "float32")
        return memory["total"]

    free = budget.fit(recipe, 36_000)[0]
    monkeypatch.setattr(forecast, "physical_memory", lambda: needed(free) - 1)
    measured.clear()
    found = budget.fit(recipe, 36_000)[0]
    assert needed(found) < needed(free)
    assert (free["model"].n_layers, free["model"].d_model) not in measured


@pytest.mark.parametrize("seconds", [300, 3600, 36_000])
def test_the_largest_model_is_chosen_that_sees_enough_tokens(recipe, measured, seconds):
    found, rungs = budget.fit(recipe, seconds)
    options = found["pretraining"]
    tokens = options.steps * options.batch_size * options.sequence_length
    assert tokens / matrix_parameters_of(found) >= budget.TOKENS_A_PARAMETER
    assert measured == [(rung.n_layers, rung.d_model) for rung in rungs]
    larger = [
        r
        for r in rungs
        if (r.n_layers, r.d_model) > (found["model"].n_layers, found["model"].d_model)
    ]
    assert all(rung.tokens_a_parameter < budget.TOKENS_A_PARAMETER for rung in larger)


def test_models_past_the_first_that_is_too_large_are_not_measured(recipe, measured):
    _, rungs = budget.fit(recipe, 300)
    few = [rung.tokens_a_parameter < budget.TOKENS_A_PARAMETER for rung in rungs]
    assert few == [False] * (len(rungs) - 1) + [True]
    assert len(measured) < len(budget.LADDER)


def test_a_machine_too_slow_for_every_size_gets_the_smallest(recipe, monkeypatch):
    monkeypatch.setattr(budget, "update_seconds", lambda *arguments, **options: 1000.0)
    found, rungs = budget.fit(recipe, 90)
    assert (found["model"].n_layers, found["model"].d_model) == budget.LADDER[0]
    for section in ("pretraining", "finetuning"):
        assert (found[section].steps, found[section].warmup_steps) == (1, 0)
    assert len(rungs) == 1


def test_what_the_budget_does_not_decide_stays(recipe, measured):
    found, _ = budget.fit(recipe, 600)
    for section in ("corpus", "tokenizer", "store", "baseline", "compute", "run"):
        assert found[section] == recipe[section]
    for key in ("learning_rate", "batch_size", "sequence_length", "weights"):
        assert getattr(found["pretraining"], key) == getattr(recipe["pretraining"], key)


@pytest.mark.parametrize("seconds", [0.0, 30.0, 89.0])
def test_too_short_a_budget_is_the_users_mistake(recipe, measured, seconds):
    with pytest.raises(UserError, match="too short") as caught:
        budget.fit(recipe, seconds)
    assert f"{seconds:.0f} s" in str(caught.value)
    assert "90s" in str(caught.value)
    assert measured == []


@pytest.fixture
def machine(monkeypatch):
    """Sets the memory and the free disk of this machine, in bytes."""

    def set_to(memory: int = 10**15, disk: int = 10**15) -> None:
        monkeypatch.setattr(forecast, "physical_memory", lambda: memory)
        monkeypatch.setattr(forecast.shutil, "disk_usage", lambda path: Usage(disk, 0, disk))

    set_to()
    return set_to


def test_a_forecast_without_measuring_is_arithmetic(recipe, machine, tmp_path):
    found = forecast.forecast(recipe, tmp_path, measure=False)
    options = recipe["pretraining"]
    assert found.tokens == options.steps * options.batch_size * options.sequence_length
    assert found.disk_bytes == 3 * 12 * found.parameters["total"]  # three copies of three floats
    assert found.memory["total"] == sum(found.memory.values()) - found.memory["total"]
    assert (found.seconds, found.seconds_measured, found.faults) == (0.0, False, ())


@pytest.mark.parametrize("short", [0, 1])
def test_memory_and_disk_must_hold_all_to_the_byte(recipe, machine, tmp_path, short):
    need = forecast.forecast(recipe, tmp_path, measure=False)
    machine(need.memory["total"] - short, need.disk_bytes - short)
    faults = forecast.forecast(recipe, tmp_path, measure=False).faults
    assert len(faults) == 2 * short


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ("memory", ("0.0 GB", "model.d_model", "micro_batch_size")),
        ("disk", ("free", "--directory", "model.n_layers")),
    ],
)
def test_a_fault_says_what_is_short_and_what_to_lower(
    recipe, machine, monkeypatch, tmp_path, lacking, words
):
    monkeypatch.delattr(forecast, "matrix_product_rate")  # nothing is measured
    machine(**{lacking: 1000})
    (fault,) = forecast.forecast(recipe, tmp_path).faults
    assert all(word in fault for word in words)
    with pytest.raises(RecipeError) as caught:
        forecast.require_fit(recipe, tmp_path)
    assert str(caught.value) == fault


def test_what_fits_is_let_through(recipe, machine, tmp_path):
    assert forecast.forecast(recipe, tmp_path, measure=False).faults == ()
    assert forecast.require_fit(recipe, tmp_path) is None


def test_smaller_micro_batches_need_less_memory(recipe, machine, tmp_path):
    whole = forecast.forecast(recipe, tmp_path, measure=False).memory["total"]
    small = recipe.replace({"pretraining.micro_batch_size": 1})
    assert forecast.forecast(small, tmp_path, measure=False).memory["total"] < whole


def test_the_disk_is_that_of_the_closest_folder_there_is(recipe, monkeypatch, tmp_path):
    looked_at = []

    def disk_usage(path):
        looked_at.append(Path(path))
        return Usage(10**15, 0, 10**15)

    monkeypatch.setattr(forecast.shutil, "disk_usage", disk_usage)
    forecast.require_fit(recipe, tmp_path / "runs" / "to come")
    assert looked_at == [tmp_path]


def test_a_row_longer_than_the_context_is_refused(recipe, machine, tmp_path):
    long = recipe.replace({"pretraining.sequence_length": 512})
    with pytest.raises(SpecError, match=r"pretraining.sequence_length = 512"):
        forecast.forecast(long, tmp_path, measure=False)


@pytest.mark.parametrize(
    ("rate", "measured", "seconds_a_step"), [(1e15, True, 0.25), (1e6, False, None)]
)
def test_time_is_measured_where_an_update_is_short_else_reckoned(
    recipe, machine, monkeypatch, tmp_path, rate, measured, seconds_a_step
):
    monkeypatch.setattr(forecast, "matrix_product_rate", lambda *arguments: rate)
    monkeypatch.setattr(forecast, "update_seconds", lambda *arguments, **keywords: 0.25)
    found = forecast.forecast(recipe, tmp_path)
    steps = recipe["pretraining"].steps
    reckoned = found.tokens * found.flops_per_token / (rate * forecast.USUAL_UTILISATION)
    expected = steps * seconds_a_step if measured else reckoned
    assert found.seconds_measured is measured
    assert found.seconds == pytest.approx(expected)
