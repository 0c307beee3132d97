"""Characters: nothing lost with bytes, one unknown id a character without them."""

import json
from functools import cache
from pathlib import Path

import pytest
from case_counts import count_cases
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kind_table import SAMPLES, TEXTS, damage_is_named, equals, sample_lines
from kind_table import trained as trained_kind

import tokenizers as library
from hornbook.errors import TokenizerError
from hornbook.tokenizers import train_tokenizer
from hornbook.tokenizers.kinds.character import CharacterTokenizer
from hornbook.tokenizers.special import CHAT

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
both = pytest.mark.parametrize("fallback", [True, False], ids=["bytes", "unknown"])


def trained(fallback: bool) -> CharacterTokenizer:
    found: CharacterTokenizer = trained_kind("character", byte_fallback=fallback)
    return found


@cache
def in_library(fallback: bool) -> library.Tokenizer:
    other = library.Tokenizer.from_str(json.dumps(trained(fallback).definition()))
    other.encode_special_tokens = True
    return other


def one_by_one(tokenizer: CharacterTokenizer, text: str) -> list[int]:
    first = 256 if tokenizer.byte_fallback else 0
    ids = {character: first + i for i, character in enumerate(tokenizer.characters)}
    found: list[int] = []
    for character in text:
        if character in ids:
            found.append(ids[character])
        elif tokenizer.byte_fallback:
            found.extend(character.encode())
        else:
            found.append(tokenizer.special_tokens["<unk>"])
    return found


@pytest.mark.tokenizers("library", "character")
@pytest.mark.tokenizers("encode", "character")
@both
@settings(deadline=None, max_examples=80)
@given(text=UNICODE)
@example(text="<|assistant|>")
@example(text="\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff")
def test_ids_equal_a_loop_and_the_library(fallback: bool, text: str) -> None:
    tokenizer = trained(fallback)
    other = in_library(fallback)
    ids = tokenizer.encode(text).tolist()
    assert ids == one_by_one(tokenizer, text)
    assert ids == other.encode(text, add_special_tokens=False).ids
    assert other.decode(ids, skip_special_tokens=False) == tokenizer.decode(ids)
    count_cases()


@pytest.mark.tokenizers("encode", "character")
@pytest.mark.parametrize("name", SAMPLES)
def test_books_are_the_same(name: str) -> None:
    lines = sample_lines(name)
    for tokenizer in (trained(True), trained(False)):
        equals(tokenizer, lambda text, t=tokenizer: one_by_one(t, text), lines)
    for line in lines:
        assert trained(True).decode(trained(True).encode(line), "strict") == line


@pytest.mark.tokenizers("offsets", "character")
@both
@settings(deadline=None, max_examples=40)
@given(text=UNICODE)
def test_offsets_are_the_characters(fallback: bool, text: str) -> None:
    tokenizer = trained(fallback)
    _, spans = tokenizer.offsets(text)
    expected = [
        [place, place + 1]
        for place, character in enumerate(text)
        for _ in one_by_one(tokenizer, character)
    ]
    assert spans.tolist() == expected
    count_cases()


def test_unknown_characters_show_the_unknown_token() -> None:
    tokenizer = trained(False)
    assert not tokenizer.lossless
    assert tokenizer.unknown == tokenizer.special_tokens["<unk>"] == 119
    assert tokenizer.decode(tokenizer.encode("a☃☃b")) == "a<unk><unk>b"
    assert trained(True).unknown is None


@pytest.mark.tokenizers("train", "character")
def test_the_most_frequent_are_kept_in_code_point_order() -> None:
    tokenizer = CharacterTokenizer.train(["zzzz", "ccaaéé中", "zb"], 264)
    assert tokenizer.characters == "aczé"
    assert [tokenizer.token_bytes(number).decode() for number in range(256, 260)] == list("aczé")
    assert list(tokenizer.special_tokens.items()) == [(n, 260 + i) for i, n in enumerate(CHAT)]
    fewer = CharacterTokenizer.train(["zzzz", "ccaaéé中", "zb"], 262)
    assert fewer.characters == "az"  # of a, c and é, each there twice, the smallest code point
    count_cases(2)


@pytest.mark.tokenizers("adversarial", "character")
@both
@pytest.mark.parametrize("unit", ["a", " ", "\n", "☃", "中", "\u0301", "\x00"])
def test_a_million_characters(fallback: bool, unit: str) -> None:
    tokenizer = trained(fallback)
    ids = tokenizer.encode(unit * 1_000_000)
    assert ids.tolist() == one_by_one(tokenizer, unit) * 1_000_000
    count_cases()


@pytest.mark.tokenizers("bad input", "character")
def test_what_training_refuses() -> None:
    with pytest.raises(TokenizerError, match="The special token '☃' is a character"):
        train_tokenizer("character", TEXTS, 300, special_tokens=("☃",))
    with pytest.raises(TokenizerError, match="needs a special token for unknown text"):
        CharacterTokenizer("abc", False, {"<|endoftext|>": 3})
    count_cases(2)


DAMAGE = {
    "torn": lambda d: d[: len(d) // 2],
    "not UTF-8": lambda d: d.replace("中".encode(), b"\xff\xfe").replace("明".encode(), b"\xff"),
    "one id twice": lambda d: d.replace(b'"<0x41>": 65', b'"<0x41>": 66'),
    "lost byte": lambda d: d.replace(b'"<0x41>": 65,', b""),
    "lost character": lambda d: d.replace(b'"q": ', b'"qq": '),
    "no model": lambda d: b"{}",
    "text for an id": lambda d: d.replace(b'"<0x41>": 65', b'"<0x41>": "65"'),
}


@pytest.mark.tokenizers("bad input", "character")
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    damage_is_named(trained(True), tmp_path, DAMAGE[damage])
