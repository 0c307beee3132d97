"""Models that carry a state, or a window, through the handle: saved, opened, asked to go on."""

import pytest
import torch

import hornbook
from hornbook.errors import SpecError

SHAPES = {
    "nplm": {"order": 3, "d_hidden": 7},
    "rnn": {"n_layers": 2},
    "lstm": {"n_layers": 2, "tied": False, "d_hidden": 12},
    "gru": {"n_layers": 3},
}
families = pytest.mark.parametrize("family", SHAPES)


def built(family):
    return hornbook.build(family, vocab_size=40, max_length=16, d_model=8, **SHAPES[family]).eval()


@families
def test_what_is_saved_opens_as_it_was(family, tmp_path):
    model, rows = built(family), torch.randint(0, 40, (2, 9))
    model.save(tmp_path / "own", layout="hornbook")
    opened = hornbook.load(tmp_path / "own")
    assert opened.spec == model.spec
    assert opened.state_dict().keys() == model.state_dict().keys()
    assert torch.equal(opened(rows).logits, model(rows).logits)


@families
def test_a_layout_of_others_is_refused(family, tmp_path):
    with pytest.raises(SpecError, match="names no Hugging Face layout"):
        built(family).save(tmp_path, layout="hf")


@families
def test_rows_longer_than_the_longest_are_read(family):
    """max_length is how long rows of training are, no limit: a row's beginning is what it was."""
    model, rows = built(family), torch.randint(0, 40, (2, 50))
    whole = model(rows).logits
    assert whole.shape == (2, 50, 40)
    torch.testing.assert_close(whole[:, :9], model(rows[:, :9]).logits)
    assert len(model.generate(rows[0].tolist(), 20)) == 20


@pytest.mark.parametrize("family", ["rnn", "lstm", "gru", "bilm"])
def test_bits_of_a_long_text_are_those_of_one_reading(family):
    """Pieces of 8 tokens, and the whole at once: a state has read the same."""
    tokenizer = hornbook.train_tokenizer("byte", [], 260)
    sizes = {"d_model": 16, "n_layers": 2, "dropout": 0.0, "tokenizer": tokenizer, "seed": 1}
    short, long = (hornbook.build(family, max_length=most, **sizes) for most in (8, 512))
    text = "A state has read everything. " * 5
    assert short.bits_per_byte(text) == pytest.approx(long.bits_per_byte(text), rel=1e-6)
