"""Words: the stated cut, the most frequent kept, all others one unknown id."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from case_counts import count_cases
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kind_table import SAMPLES, TEXTS, damage_is_named, equals, sample_lines
from kind_table import trained as trained_kind
from word_oracles import plain_words

from hornbook.errors import TokenizerError
from hornbook.tokenizers import train_tokenizer
from hornbook.tokenizers.kinds.word import WordTokenizer
from hornbook.tokenizers.special import CHAT

LATER = ("CJK RADICAL", "KANGXI", "CJK COMPAT", "IDEOGRAPHIC")
OLD = [
    character
    for character in map(chr, range(0xFFFF))
    if unicodedata.ucd_3_2_0.category(character) not in ("Cn", "Cs")  # tables differ on newer
    and not unicodedata.name(character, "").startswith(LATER)
]
PIECES = st.sampled_from(
    ["the", " ", "action", "’s", "12", "中文", "_", "é", "e\u0301", "\x1c", "ß"]
)
MIXED = st.lists(st.one_of(PIECES, st.text(st.sampled_from(OLD), max_size=5)), max_size=10).map(
    "".join
)


def trained() -> WordTokenizer:
    found: WordTokenizer = trained_kind("word", lowercase=False)
    return found


def looked_up(text: str) -> list[int]:
    ids = trained()._definition["model"]["vocab"]
    return [ids.get(word, ids["<unk>"]) for word in plain_words(text)]


@pytest.mark.tokenizers("encode", "word")
@settings(deadline=None, max_examples=100)
@given(text=MIXED)
@example(text="Don't  stop_it, 12_34 中文abc é e\u0301\t\n\x00 a\u200bb")
def test_ids_equal_a_loop(text: str) -> None:
    assert trained().encode(text).tolist() == looked_up(text)
    assert trained().normalize(text) == " ".join(plain_words(text))
    count_cases()


@pytest.mark.tokenizers("encode", "word")
@pytest.mark.parametrize("name", SAMPLES)
def test_books_are_the_same(name: str) -> None:
    equals(trained(), looked_up, sample_lines(name))


@pytest.mark.tokenizers("offsets", "word")
@settings(deadline=None, max_examples=100)
@given(text=MIXED)
def test_offsets_cut_the_text_into_its_words(text: str) -> None:
    ids, spans = trained().offsets(text)
    assert ids.tolist() == looked_up(text)
    assert [text[start:end] for start, end in spans.tolist()] == plain_words(text)
    count_cases()


@pytest.mark.tokenizers("train", "word")
def test_the_most_frequent_are_kept_and_ties_are_in_order() -> None:
    words = Counter(word for text in TEXTS for word in plain_words(text))
    expected = sorted(words, key=lambda word: (-words[word], word))[: 600 - len(CHAT) - 1]
    ids = trained()._definition["model"]["vocab"]
    assert list(ids) == [*expected, *CHAT, "<unk>"]
    assert list(ids.values()) == list(range(600))
    count_cases(len(TEXTS))


def test_case_and_accents_go_together() -> None:
    tokenizer = WordTokenizer.train(["cafe strasse 한국 ing"] * 2, 9, lowercase=True)
    assert tokenizer.decode(tokenizer.encode("CAFÉ cafe\u0301 ﬁ 한국")) == "cafe cafe <unk> 한국"
    cased = WordTokenizer.train(["cafe strasse 한국 ing"] * 2, 9)
    assert cased.decode(cased.encode("CAFÉ cafe")) == "<unk> cafe"


def test_special_tokens_stand_as_words() -> None:
    tokenizer = trained()
    ids = [*tokenizer.encode("the action"), tokenizer.end_of_text, *tokenizer.encode("the")]
    assert tokenizer.decode(ids) == "the action <|endoftext|> the"
    assert tokenizer.decode([tokenizer.end_of_text]) == "<|endoftext|>"
    assert tokenizer.byte_count(tokenizer.encode("☃ the")) == len(" the")
    assert tokenizer.special_tokens["<unk>"] == tokenizer.unknown == 599


SLOW = [
    pytest.param(unit, marks=pytest.mark.slow) for unit in (" ", "\n", "!", "中", "\u0301", "☃")
]


@pytest.mark.tokenizers("adversarial", "word")
@pytest.mark.parametrize("unit", ["a", *SLOW])
def test_a_million_bytes(unit: str) -> None:
    text = unit * (1_000_000 // len(unit.encode()))
    assert trained().encode(text).tolist() == looked_up(text)
    count_cases()


@pytest.mark.tokenizers("bad input", "word")
def test_text_without_words_supports_the_special_tokens() -> None:
    with pytest.raises(TokenizerError, match=r"set tokenizer\.vocab_size to 5 or less"):
        train_tokenizer("word", [" \n"], 6)
    count_cases()


DAMAGE = {
    "torn": lambda d: d[: len(d) // 2],
    "not UTF-8": lambda d: d.replace(b'"the"', b'"\xff"'),
    "one id twice": lambda d: d.replace(b'"=": 1,', b'"=": 2,'),
    "text for an id": lambda d: d.replace(b'"=": 1,', b'"=": "1",'),
    "lost word": lambda d: d.replace(b'"=": 1,', b""),
    "no unknown": lambda d: d.replace(b'"<unk>"', b'"<unknown>"'),
    "another model": lambda d: d.replace(b'"WordLevel"', b'"WordPiece"'),
    "another cut": lambda d: d.replace(b'"Removed"', b'"Erased"'),
    "no cut": lambda d: d.replace(b'"pre_tokenizer"', b'"pre"'),
    "no special tokens": lambda d: d.replace(b'"added_tokens"', b'"added"'),
    "stray special token": lambda d: d.replace(b'"id": 599', b'"id": 7'),
    "no model": lambda d: b"{}",
}


@pytest.mark.tokenizers("bad input", "word")
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    damage_is_named(trained(), tmp_path, DAMAGE[damage])


def test_a_definition_without_a_cut_is_refused() -> None:
    definition = WordTokenizer.train(TEXTS, 300, special_tokens=("<unk>",)).definition()
    with pytest.raises(TokenizerError, match="it cuts no words"):
        WordTokenizer.from_definition({**definition, "pre_tokenizer": None})
