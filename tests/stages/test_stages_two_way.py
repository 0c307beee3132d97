"""A recipe trains a model of both directions, and only such a model with that objective."""

import pytest

import hornbook
from hornbook.errors import RecipeError
from hornbook.runs.directory import RunDirectory
from hornbook.stages.inspect import decoded_rows
from hornbook.stages.run import read_recipe

TWO_WAY = {"model.family": "bilm", "model.n_heads": 0, "pretraining.objective": "both_ways"}


def test_a_run_learns_both_directions_and_its_rows_can_be_read(settings, tmp_path):
    run = hornbook.run("demo", tmp_path / "run", {**settings, **TWO_WAY}, until="pretraining")
    rows = run.events("pretraining", "evaluation").to_pylist()
    first, last = rows[0]["bits_per_byte"], rows[-1]["bits_per_byte"]
    assert last < first
    model = hornbook.load(run.directory)
    assert model.spec.family == "bilm"
    row = next(decoded_rows(RunDirectory(run.directory), "pretraining", 0, 1))
    length = read_recipe("demo", settings)["pretraining"].sequence_length
    assert row.targets == length, "each token after the first is learnt once in each direction"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pretraining.objective": "causal"}, "would train half of it; take both_ways, or lstm"),
        ({"model.family": "lstm"}, "family lstm does not read a text from both ends"),
        ({"model.family": "gpt2"}, "family gpt2 does not read a text from both ends"),
        ({"pretraining.order": "lanes"}, 'set pretraining.objective="causal"'),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said(changed, message):
    with pytest.raises(RecipeError, match=message):
        read_recipe("demo", {**TWO_WAY, "model.max_length": 256, **changed})


def test_lanes_say_which_keys_to_set():
    lanes = {"model.family": "lstm", "model.n_heads": 0, "pretraining.order": "lanes"}
    with pytest.raises(RecipeError, match=r"set pretraining\.weights=\{\}\."):
        read_recipe("demo", lanes)
    with pytest.raises(RecipeError, match="the family gpt2 has none; choose a recurrent one"):
        read_recipe("demo", {"pretraining.order": "lanes", "pretraining.weights": {}})
    assert read_recipe("demo", {**lanes, "pretraining.weights": {}})["pretraining"].order == "lanes"
