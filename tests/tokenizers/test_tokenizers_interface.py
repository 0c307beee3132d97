"""What all kinds share: the way back, offsets, lengths, and bytes as tokens."""

import json
import subprocess
import sys

import numpy as np
import pytest
from case_counts import count_cases
from hard_texts import HARD
from hypothesis import given, settings
from hypothesis import strategies as st

import tokenizers
from hornbook.errors import TokenizerError
from hornbook.recipe.plugins import find
from hornbook.tokenizers import TOKENIZERS, train_tokenizer
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.tokenizers("offsets", "byte-bpe")
def test_offsets_equal_the_librarys_where_tokens_hold_whole_characters(
    small: ByteBPE, texts: list[str]
) -> None:
    """The library reports one span for all tokens of a character, as we do; only ids that part a
    character from its neighbours differ, and there ours covers every character it touches."""
    other = tokenizers.Tokenizer.from_str(json.dumps(small.definition()))
    other.encode_special_tokens = True
    for text in [*texts, *HARD]:
        ids, spans = small.offsets(text)
        theirs = other.encode(text, add_special_tokens=False)
        assert ids.tolist() == theirs.ids
        for number, mine, their in zip(ids.tolist(), spans.tolist(), theirs.offsets, strict=True):
            if whole(small.token_bytes(number)):
                assert mine == list(their)
                count_cases()


def whole(token: bytes) -> bool:
    """Whether a token holds whole characters alone."""
    try:
        return bool(token.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def test_offsets_of_ascii_cut_the_text(small: ByteBPE) -> None:
    text = "It's the single man's pounds"
    ids, spans = small.offsets(text)
    pieces = [text[start:end] for start, end in spans.tolist()]
    assert pieces == [small.token_bytes(number).decode() for number in ids.tolist()]


@pytest.mark.tokenizers("encode", "byte")
@settings(deadline=None, max_examples=100)
@given(text=UNICODE)
def test_bytes_are_their_own_ids(text: str) -> None:
    count_cases()
    tokenizer = ByteTokenizer()
    assert tokenizer.encode(text).tolist() == list(text.encode())
    assert tokenizer.decode(tokenizer.encode(text), errors="strict") == text


@pytest.mark.tokenizers("decode", "byte")
@settings(deadline=None, max_examples=100)
@given(data=st.binary(max_size=40))
def test_any_bytes_decode_as_python_does(data: bytes) -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(list(data)) == data.decode("utf-8", "replace")
    assert tokenizer.decode_bytes(list(data)) == data
    count_cases()


@pytest.mark.tokenizers("bad input", "byte")
def test_bytes_have_260_ids_and_nothing_to_train() -> None:
    tokenizer = train_tokenizer("byte", ["not read"], 260)
    assert tokenizer.vocab_size == 260
    assert tokenizer.byte_lengths.tolist() == [1] * 256 + [0] * 4
    with pytest.raises(TokenizerError, match=r"set tokenizer\.vocab_size to 260"):
        train_tokenizer("byte", [], 4096)
    with pytest.raises(TokenizerError, match="lone surrogate"):
        tokenizer.encode("\ud800")


def test_the_way_back(small: ByteBPE) -> None:
    ids = [*small.encode("a😀"), small.end_of_text]
    assert small.decode(ids) == "a😀<|endoftext|>"
    assert small.decode(np.array(ids)) == "a😀<|endoftext|>"
    assert small.decode([]) == ""
    torn = small.encode("a😀")[:-1]
    assert small.decode(torn) == "a\ufffd"
    with pytest.raises(UnicodeDecodeError):
        small.decode(torn, errors="strict")
    assert b"".join(small.token_bytes(number) for number in ids[:-1]) == "a😀".encode()


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize("number", [-1, 500, 2**40])
def test_an_id_outside_the_vocabulary_is_refused(small: ByteBPE, number: int) -> None:
    with pytest.raises(TokenizerError, match=f"Id {number} is not in this vocabulary of 500"):
        small.decode([0, number])


def test_lengths_cannot_be_changed(small: ByteBPE) -> None:
    with pytest.raises(ValueError, match="read-only"):
        small.byte_lengths[0] = 9


def test_listing_the_kinds_imports_no_library() -> None:
    program = (
        "import sys, hornbook.tokenizers as t, hornbook.tokenizers.options as o\n"
        "print(*t.TOKENIZERS)\n"
        "print(*sorted({'torch', 'numpy', 'tiktoken', 'tokenizers'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split("\n") == [" ".join(TOKENIZERS), "", ""]


@pytest.mark.parametrize("kind", list(TOKENIZERS))
def test_every_kind_of_the_table_says_its_name(kind: str) -> None:
    assert find(kind, TOKENIZERS).kind == kind
