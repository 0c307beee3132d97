"""Byte-level BPE: nothing lost, the same ids as two other programs, no text that breaks it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from case_counts import count_cases
from hard_texts import HARD, POEM
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tokenizers as library
from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer, train_tokenizer
from hornbook.tokenizers.byte_bpe import ByteBPE
from hornbook.tokenizers.special import CHAT

PIECES = [*HARD[:12], "  ", "\n\n", "'s", "12345", "Ünïcödé", "\u0301", "\u2028", "<|end|>", "ab"]
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MIXED = st.lists(st.one_of(st.sampled_from(PIECES), UNICODE), max_size=8).map("".join)


def as_library(tokenizer: ByteBPE) -> Callable[[str], list[int]]:
    other = library.Tokenizer.from_str(json.dumps(tokenizer.definition()))
    other.encode_special_tokens = True
    return lambda text: list(other.encode(text, add_special_tokens=False).ids)


@pytest.mark.tokenizers("decode", "byte-bpe")
@settings(deadline=None, max_examples=150)
@given(text=MIXED)
@example(text=POEM)
def test_every_text_comes_back(small: ByteBPE, text: str) -> None:
    count_cases()
    ids = small.encode(text)
    assert small.decode(ids, errors="strict") == text
    assert ids.dtype == "int64"
    assert ids.ndim == 1
    assert int(small.byte_lengths[ids].sum()) == len(text.encode())


@settings(deadline=None, max_examples=150)
@given(text=MIXED)
def test_no_text_becomes_a_special_token(small: ByteBPE, text: str) -> None:
    first_special = min(small.special_tokens.values())
    assert (small.encode("<|user|>" + text + "<|end|><|endoftext|>") < first_special).all()


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


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize("text", ["a\ud83d", "\udc00", "x" * 100 + "\ud83d\ude00"])
def test_lone_surrogate_is_a_clear_error(small: ByteBPE, text: str) -> None:
    for use in (small.encode, small.offsets, lambda text: train_tokenizer("byte-bpe", [text], 300)):
        with pytest.raises(TokenizerError, match=r"lone surrogate, U\+D.* at character \d+"):
            use(text)


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


def test_vocabulary_beyond_the_text_says_what_the_text_supports(texts: list[str]) -> None:
    with pytest.raises(
        TokenizerError, match=r"Vocabulary of 4096 asked, the text supports (\d+)"
    ) as e:
        train_tokenizer("byte-bpe", texts[1:4], 4096)
    reachable = int(str(e.value).split("supports ")[1].split(":")[0])
    assert f"set tokenizer.vocab_size to {reachable} or less" in str(e.value)
    assert train_tokenizer("byte-bpe", texts[1:4], reachable).vocab_size == reachable
    with pytest.raises(TokenizerError, match=f"supports {reachable}"):
        train_tokenizer("byte-bpe", texts[1:4], reachable + 1)


def test_vocabulary_below_the_bytes_is_refused() -> None:
    with pytest.raises(TokenizerError, match=r"set tokenizer\.vocab_size to 260 or more"):
        train_tokenizer("byte-bpe", ["text"], 259)
    assert train_tokenizer("byte-bpe", [], 260).vocab_size == 260


@pytest.mark.tokenizers("train", "byte-bpe")
def test_order_of_texts_does_not_matter(texts: list[str], small: ByteBPE) -> None:
    again = train_tokenizer("byte-bpe", texts[::-1], 500)
    assert again.definition() == small.definition()


PROGRAM = """
import sys
from hornbook.tokenizers import train_tokenizer
texts = sys.stdin.read().split("\\f")
train_tokenizer("byte-bpe", texts, 500).save(sys.argv[1])
"""


@pytest.mark.tokenizers("train", "byte-bpe")
def test_training_gives_the_same_bytes_with_any_threads(tmp_path, texts: list[str]) -> None:
    folders = []
    for threads in ("1", "2", "3"):
        folder = tmp_path / threads
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder)],
            input="\f".join(texts).encode(),
            env={**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads},
            check=True,
        )
        folders.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert folders[0] == folders[1] == folders[2]
    assert load_tokenizer(tmp_path / "1").fingerprint == load_tokenizer(tmp_path / "3").fingerprint


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
