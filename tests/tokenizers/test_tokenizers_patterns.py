"""Where text is cut: golden cases of the traps, by the engine that trains."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokenizers
from hornbook.errors import TokenizerError
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.patterns import PATTERNS


def cut(pattern: str, text: str) -> list[str]:
    splitter = tokenizers.pre_tokenizers.Split(tokenizers.Regex(PATTERNS[pattern]), "isolated")
    return [piece for piece, _ in splitter.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("pattern", "text", "pieces"),
    [
        ("gpt2", "a  b", ["a", " ", " b"]),
        ("gpt2", "a  ", ["a", "  "]),
        ("gpt2", " IT'S", [" IT", "'", "S"]),
        ("cl100k", " IT'S", [" IT", "'S"]),
        ("cl100k", "IT'SX", ["IT", "'S", "X"]),
        ("gpt2", "don’t", ["don", "’", "t"]),
        ("cl100k", "don’t", ["don", "’t"]),
        ("gpt2", "x 1234567", ["x", " 1234567"]),
        ("cl100k", "x 1234567", ["x", " ", "123", "456", "7"]),
        ("digits", "x 123", ["x", " ", "1", "2", "3"]),
        ("cl100k", "½²３", ["½²３"]),
        ("cl100k", "end.\n\n  x", ["end", ".\n\n", " ", " x"]),
        ("gpt2", "end.\n\n  x", ["end", ".", "\n\n ", " x"]),
        ("cl100k", "a \n \n b", ["a", " \n \n", " b"]),
        ("gpt2", "ae\u0301b", ["ae", "\u0301", "b"]),
        ("cl100k", "ae\u0301b", ["ae", "\u0301b"]),
    ],
)
def test_cuts(pattern: str, text: str, pieces: list[str]) -> None:
    assert cut(pattern, text) == pieces


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(list(PATTERNS)), st.text(st.characters(exclude_categories=["Cs"])))
def test_pieces_join_to_the_text(pattern: str, text: str) -> None:
    assert "".join(cut(pattern, text)) == text


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize("pattern", ["(", "[", "*", r"\p{Nothing}", r"(?<name"])
def test_a_pattern_that_no_engine_reads_is_refused_before_texts_are(pattern: str) -> None:
    def texts() -> Iterator[str]:
        raise AssertionError("read")
        yield ""

    with pytest.raises(TokenizerError, match="cannot cut text into words") as raised:
        ByteBPE.train(texts(), 300, pattern=pattern)
    assert "\n" not in str(raised.value)
