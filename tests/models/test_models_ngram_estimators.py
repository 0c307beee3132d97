"""Every estimator against its definition, counted by hand in fractions, and against nltk."""

import math
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.lm import KneserNeyInterpolated

from hornbook.errors import InputError
from hornbook.models.ngrams import ESTIMATORS, NORMALISED, estimate, katz, kneser_ney
from hornbook.models.ngrams.counts import count_ngrams

HALF = Fraction(1, 2)


class Definition:
    """One n-gram at a time, exactly, from the formulas: no arrays, no shared code.

    `after(context)` gives p [vocab_size], or None where there is no probability.
    """

    def __init__(self, pieces, vocab_size, order):
        self.vocab_size, self.order = vocab_size, order
        self.raw, self.befores = {}, {}
        for m in range(1, order + 1):
            seen = defaultdict(list)
            for piece in pieces:
                for i in range(len(piece) - m + 1):
                    seen[tuple(piece[i : i + m])].append(piece[i - 1] if i else "start")
            self.raw[m] = {gram: len(before) for gram, before in seen.items()}
            self.befores[m] = {gram: len(set(before)) for gram, before in seen.items()}
        self.after_history = defaultdict(dict)
        for m in self.raw:
            for gram, count in self.counts(m).items():
                self.after_history[gram[:-1]][gram[-1]] = count

    def after(self, context):
        m = min(self.order, len(context) + 1)
        history = tuple(context[len(context) - m + 1 :])
        found = [self.probability(word, history) for word in range(self.vocab_size)]
        return None if None in found else found

    def counts(self, m):
        return self.raw[m]

    def followers(self, history):
        return self.after_history.get(history, {})

    def shorter(self, word, history):
        if history:
            return self.probability(word, history[1:])
        return Fraction(1, self.vocab_size)

    def counts_of_counts(self, m):
        return Counter(self.counts(m).values())


class MaximumLikelihood(Definition):
    def probability(self, word, history):
        after = self.followers(history)
        return Fraction(after.get(word, 0), sum(after.values())) if after else None


class AddK(Definition):
    k = Fraction(1, 4)

    def probability(self, word, history):
        after = self.followers(history)
        return (after.get(word, 0) + self.k) / (sum(after.values()) + self.k * self.vocab_size)


class StupidBackoff(Definition):
    def probability(self, word, history):
        after = self.followers(history)
        if word in after:
            return Fraction(after[word], sum(after.values()))
        return Fraction(2, 5) * self.probability(word, history[1:]) if history else Fraction(0)


class Katz(Definition):
    def ratio(self, m, r):
        n = self.counts_of_counts(m)
        if r > 5:
            return Fraction(1)
        fixed = (r - HALF) / r
        if not all(n[j] for j in range(1, 7)):
            return fixed
        a = Fraction(6 * n[6], n[1])
        if a >= 1:
            return fixed
        found = [(Fraction((j + 1) * n[j + 1], n[j] * j) - a) / (1 - a) for j in range(1, 6)]
        return found[r - 1] if all(0 < d < 1 for d in found) else fixed

    def probability(self, word, history):
        after = self.followers(history)
        if not after:
            return self.shorter(word, history)
        total = sum(after.values())
        if len(after) == self.vocab_size:
            return Fraction(after[word], total)
        kept = {w: c * self.ratio(len(history) + 1, c) for w, c in after.items()}
        if sum(kept.values()) == total:
            total += 1
        if word in after:
            return kept[word] / total
        alpha = (1 - sum(kept.values()) / total) / (
            1 - sum(self.shorter(w, history) for w in after)
        )
        return alpha * self.shorter(word, history)


class ModifiedKneserNey(Definition):
    def counts(self, m):
        return self.raw[m] if m == self.order else self.befores[m]

    def discounts(self, m):
        n = self.counts_of_counts(m)
        fixed = [HALF, Fraction(1), 3 * HALF]
        if not all(n[j] for j in range(1, 5)):
            return fixed
        y = Fraction(n[1], n[1] + 2 * n[2])
        found = [j - (j + 1) * y * Fraction(n[j + 1], n[j]) for j in (1, 2, 3)]
        return found if min(found) > 0 else fixed

    def probability(self, word, history):
        after = self.followers(history)
        lower = self.shorter(word, history)
        if not after:
            return lower
        d = self.discounts(len(history) + 1)
        total = sum(after.values())
        own = after[word] - d[min(after[word], 3) - 1] if word in after else 0
        return own / total + sum(d[min(c, 3) - 1] for c in after.values()) / total * lower


class KneserNey(ModifiedKneserNey):
    def discounts(self, m):
        n = self.counts_of_counts(m)
        d = Fraction(n[1], n[1] + 2 * n[2]) if n[1] and n[2] else Fraction(3, 4)
        return [d] * 3


DEFINITIONS = {
    "maximum_likelihood": MaximumLikelihood,
    "add_k": AddK,
    "stupid_backoff": StupidBackoff,
    "katz": Katz,
    "modified_kneser_ney": ModifiedKneserNey,
    "kneser_ney": KneserNey,
}
SETTINGS = {"add_k": {"add_k": 0.25}}


def text(seed, length, letters, power=0.7):
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, letters + 1) ** power
    return rng.choice(letters, size=length, p=weights / weights.sum())


TEXTS = {  # letters, size of the vocabulary, pieces
    "two letters, all seen": (2, [text(1, 40, 2)]),
    "two letters, few pieces": (2, [text(2, 9, 2), text(3, 6, 2), text(4, 1, 2), text(5, 4, 2)]),
    "three letters": (3, [text(6, 150, 3), text(7, 2, 3)]),
    "three letters, long": (3, [text(139, 400, 3, 2.0)]),
    "three letters, steep": (3, [text(21, 100, 3, 1.2)]),
    "a letter never seen": (3, [text(9, 60, 2), text(10, 11, 2)]),
    "one letter of two, often": (2, [np.zeros(12, dtype=np.int64)]),
}


def compare(estimator, vocab_size, pieces, order):
    """The named assertions: every context, and every row, as the definition says."""
    model = estimate.estimate(
        count_ngrams(pieces, vocab_size, order), estimator, **SETTINGS.get(estimator, {})
    )
    definition = DEFINITIONS[estimator]([p.tolist() for p in pieces], vocab_size, model.order)
    expected = {
        context: definition.after(context)
        for length in range(order + 1)
        for context in product(range(vocab_size), repeat=length)
    }
    for context, p in expected.items():
        if p is None:
            with pytest.raises(InputError, match="was never seen"):
                model.scores(context)
            continue
        found = model.scores(context)
        if estimator in NORMALISED:
            assert abs(found.sum() - 1) < 1e-12, "sums to 1"
            assert found.min() > 0, "is above 0"
        assert np.abs(found - np.array([float(x) for x in p])).max() < 1e-12, "is the definition"
    row = pieces[0][: 4 * order]
    for t in range(1, len(row)):
        p = definition.after(row[max(0, t - order + 1) : t].tolist())[row[t]]
        score = model.log_scores(row[None, :])[0, t - 1]
        assert abs(score - math.log(p)) < 1e-12 * max(1, abs(math.log(p))), "scores rows"
    return model


@pytest.mark.column("oracle", "ngram")
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_context_has_what_the_definition_says(estimator, name, order):
    compare(estimator, *TEXTS[name], order)


@pytest.mark.parametrize("estimator", ["modified_kneser_ney", "kneser_ney", "katz"])
def test_the_comparison_above_has_estimated_discounts_and_fixed_ones(estimator):
    notes = [
        f"discounts of order {order}" in " ".join(model_of(estimator, name, 4).notes)
        for name in TEXTS
        for order in range(1, 5)
    ]
    assert any(notes)
    assert not all(notes)


def model_of(estimator, name, order):
    vocab_size, pieces = TEXTS[name]
    return estimate.estimate(count_ngrams(pieces, vocab_size, order), estimator)


def raw_below(counts, order):
    return counts.levels[order - 1].counts


@pytest.mark.column("planted bugs caught", "ngram")
def test_planted_lower_orders_that_use_raw_counts_are_caught(monkeypatch):
    monkeypatch.setattr(kneser_ney, "adjusted_counts", raw_below)
    for estimator in ("modified_kneser_ney", "kneser_ney"):
        with pytest.raises(AssertionError, match="is the definition"):
            compare(estimator, *TEXTS["three letters"], 3)


@pytest.mark.column("planted bugs caught", "ngram")
@pytest.mark.parametrize("estimator", ["maximum_likelihood", "add_k", "katz", "kneser_ney"])
def test_planted_totals_with_a_texts_last_history_are_caught(estimator, monkeypatch):
    """The plant: c(h ·) is how often h itself occurs, its end of a text included."""
    vocab_size, pieces = TEXTS["three letters"]
    counts = count_ngrams(pieces, vocab_size, 2)
    plain = estimate._totals

    def with_the_last(values, owners, histories):
        totals = plain(values, owners, histories)
        return totals if histories == 1 else counts.levels[0].counts.astype(np.float64)

    compare(estimator, vocab_size, pieces, 2)
    monkeypatch.setattr(estimate, "_totals", with_the_last)
    with pytest.raises(AssertionError, match=r"sums to 1|is the definition"):
        compare(estimator, vocab_size, pieces, 2)


@pytest.mark.column("planted bugs caught", "ngram")
def test_a_planted_alpha_that_is_not_normalised_is_caught(monkeypatch):
    plain = katz._kernel

    def unnormalised(ratios, histories):
        p, alpha = plain(ratios, histories)
        return p, alpha * (1 - histories.sums(histories.lower))

    monkeypatch.setattr(katz, "_kernel", unnormalised)
    with pytest.raises(AssertionError, match="sums to 1"):
        compare("katz", *TEXTS["a letter never seen"], 3)


@pytest.mark.column("planted bugs caught", "ngram")
@pytest.mark.parametrize("estimator", ["modified_kneser_ney", "kneser_ney"])
def test_planted_discounts_of_another_order_are_caught(estimator, monkeypatch):
    name = {"modified_kneser_ney": "estimate_discounts", "kneser_ney": "estimate_discount"}
    plain, late = getattr(kneser_ney, name[estimator]), [None]

    def of_the_order_before(counts):
        late.append(plain(counts))
        return late[-2]

    monkeypatch.setattr(kneser_ney, name[estimator], of_the_order_before)
    with pytest.raises(AssertionError, match="is the definition"):
        compare(estimator, *TEXTS["three letters, long"], 4)


@pytest.mark.column("oracle", "ngram")
@pytest.mark.parametrize("order", [2, 3, 4])
def test_one_discount_as_nltk_has_it(order, monkeypatch):
    """nltk discounts all orders but the unigram by the same, and takes starts as given."""
    pieces, discount = [text(1, 120, 4), text(2, 30, 4)], 0.6
    given = iter([(0.0,) * 3, *[(discount,) * 3] * (order - 1)])
    monkeypatch.setattr(kneser_ney, "estimate_discount", lambda _: next(given))
    model = estimate.estimate(count_ngrams(pieces, 4, order), "kneser_ney")
    theirs = KneserNeyInterpolated(order, discount=discount)
    grams = []
    for piece in pieces:
        words = list(map(str, piece))
        for m in range(1, order + 1):
            grams += [tuple(words[i : i + m]) for i in range(len(words) - m + 1)]
            grams += [("start", *words[: m - 1])] if m > 1 else []
    theirs.fit([grams], vocabulary_text=list("0123"))
    for context in product("0123", repeat=order - 1):
        found = model.probabilities([int(word) for word in context])
        expected = [theirs.unmasked_score(word, context) for word in "0123"]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.column("oracle", "ngram")
@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(NORMALISED),
    st.lists(st.lists(st.integers(0, 6), max_size=40), min_size=1, max_size=4).filter(any),
    st.integers(1, 5),
    st.lists(st.integers(0, 7), max_size=7),
)
def test_every_context_seen_or_not_sums_to_one(estimator, pieces, order, context):
    arrays = [np.array(piece, dtype=np.int64) for piece in pieces]
    p = estimate.estimate(count_ngrams(arrays, 8, order), estimator).probabilities(context)
    assert abs(p.sum() - 1) < 1e-12
    assert p.min() > 0


def test_maximum_likelihood_names_the_context_that_it_never_saw():
    model = estimate.estimate(count_ngrams([np.array([0, 1, 2, 0, 1])], 4, 3), "maximum_likelihood")
    assert model.probabilities([0, 1]).tolist() == [0, 0, 1, 0]
    assert model.log_probabilities(np.array([[0, 1, 2, 1]])).tolist() == [[0, 0, -math.inf]]
    for call in (
        lambda: model.probabilities([0, 3]),
        lambda: model.log_probabilities(np.array([[0, 1, 2], [0, 3, 1]])),
        lambda: model.logits(np.array([[0, 3]])),
    ):
        with pytest.raises(InputError, match="context of tokens 3 was never seen"):
            call()
    with pytest.raises(InputError, match="context of tokens 2 1 was never seen"):
        model.probabilities([0, 2, 1])


def test_stupid_backoff_gives_scores_and_no_probabilities():
    model = estimate.estimate(count_ngrams([np.array([0, 1, 0, 2])], 3, 2), "stupid_backoff")
    assert not model.is_normalised
    assert model.scores([1]).tolist() == [1, 0.4 / 4, 0.4 / 4]
    for call in (
        lambda: model.log_probabilities(np.array([[0, 1]])),
        lambda: model.probabilities([0]),
    ):
        with pytest.raises(InputError, match="scores, not probabilities"):
            call()


def test_what_an_estimator_cannot_do_is_said():
    counts = count_ngrams([np.array([0, 1])], 2, 1)
    with pytest.raises(InputError, match="no estimator kneser; choose one of modified_kneser_ney"):
        estimate.estimate(counts, "kneser")
    with pytest.raises(InputError, match="katz has no setting add_k"):
        estimate.estimate(counts, "katz", add_k=1.0)
    with pytest.raises(InputError, match="must be above 0"):
        estimate.estimate(counts, "add_k", add_k=0.0)
