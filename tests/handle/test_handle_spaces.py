"""Generated text and the space at a text's edge, for kinds that mark where words begin or end."""

import pytest

import hornbook
from hornbook.generation.generate import Continuation
from hornbook.handle import continuing

TEXTS = ["The quick brown fox jumps over the lazy dog, said the cat.\n" * 40]
SIZES = {"bpe": 60, "wordpiece": 60, "word": 18, "sentencepiece-bpe": 310}
ASKED = [{"role": "user", "content": "quick fox"}]


@pytest.fixture(scope="module", params=SIZES)
def tokenizer(request):
    return hornbook.train_tokenizer(request.param, TEXTS, SIZES[request.param])


def saying(monkeypatch, tokenizer, ids, family="gpt2"):
    """A model that goes on with these ids, whatever it reads."""
    monkeypatch.setattr(
        continuing,
        "continue_rows",
        lambda network, prompts, *_: [Continuation(list(ids), False) for _ in prompts],
    )
    monkeypatch.setattr(continuing, "stream_rows", lambda *_: ([token] for token in ids))
    shape = {"n_layers": 1, "d_model": 16, "n_heads": 1, "max_length": 32}
    return hornbook.build(family, tokenizer=tokenizer, **shape)


def test_a_continuation_has_the_space_between_words(monkeypatch, tokenizer):
    ids = tokenizer.encode("The quick brown fox").tolist()
    read = tokenizer.encode("The quick").tolist()
    model = saying(monkeypatch, tokenizer, ids[len(read) :])
    assert ids[: len(read)] == read
    assert model.generate("The quick") == " brown fox"
    assert model.generate(["The quick"] * 2) == [" brown fox"] * 2
    assert "".join(model.stream("The quick")) == " brown fox"
    assert model.generate("The quick", stop="brown") == " "


def test_an_answer_and_a_text_from_nothing_begin_without_a_space(monkeypatch, tokenizer):
    model = saying(monkeypatch, tokenizer, tokenizer.encode("The quick").tolist())
    assert model.reply(ASKED).text == "The quick"
    assert "".join(model.chat(ASKED)) == "The quick"
    assert model.generate("") == "".join(model.stream("")) == "The quick"


def test_a_target_is_a_text_by_itself(monkeypatch, tokenizer):
    ids = tokenizer.encode("The quick").tolist()
    model = saying(monkeypatch, tokenizer, ids, "transformer")
    assert model.spec.encoder is not None
    assert model.generate("brown fox") == "".join(model.stream("brown fox")) == "The quick"
