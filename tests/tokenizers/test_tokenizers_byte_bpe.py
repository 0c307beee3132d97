"""Byte-level BPE: nothing lost, the same ids as two other programs, no text that breaks it."""

import json
from collections.abc import Callable

import pytest
from case_counts import count_cases
from hard_texts import HARD, POEM
from hypothesis import given, settings
from hypothesis import strategies as st

import tokenizers as library
from hornbook.errors import TokenizerError
from hornbook.tokenizers import train_tokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.special import CHAT

PIECES = [*HARD[:12], "  ", "\n\n", "'s", "12345", "Ünïcödé", "\u0301", "\u2028", "<|end|>", "ab"]
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MIXED = st.lists(st.one_of(st.sampled_from(PIECES), UNICODE), max_size=8).map("".join)


def as_library(tokenizer: ByteBPE) -> Callable[[str], list[int]]:
    other = library.Tokenizer.from_str(json.dumps(tokenizer.definition()))
    other.encode_special_tokens = True
    return lambda text: list(other.encode(text, add_special_tokens=False).ids)


@pytest.mark.tokenizers("encode", "byte-bpe")
def test_ids_equal_the_library(tokenizer: ByteBPE, texts: list[str]) -> None:
    other = as_library(tokenizer)
    for text in [*HARD, *texts, "".join(HARD)]:
        assert tokenizer.encode(text).tolist() == other(text)
        count_cases()


@pytest.mark.tokenizers("encode", "byte-bpe")
@settings(deadline=None, max_examples=150)
@given(text=MIXED)
def test_ids_equal_the_library_on_any_text(small: ByteBPE, text: str) -> None:
    count_cases()
    assert small.encode(text).tolist() == as_library_once(small)(text)


_LIBRARIES: dict[str, Callable[[str], list[int]]] = {}


def as_library_once(tokenizer: ByteBPE) -> Callable[[str], list[int]]:
    if tokenizer.fingerprint not in _LIBRARIES:
        _LIBRARIES[tokenizer.fingerprint] = as_library(tokenizer)
    return _LIBRARIES[tokenizer.fingerprint]


def sweep(tokenizer: ByteBPE, step: int) -> None:
    """Each code point among letters, digits, signs, spaces and after an apostrophe."""
    other = as_library(tokenizer)
    valid = [point for point in range(0, 0x110000, step) if not 0xD800 <= point < 0xE000]
    for start in range(0, len(valid), 256):
        text = "".join(
            f"a{c}b 1{c}2 !{c}? '{c} \n{c} {c}{c}" for c in map(chr, valid[start : start + 256])
        )
        assert tokenizer.encode(text).tolist() == other(text), hex(valid[start])
        count_cases()


@pytest.mark.tokenizers("encode", "byte-bpe")
def test_ids_equal_the_library_on_sampled_code_points(tokenizer: ByteBPE) -> None:
    sweep(tokenizer, 67)


@pytest.mark.slow
@pytest.mark.tokenizers("encode", "byte-bpe")
def test_ids_equal_the_library_on_every_code_point(tokenizer: ByteBPE) -> None:
    sweep(tokenizer, 1)


@pytest.mark.parametrize(
    "text",
    [
        " " * 1_000_000 + "x",
        "a" * 400_000,
        "\n" * 400_000 + "a",
        " \n" * 150_000,
        "<|end|>" + "\t" * 199_999 + "<|end|>",
    ],
    ids=["spaces", "letters", "newlines", "mixed", "special"],
)
@pytest.mark.tokenizers("adversarial", "byte-bpe")
def test_endless_runs_are_survived(small: ByteBPE, text: str) -> None:
    ids = small.encode(text)
    assert small.decode(ids) == text
    assert ids.max() < min(small.special_tokens.values())
    assert ids.tolist() == as_library_once(small)(text)
    count_cases()


def test_chinese_comes_back_and_is_shortened() -> None:
    chinese = train_tokenizer("byte-bpe", [POEM] * 2, 300)
    assert chinese.decode(chinese.encode(POEM), errors="strict") == POEM
    assert len(chinese.encode(POEM)) < len(POEM.encode()) / 1.5
    other = "頭上三尺有神明 ㊗️"
    assert chinese.decode(chinese.encode(other), errors="strict") == other


def test_ids_are_bytes_then_merges_then_special_tokens(small: ByteBPE) -> None:
    assert small.vocab_size == 500
    assert sorted(small.tokens.values()) == list(range(496))
    assert list(small.special_tokens.items()) == [
        (name, 496 + index) for index, name in enumerate(CHAT)
    ]
    assert small.end_of_text == 496
    assert all(len(small.token_bytes(number)) == 1 for number in range(256))
    assert small.byte_lengths[496:].tolist() == [0, 0, 0, 0]


def test_vocabulary_below_the_bytes_is_refused() -> None:
    with pytest.raises(TokenizerError, match=r"set tokenizer\.vocab_size to 260 or more"):
        train_tokenizer("byte-bpe", ["text"], 259)
    assert train_tokenizer("byte-bpe", [], 260).vocab_size == 260


def test_fingerprint_follows_what_decides_ids(small: ByteBPE, texts: list[str]) -> None:
    others = [
        ByteBPE.train(texts, 499),
        ByteBPE.train(texts, 500, pattern="digits"),
        ByteBPE(small.tokens, small.merges, small.pattern, {"<|endoftext|>": 496}),
    ]
    assert len({small.fingerprint, *(other.fingerprint for other in others)}) == 4
    twin = ByteBPE(small.tokens, small.merges, small.pattern, small.special_tokens)
    assert twin.fingerprint == small.fingerprint


def test_a_pattern_that_is_no_regular_expression_is_refused(small: ByteBPE) -> None:
    with pytest.raises(TokenizerError, match="cannot cut text into words"):
        ByteBPE(small.tokens, small.merges, "(", small.special_tokens)


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(TokenizerError, match='did you mean "byte-bpe"'):
        train_tokenizer("byte-bpee", [])
