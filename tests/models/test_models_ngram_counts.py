"""Counting: as a dictionary counts, in one part or many, in bounded memory."""

import tracemalloc
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.errors import InputError
from hornbook.models.ngrams import counts as counting
from hornbook.models.ngrams import text as stream
from hornbook.models.ngrams import windows
from hornbook.models.ngrams.counts import count_ngrams

ARRAYS = ("tokens", "child_starts", "counts", "shorter", "begins")


class Stored:
    """Tokens as the store gives them, and what was asked of them."""

    def __init__(self, ids):
        self._ids = np.asarray(ids, dtype=np.uint16)
        self.tokens = len(ids)
        self.longest = 0

    def read(self, start, count):
        self.longest = max(self.longest, count)
        return self._ids[start : start + count].astype(np.int64)


def text(seed, length, vocab_size=5):
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, vocab_size + 1) ** 1.3
    return rng.choice(vocab_size, size=length, p=weights / weights.sum())


def columns_only(monkeypatch):
    """As with a vocabulary that does not pack; blocks of a few windows."""
    monkeypatch.setattr(counting, "PARTS", 0)
    monkeypatch.setattr(windows, "BLOCK", 4)


def nothing(monkeypatch):
    """Packed, as ids of small vocabularies are."""


def spelled(counts):
    """Each level as n-grams in order, walked from the root, with their numbers' arrays."""
    grams, levels = [()], []
    for level in counts.levels:
        histories = np.repeat(np.arange(len(grams)), np.diff(level.child_starts.astype(int)))
        grams = [(*grams[h], int(t)) for h, t in zip(histories, level.tokens, strict=True)]
        levels.append(grams)
    return levels


@pytest.mark.column("overfits", "ngram")
@pytest.mark.parametrize("way", [nothing, columns_only])
@pytest.mark.parametrize("chunk", [3, 1 << 17])
@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.lists(st.integers(0, 4), max_size=30), min_size=1, max_size=5).filter(any),
    st.integers(1, 5),
)
def test_every_level_is_what_a_dictionary_counts(way, chunk, pieces, order):
    with pytest.MonkeyPatch.context() as patch:
        way(patch)
        patch.setattr(stream, "CHUNK", chunk)
        counts = count_ngrams([np.array(piece, dtype=np.int64) for piece in pieces], 5, order)
    order = min(order, max(map(len, pieces)))
    assert counts.order == order
    levels = [[()], *spelled(counts)]
    for m in range(1, order + 1):
        windows_of = [[tuple(p[i : i + m]) for i in range(len(p) - m + 1)] for p in pieces]
        expected = Counter(gram for grams in windows_of for gram in grams)
        level = counts.levels[m - 1]
        assert levels[m] == sorted(expected), "n-grams"
        assert level.counts.tolist() == [expected[gram] for gram in levels[m]], "counts"
        suffixes = [levels[m - 1][k] for k in level.shorter]
        assert suffixes == [gram[1:] for gram in levels[m]], "shorter"
        starts = {grams[0] for grams in windows_of if grams}
        assert [levels[m][k] for k in level.begins] == sorted(starts), "begins"
        if m < order:
            befores = defaultdict(set)
            for piece in pieces:
                for i in range(len(piece) - m + 1):
                    befores[tuple(piece[i : i + m])].add(piece[i - 1] if i else "start")
            assert counts.befores(m).tolist() == [len(befores[g]) for g in levels[m]], "befores"


def assert_the_same(a, b):
    assert (a.order, a.notes) == (b.order, b.notes)
    for level, other in zip(a.levels, b.levels, strict=True):
        for name in ARRAYS:
            one, two = getattr(level, name), getattr(other, name)
            assert one.dtype == two.dtype, name
            np.testing.assert_array_equal(one, two, err_msg=name)


@pytest.mark.column("overfits", "ngram")
@pytest.mark.parametrize("way", [nothing, columns_only])
def test_parts_and_threads_change_nothing(way, monkeypatch):
    way(monkeypatch)
    pieces = [text(1, 3000, 40), text(2, 500, 40), text(3, 2), text(4, 1)]
    once = count_ngrams(pieces, 40, 4, threads=1)
    made = []
    plan = counting._plan
    monkeypatch.setattr(counting, "_plan", lambda *given: made.append(plan(*given)) or made[-1])
    assert_the_same(once, count_ngrams(pieces, 40, 4, working_memory=20_000, threads=3))
    assert_the_same(once, count_ngrams(pieces, 40, 4, working_memory=1, threads=2))
    assert [len(parts) for parts in made][1] == 40
    assert 5 < len(made[0]) < 40


@pytest.mark.column("overfits", "ngram")
def test_stored_tokens_arrays_and_either_way_give_the_same(monkeypatch):
    pieces = [text(1, 2000, 30), text(2, 700, 30)]
    plain = count_ngrams(pieces, 30, 5)
    monkeypatch.setattr(stream, "CHUNK", 256)
    stored = [Stored(piece) for piece in pieces]
    assert_the_same(plain, count_ngrams(stored, 30, 5))
    assert max(piece.longest for piece in stored) <= 256
    assert_the_same(plain, count_ngrams([p.astype(np.uint16) for p in pieces], 30, 5))
    columns_only(monkeypatch)
    assert_the_same(plain, count_ngrams(pieces, 30, 5))


def test_a_large_vocabulary_is_not_packed():
    """17 bits a token, order 5: 85 bits do not fit one word, so packing would wrap around."""
    assert windows.widest_packed(130_000, 5) == 0
    tokens = text(5, 300, 50)
    large = count_ngrams([tokens * 2_600], 130_000, 5)
    small = count_ngrams([tokens], 50, 5)
    for level, other in zip(large.levels, small.levels, strict=True):
        np.testing.assert_array_equal(level.tokens, other.tokens.astype(int) * 2_600)
        for name in ARRAYS[1:]:
            np.testing.assert_array_equal(getattr(level, name), getattr(other, name), name)


def test_the_largest_numbers_still_pack():
    """The highest ids at the widest part that fits: one more would wrap around."""
    vocab_size = 8000
    width = windows.widest_packed(vocab_size, 5)
    assert (width + 1) * (vocab_size + 1) ** 4 <= windows.WORD
    assert width < vocab_size  # so there are several parts
    tokens = vocab_size - 1 - text(6, 400, 30)
    counts = count_ngrams([tokens], vocab_size, 5)
    assert spelled(counts)[4] == sorted({tuple(tokens[i : i + 5].tolist()) for i in range(396)})


@pytest.mark.parametrize("way", [nothing, columns_only])
def test_working_memory_bounds_what_is_held_besides_the_result(way, monkeypatch):
    way(monkeypatch)
    monkeypatch.setattr(windows, "BLOCK", 1 << 10)
    monkeypatch.setattr(stream, "CHUNK", 1 << 10)
    tokens = np.random.default_rng(1).integers(0, 60, 300_000).astype(np.uint8)
    allowed = 1_000_000

    count_ngrams([tokens[:9]], 60, 2)  # what numpy imports on the way is not counted

    def held(working_memory, threads):
        tracemalloc.start()
        counts = count_ngrams([tokens], 60, 2, working_memory=working_memory, threads=threads)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        sizes = [sum(getattr(level, n).nbytes for n in ARRAYS) for level in counts.levels]
        return peak - sum(sizes) - max(sizes)

    assert held(allowed, 2) < allowed
    assert held(1 << 30, 1) > allowed  # else the bound above says nothing


def test_a_text_shorter_than_the_order_is_counted_up_to_its_length_and_says_so():
    counts = count_ngrams([np.array([1, 2, 3]), np.array([1])], 5, 5)
    assert counts.order == 3
    assert counts.notes == (
        "order: the longest piece of text has 3 tokens, so n-grams of at most 3 are counted, "
        "not of 5",
    )


def test_bad_input_is_said_in_one_sentence():
    with pytest.raises(InputError, match="no tokens to count"):
        count_ngrams([np.array([], dtype=np.int64)], 5, 3)
    with pytest.raises(InputError, match="outside the vocabulary of 5"):
        count_ngrams([np.array([1, 5])], 5, 3)
    with pytest.raises(InputError, match="outside the vocabulary of 5"):
        count_ngrams([np.array([1, -1, 2])], 5, 3)
    with pytest.raises(InputError, match="The vocabulary has 0 tokens"):
        count_ngrams([np.array([1])], 0, 3)
    with pytest.raises(InputError, match="order 0 do not exist"):
        count_ngrams([np.array([1])], 5, 0)
