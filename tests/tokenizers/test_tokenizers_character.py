"""Characters: nothing lost with bytes, one unknown id a character without them."""

import json
from functools import cache
from pathlib import Path

import pytest
from case_counts import count_cases
from hard_texts import HARD, POEM
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kind_contract import (
    LINES,
    SAMPLES,
    TEXTS,
    equals,
    equals_transformers,
    reopened_and_pickled_are_equal,
    sample_lines,
    size_is_held_to_the_text,
    surrogates_are_refused,
    text_never_becomes_special,
    too_small_says_the_least,
    trains_the_same_everywhere,
)

import tokenizers as library
from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer, train_tokenizer
from hornbook.tokenizers.character import CharacterTokenizer
from hornbook.tokenizers.special import CHAT

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
both = pytest.mark.parametrize("fallback", [True, False], ids=["bytes", "unknown"])


@cache
def trained(fallback: bool) -> CharacterTokenizer:
    return CharacterTokenizer.train(TEXTS, 390 if fallback else 120, byte_fallback=fallback)


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
@example(text="\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff")
def test_ids_equal_a_loop_and_the_library(fallback: bool, text: str) -> None:
    tokenizer = trained(fallback)
    other = library.Tokenizer.from_str(json.dumps(tokenizer.definition()))
    ids = tokenizer.encode(text).tolist()
    assert ids == one_by_one(tokenizer, text)
    assert ids == other.encode(text, add_special_tokens=False).ids
    assert other.decode(ids, skip_special_tokens=False) == tokenizer.decode(ids)
    count_cases()


@pytest.mark.tokenizers("encode", "character")
@pytest.mark.tokenizers("decode", "character")
@pytest.mark.tokenizers("formats written", "character")
@both
def test_transformers_opens_the_folder(fallback: bool, tmp_path: Path) -> None:
    equals_transformers(trained(fallback), tmp_path)


@pytest.mark.tokenizers("encode", "character")
@pytest.mark.parametrize("name", SAMPLES)
def test_books_are_the_same(name: str) -> None:
    lines = sample_lines(name)
    for tokenizer in (trained(True), trained(False)):
        equals(tokenizer, lambda text, t=tokenizer: one_by_one(t, text), lines)
    for line in lines:
        assert trained(True).decode(trained(True).encode(line), "strict") == line


@pytest.mark.tokenizers("decode", "character")
@settings(deadline=None, max_examples=80)
@given(text=UNICODE)
def test_bytes_lose_nothing(text: str) -> None:
    tokenizer = trained(True)
    ids = tokenizer.encode(text)
    assert tokenizer.lossless
    assert tokenizer.decode(ids, "strict") == text
    assert tokenizer.byte_count(ids) == len(text.encode())
    count_cases()


@pytest.mark.tokenizers("offsets", "character")
@both
@settings(deadline=None, max_examples=100)
@given(text=UNICODE)
def test_offsets_are_the_characters(fallback: bool, text: str) -> None:
    tokenizer = trained(fallback)
    ids, spans = tokenizer.offsets(text)
    assert ids.tolist() == tokenizer.encode(text).tolist()
    assert spans.shape == (len(ids), 2)
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


@pytest.mark.tokenizers("train", "character")
def test_training_is_the_same_everywhere(tmp_path: Path) -> None:
    trains_the_same_everywhere("character", tmp_path)


@pytest.mark.tokenizers("formats read", "character")
@both
def test_a_saved_one_opens_again(fallback: bool, tmp_path: Path) -> None:
    reopened_and_pickled_are_equal(trained(fallback), tmp_path)
    count_cases(40)


def test_fingerprint_follows_what_decides_ids() -> None:
    others = [
        CharacterTokenizer.train(TEXTS, 389),
        CharacterTokenizer.train(TEXTS, 390, special_tokens=CHAT[:1]),
        CharacterTokenizer.train(TEXTS, 134, byte_fallback=False),
    ]
    assert len({other.fingerprint for other in [trained(True), trained(False), *others]}) == 5


@pytest.mark.tokenizers("adversarial", "character")
@both
@pytest.mark.parametrize("unit", ["a", " ", "\n", "☃", "中", "\u0301", "\x00"])
def test_a_million_characters(fallback: bool, unit: str) -> None:
    tokenizer = trained(fallback)
    ids = tokenizer.encode(unit * 1_000_000)
    assert ids.tolist() == one_by_one(tokenizer, unit) * 1_000_000
    count_cases()


@pytest.mark.tokenizers("adversarial", "character")
@both
@settings(deadline=None, max_examples=40)
@given(text=UNICODE)
def test_no_text_becomes_a_special_token(fallback: bool, text: str) -> None:
    text_never_becomes_special(trained(fallback), text)
    count_cases()


def test_a_batch_is_one_by_one() -> None:
    for text, ids in zip(LINES, trained(True).encode_batch(LINES), strict=True):
        assert ids.tolist() == one_by_one(trained(True), text)


@pytest.mark.tokenizers("bad input", "character")
def test_what_training_refuses() -> None:
    size_is_held_to_the_text("character")
    size_is_held_to_the_text("character", byte_fallback=False)
    too_small_says_the_least("character")
    too_small_says_the_least("character", byte_fallback=False)
    surrogates_are_refused(trained(True))
    with pytest.raises(TokenizerError, match="The special token '☃' is a character"):
        train_tokenizer("character", TEXTS, 300, special_tokens=("☃",))
    with pytest.raises(TokenizerError, match="needs a special token for unknown text"):
        CharacterTokenizer("abc", False, {"<|endoftext|>": 3})
    count_cases(15)


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
    trained(True).save(tmp_path)
    path = tmp_path / "tokenizer.json"
    data = path.read_bytes()
    assert DAMAGE[damage](data) != data
    path.write_bytes(DAMAGE[damage](data))
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)
    count_cases()


def test_the_sets_of_special_tokens_fit() -> None:
    for name in ("chat", "gpt2", "gpt1", "bert", "llama", "t5", "glm"):
        tokenizer = train_tokenizer("character", [*HARD, POEM], 370, special_tokens=name)
        text_never_becomes_special(tokenizer, POEM)
        assert train_tokenizer(
            "character", TEXTS, 140, special_tokens=name, byte_fallback=False
        ).unknown
