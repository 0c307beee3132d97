"""A recipe names any family that predicts a text: the whole run, and the model it leaves."""

import pytest
import torch
from shapes import dimensions
from transformers import AutoModelForCausalLM

import hornbook
from hornbook.errors import RecipeError
from hornbook.models import FAMILIES
from hornbook.models.families import spec_for
from hornbook.models.recurrences import TwoWayReading

BOTH_WAYS = [f for f in FAMILIES if isinstance(spec_for(f).reading, TwoWayReading)]
CONTINUING = [f for f in FAMILIES if spec_for(f).continues and f not in BOTH_WAYS]
SMALL = {"mixtral": {"model.d_ff": 48}, "qwen3": {"model.d_head": 16}}
# No class of transformers computes these stacks: see the layouts of the families.
WITHOUT_A_CLASS = ("gpt3", "glm", "chatglm", "nplm", "rnn", "lstm", "gru")
# transformers opens it, but as no causal language model.
OTHER_CLASS = ("xlnet",)


def run_of(family, settings, directory):
    other = {"model.family": family, "pretraining.batch_size": 2, **SMALL.get(family, {})}
    for number in ("dropout", "n_layers", "n_heads"):  # 0 takes the family's rule
        if number not in dimensions(family):
            other[f"model.{number}"] = 0
    return hornbook.run("demo", directory, settings | other)


@pytest.mark.slow
@pytest.mark.parametrize("family", CONTINUING)
def test_a_whole_run_of_every_family_that_continues(family, settings, tmp_path):
    run = run_of(family, settings, tmp_path / "run")
    incidents = [row["what"] for row in run.events(kind="incident").to_pylist()]
    assert "first loss" not in incidents
    model = hornbook.load(run.directory)
    assert model.spec.family == family
    assert isinstance(model.generate("The ", 5), str)
    assert 0 < model.bits_per_byte("The statement is executed.") < 20
    folder = run.directory / "pretraining" / "hf"
    assert folder.exists() == (family not in WITHOUT_A_CLASS)
    if folder.exists() and family not in OTHER_CLASS:
        theirs = AutoModelForCausalLM.from_pretrained(folder)
        ids = model.tokenizer.encode("The statement")[None]
        with torch.no_grad():
            own, other = model(ids).logits, theirs(torch.from_numpy(ids).long()).logits
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", BOTH_WAYS)
def test_a_recipe_does_not_train_one_direction_of_two(family, settings, tmp_path):
    said = f"model.family = {family}: this family learns from both ends of a text"
    with pytest.raises(RecipeError, match=said):
        run_of(family, settings, tmp_path / "run")
