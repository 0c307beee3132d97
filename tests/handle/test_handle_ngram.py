"""n-grams through the same doors as networks: logits, generation, bits, files."""

import itertools
import math

import numpy as np
import pytest
import torch

import hornbook
from hornbook.errors import InputError
from hornbook.generation import session
from hornbook.generation.beam import Beams
from hornbook.handle.counted import CountedModel
from hornbook.models.ngrams.arpa import words_of
from hornbook.models.ngrams.counts import count_ngrams
from hornbook.models.ngrams.estimate import estimate
from hornbook.models.ngrams.spec import NGramSpec
from hornbook.recipe.fingerprint import derive_seed
from hornbook.runs.directory import RunDirectory
from hornbook.runs.manifest import Manifest, StageRecord, write_manifest

TEXT = "the cat sat on the mat and the rat sat on the cat. " * 3 + "a dog ate the rat! "


@pytest.fixture(scope="module")
def tokenizer():
    return hornbook.train_tokenizer("byte-bpe", [TEXT * 4], vocab_size=280)


@pytest.fixture(scope="module")
def counted(tokenizer):
    """A function of an estimator and an order: the model, with its tokenizer."""
    documents = [
        [*tokenizer.encode(TEXT[start : start + 60]), tokenizer.end_of_text]
        for start in range(0, 120, 30)
    ]
    ids = np.concatenate([np.array(document) for document in documents])

    def make(estimator="modified_kneser_ney", order=3):
        counts = count_ngrams([ids], tokenizer.vocab_size, order)
        return CountedModel(estimate(counts, estimator), tokenizer)

    return make


def small(order=3, estimator="katz"):
    """Six tokens and no tokenizer."""
    ids = np.random.default_rng(0).choice(6, size=200, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    return CountedModel(estimate(count_ngrams([ids], 6, order), estimator))


def test_logits_are_log_probabilities_after_each_token(counted):
    model = counted()
    tokens = torch.randint(0, 280, (2, 6), generator=torch.Generator().manual_seed(0))
    logits = model(tokens).logits
    assert logits.dtype == torch.float32
    assert logits.shape == (2, 6, 280)
    for row, column in itertools.product(range(2), range(6)):
        p = model.network.probabilities(tokens[row, : column + 1].tolist())
        np.testing.assert_allclose(logits[row, column].exp().numpy(), p, rtol=1e-5)
    torch.testing.assert_close(logits.logsumexp(-1), torch.zeros(2, 6), atol=1e-5, rtol=0)
    assert model.spec == NGramSpec("ngram", 280, 3, "modified_kneser_ney")


def test_token_by_token_is_as_all_at_once(counted):
    model = counted(order=4)
    row = [5, 9, 100, 5, 9, 100, 7]
    step = session.begin(model.network, [row[:1]], 6)
    whole = model([row]).logits[0]
    for place, token in enumerate([*row[1:], None]):
        torch.testing.assert_close(step.read()[0].float(), whole[place])
        if token is not None:
            step.append(torch.tensor([token]))


def drawn(model, prompt, count, seed, row=0, temperature=1.0):
    """What chance takes, by the cumulative distribution, with numbers drawn as the loop draws."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "sampling", row))
    ids = list(prompt)
    for _ in range(count):
        p = model.network.scores(ids) ** (1 / temperature)
        wanted = float(torch.rand(1, generator=generator)) * p.sum()
        ids.append(int(np.searchsorted(np.cumsum(p), wanted, side="right")))
    return ids[len(prompt) :]


@pytest.mark.parametrize("estimator", ["modified_kneser_ney", "katz", "add_k", "stupid_backoff"])
def test_generated_is_drawn_by_hand_from_the_probabilities(estimator):
    model = small(estimator=estimator)
    prompts = [[0], [1, 2, 3, 4]]
    made = model.generate(prompts, max_new_tokens=40, temperature=1.0, seed=7)
    assert made == [drawn(model, prompts[row], 40, 7, row) for row in (0, 1)]
    cool = model.generate([2, 1], max_new_tokens=40, temperature=0.5, seed=3)
    assert cool == drawn(model, [2, 1], 40, 3, temperature=0.5)
    ids = [2, 1]
    for _ in range(10):
        ids.append(int(np.argmax(model.network.scores(ids))))
    assert model.generate([2, 1], max_new_tokens=10) == ids[2:]


def best_of_all(model, prompt, length, stop=None):
    """The likeliest of all continuations of `length` tokens, or shorter that end with `stop`."""
    best = (-math.inf, [])
    for size in range(1, length + 1):
        for ids in itertools.product(range(6), repeat=size):
            if stop in ids[:-1] or (size < length and ids[-1] != stop):
                continue
            row = np.array([[*prompt, *ids]])
            log = float(model.network.log_probabilities(row)[0, len(prompt) - 1 :].sum())
            best = max(best, (log, list(ids)))
    return best[1]


def compare_beams(stop=None):
    model = small()
    for prompt in ([0], [3, 1], [5, 4]):
        wide = Beams(36, length_penalty=0.0)
        found = model.generate(prompt, max_new_tokens=3, beams=wide, stop=stop)
        assert found == best_of_all(model, prompt, 3, stop), "the likeliest of all"


@pytest.mark.parametrize("stop", [None, 1])
def test_beams_find_the_likeliest_of_all(stop):
    compare_beams(stop)


def test_planted_beams_that_keep_their_rows_are_caught(monkeypatch):
    monkeypatch.setattr(session.CountedSession, "reorder", lambda self, rows: None)
    with pytest.raises(AssertionError, match="the likeliest of all"):
        compare_beams()


def test_a_planted_history_that_is_cut_short_is_caught(counted, monkeypatch):
    model = small()
    monkeypatch.setattr(
        session.CountedSession,
        "append",
        lambda self, tokens: setattr(self, "rows", [[token] for token in tokens.tolist()]),
    )
    made = model.generate([0], max_new_tokens=40, temperature=1.0, seed=7)
    assert made != drawn(model, [0], 40, 7)


def test_texts_are_continued_streamed_and_ended(counted, tokenizer):
    model = counted()
    text = model.generate("the cat", max_new_tokens=30, temperature=0.7, seed=2)
    streamed = model.stream("the cat", max_new_tokens=30, temperature=0.7, seed=2)
    assert "".join(streamed) == text
    ids = tokenizer.encode("the cat").tolist()
    made = model.generate(ids, max_new_tokens=200, temperature=1.0, seed=1)
    assert made[-1] == tokenizer.end_of_text
    assert tokenizer.end_of_text not in made[:-1]
    assert model.generate(["a", "b"], max_new_tokens=0) == ["", ""]
    assert "." not in model.generate("the cat", max_new_tokens=60, temperature=0.9, stop=".")


def test_bits_per_byte_are_those_of_each_token_after_the_end_of_a_text(counted, tokenizer):
    model, text = counted(), "the rat sat, é"
    row = [tokenizer.end_of_text, *tokenizer.encode(text).tolist()]
    bits = -sum(
        math.log2(model.network.probabilities(row[:place])[row[place]])
        for place in range(1, len(row))
    )
    assert model.bits_per_byte(text) == pytest.approx(bits / len(text.encode()))
    with pytest.raises(InputError, match="empty text"):
        model.bits_per_byte("")


def test_what_is_no_probability_says_so(counted):
    with pytest.raises(InputError, match="stupid_backoff are scores, not probabilities"):
        counted("stupid_backoff").bits_per_byte("the cat")
    certain = counted("maximum_likelihood")
    assert certain.generate("the cat sat", max_new_tokens=3)
    with pytest.raises(InputError, match="was never seen, so maximum_likelihood gives no"):
        certain.generate("zebra", max_new_tokens=3)
    with pytest.raises(InputError, match="was never seen, so maximum_likelihood gives no"):
        certain.bits_per_byte("zebra")


def test_what_counting_does_not_have_is_said(counted):
    model = counted()
    with pytest.raises(InputError, match="no hidden states"):
        model([[1, 2]], hidden_states=True)
    with pytest.raises(InputError, match=r"shape \[2\] .* \[batch, length\]"):
        model([1, 2])
    with pytest.raises(InputError, match="outside the n-gram model's vocabulary of 280"):
        model([[280]])
    with pytest.raises(InputError, match="outside this model's vocabulary of 280"):
        model.generate([280])
    with pytest.raises(InputError, match="A prompt is empty"):
        model.generate([])
    with pytest.raises(InputError, match="no tokenizer"):
        small().generate("text")
    with pytest.raises(InputError, match="has 280 ids, but the model knows only 6"):
        CountedModel(small().network, model.tokenizer)
    with pytest.raises(InputError, match="no layout 'hf'"):
        model.save("anywhere", layout="hf")


def same(first, second):
    tokens = [[3, 7, 200, 3]]
    torch.testing.assert_close(first(tokens).logits, second(tokens).logits, atol=1e-5, rtol=0)
    return first.spec.order == second.spec.order


def test_files_of_n_grams_are_opened_as_models_are(counted, tokenizer, tmp_path):
    model = counted()
    model.save(tmp_path / "own")
    for path in (tmp_path / "own", tmp_path / "own" / "ngram.safetensors"):
        opened = hornbook.load(path)
        assert same(opened, model)
        assert opened.spec == model.spec
        assert opened.tokenizer.fingerprint == tokenizer.fingerprint
    (tmp_path / "far" / "a" / "b" / "c").mkdir(parents=True)
    far = tmp_path / "far" / "a" / "b" / "c" / "x.arpa"
    model.save(far, layout="arpa")
    model.save(tmp_path / "own" / "x.arpa", layout="arpa")
    near, alone = hornbook.load(tmp_path / "own" / "x.arpa"), hornbook.load(far)
    assert same(near, model)
    assert same(alone, model)
    assert near.tokenizer.fingerprint == tokenizer.fingerprint
    assert near.bits_per_byte("the cat") == pytest.approx(model.bits_per_byte("the cat"))
    assert alone.tokenizer is None
    assert alone.words == words_of(tokenizer)
    small().save(tmp_path / "own" / "other.arpa", layout="arpa")
    assert hornbook.load(tmp_path / "own" / "other.arpa").tokenizer is None  # of other words
    for keywords in ({"device": "cuda"}, {"dtype": "bfloat16"}):
        with pytest.raises(InputError, match="looked up on the CPU, in float32"):
            hornbook.load(far, **keywords)
    with pytest.raises(InputError, match="is not a run, so it has no stage 'baseline'"):
        hornbook.load(far, stage="baseline")


def test_a_runs_baseline_is_opened_where_it_is_asked_for(counted, tokenizer, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    tokenizer.save(run.stage("tokenizer"))
    network = hornbook.build("gpt2", n_layers=1, d_model=16, tokenizer=tokenizer, max_length=8)
    network.save(run.stage("pretraining"), layout="hornbook")
    record = StageRecord("f" * 32, {}, {}, 1.0, {}, {}, {}, "2026-01-01T00:00:00Z")
    stages = dict.fromkeys(("tokenizer", "pretraining"), record)
    write_manifest(run.manifest_path, Manifest(stages=stages))
    run.recipe_path.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"stage baseline has not finished .*`hornbook resume"):
        hornbook.load(run.path, stage="baseline")
    run.stage("baseline").mkdir()
    counted().network.save(run.stage("baseline") / "ngram.safetensors")
    write_manifest(run.manifest_path, Manifest(stages={**stages, "baseline": record}))
    opened = hornbook.load(run.path, stage="baseline")
    assert same(opened, counted())
    assert opened.tokenizer.fingerprint == tokenizer.fingerprint
    assert hornbook.load(run.path).spec.family == "gpt2"
