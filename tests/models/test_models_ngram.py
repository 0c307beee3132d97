"""The n-gram model: rows, contexts and logits agree, drawing, saving, bad input."""

import json

import numpy as np
import pytest
import safetensors.numpy

from hornbook.errors import InputError, StorageError, VersionError
from hornbook.models.ngrams import model as model_file
from hornbook.models.ngrams.counts import count_ngrams
from hornbook.models.ngrams.estimate import estimate
from hornbook.models.ngrams.model import NGram


def text(seed, length, vocab_size=5):
    """Tokens with repeats, as language has."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, vocab_size) ** 1.3  # the last id never occurs
    return rng.choice(vocab_size - 1, size=length, p=weights / weights.sum())


def test_lower_orders_count_what_stands_before_not_how_often():
    """The classic: "Francisco" is frequent but only ever follows "San" (plant: raw counts)."""
    san, francisco, glasses, other = 0, 1, 2, 3
    stream = [san, francisco] * 20 + [other, glasses, san, glasses, glasses, other, glasses]
    model = estimate(count_ngrams([np.array(stream)], 5, 2))
    unseen = model.probabilities([4])
    assert unseen[glasses] > unseen[francisco]


@pytest.mark.column("logits", "ngram")
def test_logits_rows_and_single_contexts_agree():
    model = estimate(count_ngrams([text(1, 300)], 5, 3))
    rows = np.stack([text(7, 12), text(8, 12)])
    logits = model.logits(rows)
    assert logits.shape == (2, 12, 5)
    scored = model.log_probabilities(rows)
    for b in range(2):
        for t in range(11):
            assert abs(logits[b, t, rows[b, t + 1]] - scored[b, t]) < 1e-5
            single = model.probabilities(rows[b, : t + 1])
            np.testing.assert_allclose(np.exp(logits[b, t]), single, rtol=1e-5)


@pytest.mark.column("batch invariance", "ngram")
def test_a_row_never_looks_outside_itself():
    model = estimate(count_ngrams([text(1, 300)], 5, 4))
    long = text(7, 20)
    rows = np.stack([long[:10], long[10:]])
    alone = model.log_probabilities(long[None, 10:])
    np.testing.assert_array_equal(model.log_probabilities(rows)[1], alone[0])
    assert abs(alone[0, 0] - np.log(model.probabilities(long[10:11])[long[11]])) < 1e-12


@pytest.mark.column("logits", "ngram")
def test_logits_of_a_batch_shorter_than_the_order_and_of_no_context():
    model = estimate(count_ngrams([text(1, 300)], 5, 4))
    logits = model.logits(np.array([[2], [3]]))
    np.testing.assert_allclose(np.exp(logits[1, 0]), model.probabilities([3]), rtol=1e-5)
    assert abs(model.probabilities([]).sum() - 1) < 1e-12


def test_what_is_drawn_has_the_models_frequencies():
    """A chi-square test of each next token against its probability, given the one before."""
    model = estimate(count_ngrams([text(1, 300)], 5, 2))
    drawn = model.sample([0], 1500, np.random.default_rng(0))
    pairs = np.zeros((5, 5))  # [token before, token]
    np.add.at(pairs, (np.r_[0, drawn[:-1]], drawn), 1)
    expected = pairs.sum(1, keepdims=True) * np.stack([model.probabilities([h]) for h in range(5)])
    enough = expected > 5
    chi = ((pairs - expected) ** 2 / np.where(enough, expected, 1))[enough].sum()
    assert chi < enough.sum() + 4 * np.sqrt(2 * enough.sum())


def test_the_history_of_what_is_drawn_is_what_was_drawn_before():
    model = estimate(count_ngrams([np.array([0, 1, 2, 3])], 4, 3), "maximum_likelihood")
    assert model.sample([0], 3, np.random.default_rng(0)).tolist() == [1, 2, 3]


def test_saving_twice_gives_the_same_bytes_and_the_same_model(tmp_path):
    model = estimate(count_ngrams([text(1, 300)], 5, 3))
    model.save(tmp_path / "a")
    model.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    again = NGram.load(tmp_path / "a")
    rows = np.stack([text(7, 12)])
    np.testing.assert_array_equal(again.log_probabilities(rows), model.log_probabilities(rows))
    assert (again.rule, again.notes) == (model.rule, model.notes)


def test_a_torn_a_missing_and_a_newer_file_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "model"
    model = estimate(count_ngrams([text(1, 300)], 5, 3))
    model.save(path)
    (tmp_path / "torn").write_bytes(path.read_bytes()[:-7])
    for bad in ("torn", "missing"):
        with pytest.raises(StorageError, match=f"{bad} cannot be read"):
            NGram.load(tmp_path / bad)
    for lost in ("3.tokens", "levels"):
        tensors = safetensors.numpy.load_file(path)
        header = {"format": model_file.FORMAT_VERSION, "vocab_size": 5, "order": 3}
        header |= {"rule": {"name": "x"}, "notes": []} if lost in tensors else {}
        tensors = {name: own for name, own in tensors.items() if name != lost}
        metadata = {"hornbook": json.dumps(header)}
        safetensors.numpy.save_file(tensors, tmp_path / "partial", metadata)
        with pytest.raises(StorageError, match="partial lacks a part of it"):
            NGram.load(tmp_path / "partial")
    monkeypatch.setattr(model_file, "FORMAT_VERSION", 3)
    model.save(path)
    monkeypatch.setattr(model_file, "FORMAT_VERSION", 2)
    with pytest.raises(VersionError, match="update Hornbook"):
        NGram.load(path)


def test_bad_input_is_said_in_one_sentence():
    with pytest.raises(InputError, match="vocabulary of 5"):
        estimate(count_ngrams([np.array([1, 2, 3])], 5, 2)).log_probabilities(np.array([[1, 7]]))
