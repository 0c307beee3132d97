"""`hornbook export`: a folder that transformers opens, a checkpoint of our own, and refusals."""

import pytest
import torch
from click.testing import CliRunner
from transformers import AutoModelForCausalLM

import hornbook
from hornbook.cli.main import hornbook as group

TOKENS = torch.arange(10)[None] + 3


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    model = hornbook.build("llama", n_layers=2, d_model=32, n_heads=4, n_kv_heads=2, vocab_size=90)
    model.save(folder, layout="hornbook")
    return folder, model


def export(*arguments):
    return CliRunner().invoke(group, ["export", *map(str, arguments)])


def test_transformers_opens_what_was_exported(saved, tmp_path):
    folder, model = saved
    done = export(folder, tmp_path / "hf", "--to", "hf")
    assert done.exit_code == 0, done.output
    assert "model.safetensors" in done.output
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "hf")
    with torch.no_grad():
        torch.testing.assert_close(theirs(TOKENS).logits, model(TOKENS).logits)


def test_our_own_layout_comes_back_the_same(saved, tmp_path):
    folder, model = saved
    assert export(folder, tmp_path / "own", "--to", "safetensors").exit_code == 0
    back = hornbook.load(tmp_path / "own")
    assert back.spec == model.spec
    with torch.no_grad():
        assert torch.equal(back(TOKENS).logits, model(TOKENS).logits)


def test_what_the_class_cannot_express_is_named(tmp_path):
    hornbook.build("gpt3", n_layers=2, d_model=32, vocab_size=90).save(tmp_path / "a", "hornbook")
    done = export(tmp_path / "a", tmp_path / "b")
    assert done.exit_code == 2 or isinstance(done.exception, hornbook.errors.SpecError)
    said = done.output + str(done.exception)
    assert "gpt_neo cannot express this model's stack.blocks.0.attention" in said
    assert not (tmp_path / "b").exists(), "something was written before the refusal"


def test_a_folder_in_use_is_left_alone(saved, tmp_path):
    (tmp_path / "kept").write_text("mine")
    done = export(saved[0], tmp_path)
    assert done.exit_code == 2
    assert "is not empty; name a new folder" in done.output
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]
