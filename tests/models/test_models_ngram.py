"""Modified Kneser-Ney against the definition, counted by hand in fractions."""

from collections import Counter, defaultdict
from fractions import Fraction
from itertools import product
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.errors import InputError, StorageError, VersionError
from hornbook.models.ngrams import model as model_file
from hornbook.models.ngrams.counts import count_ngrams
from hornbook.models.ngrams.estimate import estimate
from hornbook.models.ngrams.kneser_ney import FALLBACK_DISCOUNTS
from hornbook.models.ngrams.model import NGram


class BruteForce:
    """The definition, one n-gram at a time: no arrays, no shared code, exact."""

    def __init__(self, pieces, vocab_size, order):
        self.vocab_size, self.order = vocab_size, order
        self.counts = {}
        for m in range(1, order + 1):
            if m == order:
                grams = [tuple(p[i : i + m]) for p in pieces for i in range(len(p) - m + 1)]
                self.counts[m] = Counter(grams)
            else:
                befores = defaultdict(set)
                for piece in pieces:
                    for i in range(len(piece) - m + 1):
                        before = piece[i - 1] if i else "start"
                        befores[tuple(piece[i : i + m])].add(before)
                self.counts[m] = {gram: len(seen) for gram, seen in befores.items()}
        self.discounts = {m: self._discounts(self.counts[m].values()) for m in self.counts}

    def _discounts(self, counts):
        n = [sum(c == j for c in counts) for j in range(5)]
        fallback = [Fraction(d) for d in FALLBACK_DISCOUNTS]
        if not all(n[1:]):
            return fallback
        y = Fraction(n[1], n[1] + 2 * n[2])
        found = [j - (j + 1) * y * Fraction(n[j + 1], n[j]) for j in (1, 2, 3)]
        return found if min(found) > 0 else fallback

    def probability(self, word, history, m):
        if m == 0:
            return Fraction(1, self.vocab_size)
        history = tuple(history)[-(m - 1) :] if m > 1 else ()
        lower = self.probability(word, history[1:], m - 1)
        followers = {g[-1]: c for g, c in self.counts[m].items() if g[:-1] == history}
        total = sum(followers.values())
        if not total:
            return lower
        d = self.discounts[m]
        kept = Fraction(0)
        if word in followers:
            kept = followers[word] - d[min(followers[word], 3) - 1]
        gamma = sum(d[min(c, 3) - 1] for c in followers.values())
        return kept / total + gamma / total * lower

    def after(self, history):
        """p(· | history): the longest order that the history is long enough for."""
        m = min(self.order, len(history) + 1)
        return [
            self.probability(w, history[len(history) - m + 1 :], m) for w in range(self.vocab_size)
        ]


def text(seed, length, vocab_size=5):
    """Tokens with repeats, as language has."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, vocab_size) ** 1.3  # the last id never occurs
    return rng.choice(vocab_size - 1, size=length, p=weights / weights.sum())


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_equals_the_definition_counted_in_fractions(order):
    pieces = [text(1, 90), text(2, 25), text(3, 2), text(4, 1)]
    model = estimate(count_ngrams(pieces, 5, order))
    oracle = BruteForce([piece.tolist() for piece in pieces], 5, order)
    contexts = [c for length in range(order) for c in product(range(5), repeat=length)]
    for context in [*contexts, (0, 1, 0, 2, 1, 0)]:
        expected = [float(p) for p in oracle.after(list(context)[-3:])]
        np.testing.assert_allclose(model.probabilities(context), expected, rtol=1e-12)
    for row in (pieces[0], text(9, 30)):
        expected = [
            log(oracle.after(row[max(0, t - order + 1) : t].tolist())[row[t]])
            for t in range(1, len(row))
        ]
        got = model.log_probabilities(row[None, :])
        np.testing.assert_allclose(got[0], expected, rtol=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 6), max_size=40), min_size=1, max_size=4),
    st.integers(1, 5),
    st.lists(st.integers(0, 7), max_size=7),
)
def test_every_history_seen_or_not_sums_to_one(pieces, order, context):
    arrays = [np.array(piece, dtype=np.int64) for piece in pieces]
    if not any(pieces):
        with pytest.raises(InputError):
            count_ngrams(arrays, 8, order)
        return
    model = estimate(count_ngrams(arrays, 8, order))
    p = model.probabilities(context)
    assert abs(p.sum() - 1) < 1e-12
    assert p.min() > 0


def test_lower_orders_count_what_stands_before_not_how_often():
    """The classic: "Francisco" is frequent but only ever follows "San" (plant: raw counts)."""
    san, francisco, glasses, other = 0, 1, 2, 3
    stream = [san, francisco] * 20 + [other, glasses, san, glasses, glasses, other, glasses]
    model = estimate(count_ngrams([np.array(stream)], 5, 2))
    unseen = model.probabilities([4])
    assert unseen[glasses] > unseen[francisco]


def test_nothing_crosses_from_one_piece_to_the_next():
    joined = count_ngrams([np.array([0, 1, 2, 0, 1, 2])], 3, 2)
    apart = count_ngrams([np.array([0, 1, 2]), np.array([0, 1, 2])], 3, 2)
    assert len(joined.levels[1].tokens) == 3  # 01, 12, 20
    assert len(apart.levels[1].tokens) == 2


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


def test_a_row_never_looks_outside_itself():
    model = estimate(count_ngrams([text(1, 300)], 5, 4))
    long = text(7, 20)
    rows = np.stack([long[:10], long[10:]])
    alone = model.log_probabilities(long[None, 10:])
    np.testing.assert_array_equal(model.log_probabilities(rows)[1], alone[0])
    assert abs(alone[0, 0] - np.log(model.probabilities(long[10:11])[long[11]])) < 1e-12


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
    monkeypatch.setattr(model_file, "FORMAT_VERSION", 3)
    model.save(path)
    monkeypatch.setattr(model_file, "FORMAT_VERSION", 2)
    with pytest.raises(VersionError, match="update Hornbook"):
        NGram.load(path)


def test_bad_input_is_said_in_one_sentence():
    with pytest.raises(InputError, match="no tokens to count"):
        count_ngrams([np.array([], dtype=np.int64)], 5, 3)
    with pytest.raises(InputError, match="outside the vocabulary of 5"):
        count_ngrams([np.array([1, 5])], 5, 3)
    with pytest.raises(InputError, match="vocabulary of 5"):
        estimate(count_ngrams([np.array([1, 2, 3])], 5, 2)).log_probabilities(np.array([[1, 7]]))


def test_a_text_shorter_than_the_order_gives_a_lower_order():
    assert count_ngrams([np.array([1, 2, 3])], 5, 5).order == 3
