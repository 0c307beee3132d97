"""Models whose texts have a special token before them: what they read first, and where they end."""

import json
import math

import numpy as np
import pytest
import torch

import hornbook
from hornbook.errors import TokenizerError
from hornbook.handle.contextual import contextual_vectors
from hornbook.handle.counted import CountedModel
from hornbook.models.ngrams.counts import count_ngrams
from hornbook.models.ngrams.estimate import estimate
from hornbook.store.separators import separators_of
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.kinds.byte import ByteTokenizer

DOCUMENTS = ["a cat.", "a mat.", "the cat sat."]
BEGIN, END = 257, 258
EDGES = {"end": (END, END), "start": (BEGIN, BEGIN), "both": (BEGIN, END)}
every_place = pytest.mark.parametrize("where", [*EDGES])


def tokenizer_of(where):
    """Bytes and LLaMA's three, <unk>, <s> and </s>, of a model with separators there."""
    tokenizer = ByteTokenizer.train([], 259, ("<unk>", "<s>", "</s>"))
    tokenizer.separator = where
    return tokenizer


def counted(where, estimator):
    """n-grams of a store of the documents."""
    tokenizer = tokenizer_of(where)
    around = separators_of(tokenizer, where)
    ids = [
        number
        for text in DOCUMENTS * 5
        for number in (*around.leading, *tokenizer.encode(text), *around.trailing)
    ]
    counts = count_ngrams([np.array(ids)], tokenizer.vocab_size, 4)
    return CountedModel(estimate(counts, estimator), tokenizer)


def network(where, family="llama", **rest):
    shape = {"n_layers": 1, "d_model": 16, "max_length": 16, **rest}
    return hornbook.build(family, tokenizer=tokenizer_of(where), seed=2, **shape)


@every_place
def test_bits_per_byte_begin_after_what_stood_before_texts(where):
    text = "a cat."
    model = counted(where, "modified_kneser_ney")
    row = [EDGES[where][0], *text.encode()]
    bits = -sum(
        math.log2(model.network.probabilities(row[:place])[row[place]])
        for place in range(1, len(row))
    )
    assert model.bits_per_byte(text) == pytest.approx(bits / len(text))
    model = network(where, n_heads=2)
    scores = model(torch.tensor([row])).logits[0, :-1].log_softmax(-1)
    nats = -scores.detach().gather(1, torch.tensor(row[1:])[:, None]).double().sum()
    assert model.bits_per_byte(text) == pytest.approx(float(nats) / math.log(2) / len(text))


@every_place
def test_texts_begin_and_end_where_documents_do(where):
    model = counted(where, "maximum_likelihood")
    made = [
        text + model.generate(text, max_new_tokens=300, temperature=1.0, seed=seed)
        for text in ("", "the c")
        for seed in range(10)
    ]
    assert not [text for text in made if "<" in text]
    assert max(map(len, made)) < 200, "each ended by itself"
    assert {text[0] for text in made} <= {"a", "t"}, "what documents begin with"


@every_place
def test_contextual_vectors_stand_between_what_documents_stand_between(where):
    model = network(where, "bilm")
    _, found = contextual_vectors(model, "cat")
    before, after = EDGES[where]
    row = torch.tensor([[before, *b"cat", after]])
    with torch.no_grad():
        states = torch.stack(model(row, hidden_states=True).hidden_states)[:, 0, 1:-1]
    assert torch.equal(found, states)


@pytest.mark.parametrize("layout", ["hf", "hornbook"])
@every_place
def test_a_saved_model_still_knows(where, layout, tmp_path):
    model = network(where, n_heads=2)
    model.save(tmp_path / "saved", layout)
    again = hornbook.load(tmp_path / "saved")
    assert again.tokenizer.text_edges == EDGES[where]
    assert again.bits_per_byte("a cat.") == model.bits_per_byte("a cat.")
    assert again.tokenizer.fingerprint == tokenizer_of("end").fingerprint
    if layout == "hf":
        config = json.loads((tmp_path / "saved" / "config.json").read_text())
        assert config["bos_token_id"] == BEGIN
        assert set(config["eos_token_id"]) >= set(EDGES[where])
        assert config["eos_token_id"][0] == EDGES[where][1], "what comes after a text is first"


def test_only_another_place_than_the_end_is_written_down(tmp_path):
    texts = {}
    for where in EDGES:
        tokenizer_of(where).save(tmp_path / where)
        texts[where] = (tmp_path / where / "tokenizer_config.json").read_text()
    assert "hornbook_separator" not in texts["end"]
    assert json.loads(texts["start"])["hornbook_separator"] == "start"
    (tmp_path / "both" / "tokenizer_config.json").write_text(
        texts["both"].replace('"both"', '"middle"')
    )
    with pytest.raises(TokenizerError, match=r"hornbook_separator is 'middle'; known are end, st"):
        load_tokenizer(tmp_path / "both")
