"""word2vec against loops over single words in float64, its draws, and what it learns."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from hornbook.errors import InputError, SpecError, TrainingError
from hornbook.models.families import spec_for, word2vec
from hornbook.models.vectors import examples, tables, train, vector_spec_for, vocabulary
from hornbook.models.vectors.examples import (
    Examples,
    examples_of,
    make_examples,
    near_pairs,
    order_by,
)
from hornbook.models.vectors.noise import Noise, noise_of
from hornbook.models.vectors.spec import VectorSpec
from hornbook.models.vectors.tables import Tables, mean_loss, step
from hornbook.models.vectors.train import train_on_lists
from hornbook.models.vectors.vocabulary import JoinedIds, count_words, keep_probabilities

V, D, WINDOW, NEGATIVES, RATE = 9, 5, 3, 4, 0.03
WORDS = np.random.default_rng(1).integers(0, V, 60)
TEXTS = np.repeat([0, 1, 2], [25, 1, 34])  # the second text is one word: nothing is near it


class Fixed:
    """Noise that is a function of the place it is asked for, so that loops can ask for it too."""

    wrong = np.random.default_rng(2).integers(0, V, (600, NEGATIVES))

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return self.wrong[: shape[0]]


def redrawn() -> Tables:
    """Tables of which no number is alike, some scores beyond 6."""
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(2, V, D, generator=generator, dtype=torch.float64)
    return Tables(1.5 * drawn[0], 1.5 * drawn[1])


def reaches() -> np.ndarray:
    """The first numbers that the generator of the examples draws."""
    return np.random.default_rng(4).integers(1, WINDOW + 1, len(WORDS))


def contexts() -> Iterator[tuple[int, list[int]]]:
    """Each place and the places near it, by the released code's rule."""
    for i, reach in enumerate(reaches()):
        inside = range(max(0, i - reach), min(len(WORDS), i + reach + 1))
        near = [j for j in inside if j != i and TEXTS[j] == TEXTS[i]]
        if near:
            yield i, near


def loops(architecture: str) -> tuple[np.ndarray, np.ndarray, int]:
    """One chunk in float64, a score at a time; all from the tables as they were. Scores beyond 6.

    Skip-gram feeds a word near the centre and predicts the centre; negatives are handed out in
    the order of the word that is fed. CBOW feeds the mean and adds the undivided error.
    """
    start = redrawn()
    v, u = start.inputs.numpy(), start.outputs.numpy()
    new_v, new_u, sure = v.copy(), u.copy(), 0
    if architecture == "skip_gram":
        pairs = [([int(WORDS[j])], int(WORDS[i])) for i, near in contexts() for j in near]
        pairs.sort(key=lambda pair: pair[0])
    else:
        pairs = [([int(WORDS[j]) for j in near], int(WORDS[i])) for i, near in contexts()]
    for number, (fed, centre) in enumerate(pairs):
        h = [sum(v[w][k] for w in fed) / len(fed) for k in range(D)]
        back = [0.0] * D
        for turn, word in enumerate([centre, *Fixed.wrong[number].tolist()]):
            if turn and word == centre:
                continue
            x = sum(h[k] * u[word][k] for k in range(D))
            sure += abs(x) > 6
            probability = 1.0 if x > 6 else 0.0 if x < -6 else 1 / (1 + math.exp(-x))
            g = RATE * ((turn == 0) - probability)
            for k in range(D):
                back[k] += g * u[word][k]
                new_u[word][k] += g * h[k]
        for w in fed:
            for k in range(D):
                new_v[w][k] += back[k]
    return new_v, new_u, sure


def numbers(architecture: str, **others) -> VectorSpec:
    return vector_spec_for("word2vec", architecture=architecture, **others)


def chunk(architecture: str, width: int = 1000) -> list[Examples]:
    """Our examples of the words above."""
    spec = numbers(architecture, vocab_size=V, window=WINDOW, negatives=NEGATIVES)
    return list(make_examples(spec, WORDS, TEXTS, Fixed(), np.random.default_rng(4), width))


def off(architecture: str) -> float:
    """How far one step is from the loops."""
    ours = redrawn()
    for made in chunk(architecture):
        step(ours, made, RATE)
    v, u, _ = loops(architecture)
    found = (ours.inputs.numpy() - v, ours.outputs.numpy() - u)
    return max(float(np.abs(part).max()) for part in found)


@pytest.mark.column("oracle", "word2vec")
@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_a_step_is_the_released_code(architecture):
    assert loops(architecture)[2] > 5
    assert off(architecture) < 1e-12


def summed(table, rows, starts):
    return tables._sums(table, rows, starts)


def swapped(words, centres, near):
    return examples.skip_gram_rows(words, near, centres)


def draws_another(read, read_starts, rows, right, wrong):
    other = np.where(wrong == right[:, None], (wrong + 1) % V, wrong)
    return examples_of(read, read_starts, rows, right, other)


BUGS = {
    "skip_gram: reads the centre, predicts the context": (examples.ROWS, "skip_gram", swapped),
    "skip_gram: never saturates": (tables, "SATURATION", 1e9),
    "skip_gram: a wrong word that is right is drawn again": (
        examples,
        "examples_of",
        draws_another,
    ),
    "skip_gram: sums are cut too early": (tables, "LIMIT", 3.0),
    "cbow: sum for mean": (tables, "_means", summed),
    "cbow: reach is one too far": (examples, "near_pairs", None),
}


@pytest.mark.column("planted bugs caught", "word2vec")
@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_seen(bug, monkeypatch):
    where, name, change = BUGS[bug]
    if change is None:

        def change(words, texts, window, generator):
            return near_pairs(words, texts, window + 1, generator)

    if isinstance(where, dict):
        monkeypatch.setitem(where, name, change)
    else:
        monkeypatch.setattr(where, name, change)
    assert off(bug.partition(":")[0]) > 1e-3


@pytest.mark.column("gradients", "word2vec")
def test_cbow_gives_each_word_the_undivided_error():
    """The gradient of the mean would be a third of it: v of all three moves as a whole."""
    start = redrawn()
    made = examples_of(*(np.array(n) for n in ([1, 2, 3], [0], [0], [4])), np.array([[5, 7]]))
    moved = Tables(start.inputs.clone(), 0.5 * start.outputs)
    step(moved, made, RATE)
    h = start.inputs[[1, 2, 3]].mean(0)
    chosen = 0.5 * start.outputs[[4, 5, 7]]
    scores = chosen @ h
    assert scores.abs().max() < 6
    g = RATE * (torch.tensor([1.0, 0, 0]) - scores.sigmoid())
    for word in (1, 2, 3):
        torch.testing.assert_close(moved.inputs[word] - start.inputs[word], g @ chosen)


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_steps_of_fewer_words_hold_the_same_pairs(architecture):
    """Cut anywhere, nothing is lost at the cuts: the same words right for the same words read."""

    def right(parts: list[Examples]) -> dict[tuple[int, ...], int]:
        found: dict[tuple[int, ...], int] = {}
        for made in parts:
            ends = [*made.read_starts[1:].tolist(), len(made.read)]
            for row, word, times in zip(made.entry_rows, made.targets, made.right, strict=True):
                read = made.read[made.read_starts[row] : ends[row]].tolist()
                key = (int(word), *read)
                found[key] = found.get(key, 0) + int(times)
        return {key: times for key, times in found.items() if times}

    whole, parts = chunk(architecture), chunk(architecture, 7)
    assert len(whole) == 1
    assert len(parts) == 9
    assert right(parts) == right(whole)


@pytest.mark.column("gradients", "word2vec")
def test_errors_are_the_gradient_of_the_loss():
    """Of skip-gram, for CBOW's are not; scores within 6."""
    start = redrawn()
    leaves = [(0.4 * table).requires_grad_() for table in vars(start).values()]
    ours = Tables(*(leaf.detach().clone() for leaf in leaves))
    (made,) = chunk("skip_gram")
    fed = made.read[made.entry_rows]  # a row of skip-gram reads one word
    scores = (leaves[0][fed] * leaves[1][made.targets]).sum(1)
    right, times = (torch.from_numpy(n).double() for n in (made.right, made.times))
    loss = -(right * scores.sigmoid().log() + (times - right) * (1 - scores.sigmoid()).log()).sum()
    mean = float(loss.detach() / right.sum())
    assert mean_loss(ours, made) == pytest.approx(mean, rel=1e-12)
    step(ours, made, RATE)
    gradients = torch.autograd.grad(loss, leaves)
    for now, then, gradient in zip(vars(ours).values(), leaves, gradients, strict=True):
        torch.testing.assert_close(now - then, -RATE * gradient, rtol=1e-9, atol=1e-12)


def test_words_are_near_as_often_as_their_distance_says():
    """p(distance j) = (window - j + 1) / window; a window that is never shrunk has 1 everywhere."""
    words = np.zeros(20_000, dtype=np.int64)
    centres, near = near_pairs(words, words, 5, np.random.default_rng(0))
    for distance in range(1, 6):
        share = np.count_nonzero(near - centres == distance) / len(words)
        assert share == pytest.approx((5 - distance + 1) / 5, abs=0.015)
        assert np.count_nonzero(centres - near == distance) / len(words) == pytest.approx(
            share, abs=0.02
        )


COUNTS = np.array([5000, 900, 300, 41, 40, 12, 5, 5])


def chi_square(noise: Noise) -> float:
    """Σ (seen - expected)² / expected of 100,000 draws against count^0.75; 7 degrees."""
    weights = [count**0.75 for count in COUNTS.tolist()]
    drawn = noise.draw(np.random.default_rng(5), (20_000, 5))
    seen = np.bincount(drawn.ravel(), minlength=8)
    expected = np.array(weights) / sum(weights) * drawn.size
    return float(((seen - expected) ** 2 / expected).sum())


def test_noise_is_drawn_by_the_count_to_three_quarters():
    assert chi_square(noise_of(COUNTS, word2vec.spec().noise_power)) < 24.3  # p = 0.001
    assert chi_square(noise_of(COUNTS, 1.0)) > 1000  # the raw unigram
    assert chi_square(noise_of(COUNTS, 0.0)) > 1000


def test_the_cells_of_the_noise_add_up_exactly():
    noise = noise_of(COUNTS, 0.75)
    held = np.zeros(8)
    for cell in range(8):
        held[cell] += noise.accept[cell]
        held[noise.other[cell]] += 1 - noise.accept[cell]
    weights = COUNTS**0.75
    np.testing.assert_allclose(held / 8, weights / weights.sum(), rtol=1e-12)


def test_frequent_words_are_thinned_by_the_codes_rule():
    """f = t, 4 t, 100 t: all, three quarters, 11 of 100; the paper keeps all, a half, a tenth."""
    counts = np.array([100_000, 4_000, 1_000, 895_000])
    keep = keep_probabilities(counts, 1e-3)
    assert keep[:3] == pytest.approx([0.11, 0.75, 1.0])
    assert keep_probabilities(counts, 0.0) == pytest.approx([1, 1, 1, 1])
    rows = np.random.default_rng(0).choice(4, 40_000, p=counts / counts.sum())
    stay, _ = examples.thinned(rows, keep, np.random.default_rng(1))
    shares = np.bincount(stay, minlength=4) / np.bincount(rows, minlength=4)
    assert shares == pytest.approx(keep, abs=0.06)


def test_rare_words_go_before_windows_and_texts_do_not_meet():
    """Word 3 occurs once: 0 and 1 become neighbours across it; 2 stands alone in its text."""
    texts = [[0, 3, 1], [2], [0, 1], [2]]
    joined = JoinedIds(texts, separator=4)
    found = count_words([joined], 4, 4, minimum_count=2)
    assert sorted(found.ids.tolist()) == [0, 1, 2]
    rows = found.rows[joined.read(0, joined.tokens)]
    assert rows[[1, 3]].tolist() == [vocabulary.DROPPED, vocabulary.SEPARATOR]
    words, numbers = examples.thinned(rows, np.ones(3), np.random.default_rng(0))
    centres, near = near_pairs(words, numbers, 1, np.random.default_rng(0))
    met = {
        (int(found.ids[words[i]]), int(found.ids[words[j]]))
        for i, j in zip(centres, near, strict=True)
    }
    assert met == {(0, 1), (1, 0)}


def test_words_stand_by_falling_count():
    found = count_words([JoinedIds([[7, 7, 2, 2, 2, 5, 9, 9]], 10)], 10, 10, 2)
    assert found.ids.tolist() == [2, 7, 9]
    assert found.counts.tolist() == [3, 2, 2]


@pytest.mark.parametrize("top", [3, 65_535, 65_536, 5_000_000])
def test_sorting_by_digits_is_a_stable_sort(top):
    words = np.random.default_rng(0).integers(0, top + 1, 500)
    words[7] = top
    np.testing.assert_array_equal(order_by(words), np.argsort(words, kind="stable"))


def test_a_large_vocabulary_learns_the_same():
    """Ids beyond 16 bits: rows and draws depend on the order of words alone."""
    texts = [WORDS.tolist()]
    small = train_on_lists(vector_spec_for("word2vec", vocab_size=V, minimum_count=1), texts)
    spread = [[7 + 30_000 * word for word in WORDS.tolist()]]
    spec = vector_spec_for("word2vec", vocab_size=30_000 * V, minimum_count=1)
    assert torch.equal(train_on_lists(spec, spread).tables.inputs, small.tables.inputs)


@contextmanager
def threads(number: int):
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(architecture):
    texts = np.random.default_rng(6).zipf(1.4, (2, 600)) % 80
    spec = vector_spec_for(
        "word2vec", vocab_size=80, d_model=12, architecture=architecture, epochs=2
    )
    made = []
    for number, seed in ((1, 0), (1, 0), (2, 0), (1, 1)):
        with threads(number):
            made.append(train_on_lists(spec, texts.tolist(), seed=seed).tables)
            assert torch.get_num_threads() == number
    for again in made[1:3]:
        assert torch.equal(again.inputs, made[0].inputs)
        assert torch.equal(again.outputs, made[0].outputs)
    assert not torch.equal(made[3].inputs, made[0].inputs)


@pytest.mark.column("oracle", "word2vec")
def test_fresh_vectors_are_those_of_the_released_code():
    fresh = tables.fresh_tables(2000, 10, seed=0)
    assert float(fresh.inputs.abs().max()) == pytest.approx(0.05, rel=1e-3)
    assert float(fresh.inputs.std()) == pytest.approx(0.1 / 12**0.5, rel=0.02)
    assert not fresh.outputs.any()


def test_the_learning_rate_falls_to_its_floor(monkeypatch):
    rates = []
    monkeypatch.setattr(train, "step", lambda tables, examples, rate: rates.append(rate))
    monkeypatch.setattr(train, "CHUNK", 10)
    spec = vector_spec_for(
        "word2vec", vocab_size=V, minimum_count=1, epochs=4, architecture="cbow", threshold=0.0
    )
    train_on_lists(spec, [WORDS.tolist()[:39]])  # 40 tokens with the separator: 4 chunks
    assert rates == pytest.approx([0.05 * (1 - done / 16) for done in range(16)])
    assert vector_spec_for("word2vec").learning_rate == 0.025


def synonyms(seed: int, sentences: int) -> list[list[int]]:
    """Twelve topics of four context words and two synonyms that never meet: 6 t and 6 t + 1."""
    generator = np.random.default_rng(seed)
    made = []
    for topic in generator.integers(0, 12, sentences):
        near = 6 * topic + 2 + generator.integers(0, 4, 6)
        near[3] = 6 * topic + generator.integers(0, 2)
        made.append(near.tolist())
    return made


@pytest.mark.column("overfits", "word2vec")
@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_words_used_alike_become_neighbours(architecture):
    spec = vector_spec_for(
        "word2vec", vocab_size=72, d_model=24, architecture=architecture, threshold=0.0, epochs=8
    )
    found = train_on_lists(spec, synonyms(0, 800)).word_vectors()
    ranks = [
        [word for word, _ in found.nearest(str(6 * topic), 71)].index(str(6 * topic + 1))
        for topic in range(12)
    ]
    assert max(ranks) <= 4  # the other words of its topic may come first
    assert np.mean(ranks) < 1.5


def sequential(architecture: str, texts: list[list[int]], epochs: int) -> Tables:
    """The released algorithm, word after word in float64, its own draws; 72 words, 24 numbers."""
    generator = np.random.default_rng(9)
    counts = np.bincount(np.concatenate(texts), minlength=72)
    p = counts**0.75 / (counts**0.75).sum()
    v, u = (generator.random((72, 24)) - 0.5) / 24, np.zeros((72, 24))
    total, done, first = epochs * len(texts), 0, {"skip_gram": 0.025, "cbow": 0.05}[architecture]
    for _ in range(epochs):
        for text in texts:
            rate, done = first * max(1e-4, 1 - done / total), done + 1
            wrong = generator.choice(72, (len(text), 10, 5), p=p)
            for i, centre in enumerate(text):
                reach = generator.integers(1, 6)
                fed = text[max(0, i - reach) : i] + text[i + 1 : i + reach + 1]
                groups = [[word] for word in fed] if architecture == "skip_gram" else [fed]
                for number, group in enumerate(groups):
                    others = wrong[i, number][wrong[i, number] != centre]
                    words = np.append(others, centre)
                    label = np.append(np.zeros(len(others)), 1)
                    h = v[group].mean(0)
                    g = rate * (label - 1 / (1 + np.exp(-u[words] @ h)))
                    back = g @ u[words]
                    np.add.at(u, words, g[:, None] * h)
                    np.add.at(v, group, back)
    return Tables(torch.from_numpy(v), torch.from_numpy(u))


@pytest.mark.column("overfits", "word2vec")
@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_chunks_learn_as_well_as_one_word_at_a_time(architecture):
    """Held-out loss, wrong words fixed: within a hundredth of what there was to learn."""
    texts, held = synonyms(0, 300), np.array(synonyms(1, 200))
    spec = numbers(
        architecture, vocab_size=72, d_model=24, threshold=0.0, epochs=4, minimum_count=1
    )
    trained = train_on_lists(spec, texts)
    by_row = sequential(architecture, texts, 4)
    ids = trained.vocabulary.ids
    counted = noise_of(trained.vocabulary.counts, 0.75)
    rows = trained.vocabulary.rows[held.ravel()]
    sentences = np.repeat(np.arange(200), 6)
    (shown,) = make_examples(spec, rows, sentences, counted, np.random.default_rng(3), 2000)
    fresh = mean_loss(tables.fresh_tables(72, 24, 0), shown)
    ours = mean_loss(trained.tables, shown)
    theirs = mean_loss(Tables(by_row.inputs[ids], by_row.outputs[ids]), shown)
    assert fresh == pytest.approx(np.log(2) * shown.times.sum() / shown.right.sum(), rel=1e-3)
    assert theirs < fresh - 0.5
    assert ours < theirs + 0.01 * fresh


def test_too_many_errors_in_one_vector_do_not_diverge(monkeypatch):
    """Few words, large steps: limited sums stay bounded, whole ones overshoot, and it is said."""
    spec = numbers("skip_gram", vocab_size=30, d_model=16, threshold=0.0, epochs=2)
    texts = np.random.default_rng(0).integers(0, 30, (30, 1000)).tolist()
    monkeypatch.setattr(train, "SMALLEST", 1000)
    assert float(train_on_lists(spec, texts).tables.inputs.abs().max()) < 5
    monkeypatch.setattr(tables, "LIMIT", 1e9)
    with pytest.raises(TrainingError, match=r"a lower learning_rate than 0\.025"):
        train_on_lists(spec, texts)


def test_bad_input_is_said_in_one_sentence():
    spec = vector_spec_for("word2vec", vocab_size=5)
    with pytest.raises(InputError, match="0 of 2 different words occur 5 times"):
        train_on_lists(spec, [[1, 2]])
    with pytest.raises(InputError, match="0 of 0 different words"):
        train_on_lists(spec, [])
    with pytest.raises(InputError, match="the id 6, outside the vocabulary of 5"):
        train_on_lists(spec, [[1, 6]])
    with pytest.raises(InputError, match="the id -1, outside"):
        train_on_lists(spec, [[1, -1]])
    for wrong, message in (
        ({"windw": 3}, "did you mean 'window'"),
        ({"window": 0}, "window is 0"),
        ({"architecture": "glove"}, "known are skip_gram, cbow"),
        ({"threshold": -1.0}, "at least 0"),
        ({"learning_rate": -0.1}, "more than 0"),
    ):
        with pytest.raises(SpecError, match=message):
            vector_spec_for("word2vec", **wrong)
    with pytest.raises(SpecError, match="did you mean 'word2vec'"):
        vector_spec_for("word2vek")
    with pytest.raises(SpecError, match="has vectors, not logits"):
        spec_for("word2vec")


def test_a_chunk_in_which_nothing_is_near_changes_nothing():
    spec = vector_spec_for("word2vec", vocab_size=3, minimum_count=1)
    trained = train_on_lists(spec, [[0], [1], [2]])
    assert torch.equal(trained.tables.inputs, tables.fresh_tables(3, 100, 0).inputs)
