"""A model carried over to another tokenizer, and what is said where the two do not fit."""

import copy
import inspect
import textwrap
import warnings

import numpy as np
import pytest
import torch

import hornbook
from hornbook.errors import InputError
from hornbook.models.families import spec_for
from hornbook.tokenizers.comparison import nested
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.special import SPECIAL_SETS

TEXT = [inspect.getsource(textwrap)]


@pytest.fixture(scope="module")
def whole():
    return ByteBPE.train(TEXT, 290)


def made(tokenizer, family="llama", **dimensions):
    shape = {"n_layers": 1, "d_model": 16, "n_heads": 2, "max_length": 16, **dimensions}
    model = hornbook.build(family, tokenizer=tokenizer, seed=3, **shape)
    with torch.no_grad():  # biases begin at 0, and would hide a row in the wrong place
        for parameter in model.network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    for name, tensor in model.network.named_parameters():
        if name.endswith(("tokens.weight", "head.weight", "head.bias")):
            tensor.data[model.spec.vocab_size :] = 0
    return model


@pytest.mark.parametrize("family", ["gpt2", "llama", "lstm", "bert"])
def test_the_same_tokenizer_gives_the_same_model_to_the_bit(whole, family):
    shape = {"n_heads": 0} if family == "lstm" else {}
    if family == "lstm":
        model = hornbook.build("lstm", tokenizer=whole, n_layers=1, d_model=16, max_length=16)
    else:
        model = made(whole, family, **shape)
    same, plan = hornbook.with_vocabulary(model, whole)
    assert plan.share == 1.0
    for name, tensor in model.state_dict().items():
        assert torch.equal(same.state_dict()[name], tensor), name
    assert same is not model


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])  # tied, untied, tied with a bias
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_tokens_that_both_know_keep_their_logits(whole, family, dtype):
    model = made(whole, family, dtype=dtype)
    inner = nested(whole, 270)
    small, plan = hornbook.with_vocabulary(model, inner)
    assert (small.spec.vocab_size, small.tokenizer) == (270, inner)
    assert small.network.table.dtype == model.network.table.dtype
    assert (len(plan.matched), len(plan.special_matched)) == (266, 4)
    shared = torch.arange(266)
    ids = torch.tensor([inner.encode("it").tolist()[:5]])
    before, after = model(ids).logits, small(ids).logits
    torch.testing.assert_close(after[..., shared], before[..., shared], rtol=0, atol=1e-6)
    torch.testing.assert_close(after[..., 266:], before[..., 286:], rtol=0, atol=1e-6)


def test_new_tokens_are_means_and_what_nobody_knows_is_fresh(whole):
    inner = nested(whole, 270)
    model = made(inner)
    named = {name: 256 + i for i, name in enumerate(SPECIAL_SETS["bert"])}
    wide, plan = hornbook.with_vocabulary(model, whole)
    table, old = wide.state_dict()["embedding.tokens.weight"], model.state_dict()
    rows = old["embedding.tokens.weight"]
    assert len(plan.averaged) == 20
    for number in plan.averaged:
        pieces = inner.encode(whole.token_bytes(number).decode()).tolist()
        torch.testing.assert_close(table[number], rows[pieces].mean(0))
    other, plan = hornbook.with_vocabulary(model, ByteTokenizer(named, "[SEP]"), seed=8)
    fresh = hornbook.build(model.spec.family, seed=8, n_layers=1, d_model=16, n_heads=2,
                           max_length=16, vocab_size=261)  # fmt: skip
    assert len(plan.fresh) == 4
    for name in ("embedding.tokens.weight", "head.weight"):
        place = list(plan.fresh)
        assert torch.equal(other.state_dict()[name][place], fresh.state_dict()[name][place])


def test_ids_that_a_reading_names_move_along(whole):
    one = ByteTokenizer({"<pad>": 256, "</s>": 257, "<unk>": 258}, "</s>")
    model = hornbook.build("t5", tokenizer=one, n_layers=1, d_model=16, n_heads=2, start_id=256)
    other = ByteTokenizer({"</s>": 256, "<pad>": 257}, "</s>")
    assert hornbook.with_vocabulary(model, other)[0].spec.reading.start_id == 257
    with pytest.raises(InputError, match="start_id is the token 256, and the new tokenizer has"):
        hornbook.with_vocabulary(model, ByteTokenizer({"</s>": 256}, "</s>"))


def test_separators_stay_where_the_model_has_read_them(whole):
    old, new = copy.copy(whole), nested(whole, 270)
    old.separator = "both"
    moved, _ = hornbook.with_vocabulary(made(old), new)
    assert moved.tokenizer.text_edges == (new.end_of_text, new.end_of_text)
    assert (moved.tokenizer.separator, new.separator) == ("both", "end")
    assert moved.tokenizer.fingerprint == new.fingerprint
    moved.tokenizer.separator = "start"
    assert new.separator == "end"


def test_a_model_without_a_tokenizer_cannot_be_carried_over(whole):
    model = hornbook.build("gpt2", n_layers=1, d_model=16, vocab_size=300, max_length=8)
    with pytest.raises(InputError, match="no tokenizer, so nobody knows what its rows mean"):
        hornbook.with_vocabulary(model, whole)


def saved(tmp_path, tokenizer, rows):
    """A model of so many rows, with a tokenizer beside it."""
    model = hornbook.build("gpt2", n_layers=1, d_model=16, vocab_size=rows, max_length=8)
    model.save(tmp_path / "model")
    tokenizer.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("rows", [290, 320, 384])
def test_rows_that_pad_are_no_matter_of_warning(whole, rows, tmp_path):
    place = saved(tmp_path, whole, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert hornbook.load(place).tokenizer.vocab_size == 290


@pytest.mark.parametrize("rows", [291, 300, 448])
def test_more_rows_than_ids_are_a_warning(whole, rows, tmp_path):
    place = saved(tmp_path, whole, rows)
    said = f"{rows} token rows and the tokenizer 290 ids, {rows - 290} fewer"
    with pytest.warns(UserWarning, match=said):
        model = hornbook.load(place)
    assert model.spec.vocab_size == rows


def test_fewer_rows_than_ids_are_an_error(whole, tmp_path):
    place = saved(tmp_path, whole, 289)
    with pytest.raises(InputError, match=r"model: the tokenizer has 290 ids, but the model knows"):
        hornbook.load(place)


@pytest.mark.slow
def test_the_command_line_warns_in_one_line(whole, tmp_path):
    import subprocess
    import sys

    place = saved(tmp_path, whole, 300)
    words = [sys.executable, "-m", "hornbook", "generate", str(place), "the", "--max-tokens", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "token rows" in line]
    assert len(lines) == 1
    assert lines[0].startswith("hornbook: warning: ")


def test_published_padding_is_known():
    """T5's 32,100 ids have 32,128 rows; GPT-2's 50,257 are often padded to 50,304."""
    from hornbook.handle.fitting import MULTIPLES

    for ids, rows in ((32_100, 32_128), (50_257, 50_304)):
        assert rows in {-(-ids // multiple) * multiple for multiple in MULTIPLES}
    assert np.all(np.array(MULTIPLES) % 64 == 0)
    assert spec_for("t5").vocab_size in (32_100, 32_128)


def test_fewer_rows_than_ids_are_said(whole):
    model = made(nested(whole, 270))
    model.tokenizer = whole
    with pytest.raises(InputError, match=r"has 270 token rows, but its tokenizer 290 ids; set mod"):
        hornbook.with_vocabulary(model, nested(whole, 280))
