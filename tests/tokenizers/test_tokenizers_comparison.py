"""What is measured of a tokenizer: by hand where that can be, and on text it has never seen."""

import inspect
import textwrap

import numpy as np
import pytest
from hard_texts import HARD, POEM, PROSE
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.errors import TokenizerError
from hornbook.tokenizers import comparison
from hornbook.tokenizers.comparison import count_words, measure, nested
from hornbook.tokenizers.held_out import PIECE_CHARACTERS, Group, Labelled, split_texts
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.tokenizer import Tokenizer

A, B = Group("a"), Group("b", "zh")
CODE = inspect.getsource(textwrap) + inspect.getsource(inspect)


class Vowels(Tokenizer):
    """Knows a, e and ee; everything else is unknown, and upper case is dropped."""

    kind = "vowels"
    lossless = False

    def __init__(self):
        super().__init__({0: b"a", 1: b"e", 2: b"ee"}, {"<unk>": 3}, "")

    def encode(self, text):
        ids = []
        for letter in text.lower().replace("ee", "E"):
            ids.append({"a": 0, "e": 1, "E": 2}.get(letter, 3))
        return np.array(ids, dtype=np.int64)

    def normalize(self, text):
        return text.lower()

    def definition(self):
        return {}

    def identity(self):
        return {}


def test_counts_of_a_group_are_those_counted_by_hand():
    found = measure("vowels", Vowels(), {A: ["Aeeax eea", "ee"]})
    # a ee a x _ ee a | ee: eight tokens, x and the blank unknown
    (score,) = found.groups
    assert (score.bytes, score.words, score.tokens) == (11, 3, 8)
    assert score.bytes_per_token == 11 / 8
    assert score.fertility == 8 / 3
    assert score.single_bytes == 3
    assert score.single_byte_share == 3 / 8
    assert score.unknown == 2
    assert score.unknown_share == 2 / 8
    assert (found.ordinary, found.unused, found.unused_share) == (3, 1, 1 / 3)
    assert found.longest == (b"ee", b"a", b"e")
    assert (found.pieces, found.failures) == (2, 1)
    assert found.first_failure == "'x eea' came back as '<unk><unk>eea'"
    assert found.megabytes_per_second > 0
    assert found.figures()["groups"][0]["fertility"] == 8 / 3


def test_a_group_is_measured_by_itself_and_use_is_of_all():
    found = measure("byte", ByteTokenizer(), {A: ["ab", "a"], B: [POEM]})
    first, second = found.groups
    assert (first.group, second.group) == ("a", "b (zh)")
    assert (first.tokens, first.bytes, first.words) == (3, 3, 2)
    assert second.tokens == second.bytes == len(POEM.encode())
    assert found.unused == 256 - len({*b"ab", *POEM.encode()})
    assert found.failures == 0
    assert found.first_failure == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("one two\tthree\n", 3),
        ("it's 1,000!", 2),
        ("床前明月光", 5),
        ("明月 moon 光", 4),
        ("abc明def", 3),
        ("ひらがなカタカナ", 8),
        ("한국어 단어", 2),
        ("ไทย", 3),
        ("，。", 1),
    ],
)
def test_a_word_is_between_spaces_or_one_character_where_there_are_none(text, words):
    assert count_words(text) == words


def test_hard_texts_come_back(small):
    found = measure("small", small, {A: [text for text in HARD if text]})
    assert (found.failures, found.first_failure) == (0, "")


def test_no_text_is_refused(small):
    with pytest.raises(TokenizerError, match="no text to measure"):
        measure("small", small, {A: []})


def test_a_nested_vocabulary_is_the_one_that_training_stops_at(texts):
    whole = ByteBPE.train(texts, 700)
    for size in (260, 261, 400, 699, 700):
        assert nested(whole, size).fingerprint == ByteBPE.train(texts, size).fingerprint, size


def test_a_nested_vocabulary_is_saved_and_opened_like_any(small, tmp_path):
    from hornbook.tokenizers import load_tokenizer

    inner = nested(small, 333)
    inner.save(tmp_path / "inner")
    assert load_tokenizer(tmp_path / "inner").fingerprint == inner.fingerprint
    assert inner.special_tokens["<|endoftext|>"] == 329


def test_sizes_that_are_not_inside_are_refused(small):
    for size in (259, 501):
        with pytest.raises(TokenizerError, match="260 to 500"):
            nested(small, size)
    with pytest.raises(TokenizerError, match="of kind byte has no smaller one inside"):
        nested(ByteTokenizer(), 259)


def labelled(*texts, group=A, held_out=None):
    return [Labelled(group, text, held_out) for text in texts]


def test_both_sides_together_are_the_text_and_share_no_piece():
    split = split_texts(labelled(CODE), 10**9)
    held = split.held_out[A]
    assert len(set(held) & set(split.training)) == 0
    assert sum(map(len, [*held, *split.training])) == len(CODE)
    assert 0.03 < sum(map(len, held)) / len(CODE) < 0.25
    assert all(len(piece) <= PIECE_CHARACTERS for piece in held)


def test_sides_depend_on_nothing_but_the_piece():
    halves = CODE[:70_000], CODE[70_000:]
    one = split_texts(labelled(*halves), 10**9)
    other = split_texts(labelled(*reversed(halves), "something else " * 900), 10**9)
    assert set(one.training) <= set(other.training)
    assert set(one.held_out[A]) <= set(other.held_out[A])


def test_a_training_sample_keeps_its_budget_and_the_sides():
    split = split_texts(labelled(CODE), 30_000)
    assert 20_000 < sum(len(piece.encode()) for piece in split.training) <= 30_000
    assert split.held_out == split_texts(labelled(CODE), 10**9).held_out


def test_a_group_that_chance_leaves_out_gives_one_piece():
    short = [f"text {number} " * 3 for number in range(8)]
    split = split_texts(labelled(*short) + labelled(POEM, group=B), 10**9)
    assert len(split.held_out[A]) == 1
    assert split.held_out[B] == [POEM]
    assert sorted([*split.training, *split.held_out[A]]) == short


def test_sides_that_are_decided_stay():
    texts = labelled(CODE, held_out=False) + labelled(PROSE, held_out=True)
    split = split_texts(texts, 10**9)
    assert split.held_out == {A: [PROSE]}
    assert sum(map(len, split.training)) == len(CODE)


def test_a_lone_surrogate_is_refused():
    with pytest.raises(TokenizerError, match="lone surrogate"):
        split_texts(labelled("a\ud800"), 100)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=50), min_size=1, max_size=8))
def test_the_counts_of_any_text_add_up(texts):
    tokenizer = ByteTokenizer()
    if not any(texts):
        return
    found = measure("byte", tokenizer, {A: texts})
    assert found.groups[0].tokens == sum(len(text.encode()) for text in texts)
    assert found.groups[0].words <= sum(map(len, texts))
    assert found.failures == 0


def test_time_is_of_the_quickest_round(small, monkeypatch):
    ticks = iter([0.0, 3.0, 3.0, 5.0, 5.0, 9.0])
    monkeypatch.setattr(comparison.time, "process_time", lambda: next(ticks))
    found = measure("small", small, {A: ["x" * 1000]})
    assert found.megabytes_per_second == pytest.approx(1000 / 1e6 / 2.0)


@pytest.mark.parametrize("order", [1, -1])
def test_a_piece_given_to_both_sides_is_measured_and_not_learnt(order):
    shared, other = "same text\n", "other\n"
    texts = labelled(shared, held_out=True) + labelled(shared, other, held_out=False)
    split = split_texts(texts[::order], 10**9)
    assert split.held_out == {A: [shared]}
    assert split.training == [other]
