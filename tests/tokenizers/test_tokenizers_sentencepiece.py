"""SentencePiece BPE and Unigram: what is learned, ids, the way back, offsets."""

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from case_counts import count_cases
from hard_texts import HARD, POEM
from hypothesis import given, settings
from hypothesis import strategies as st
from kind_table import PIECE_TEXTS
from kind_table import trained as trained_kind

import tokenizers as library
from hornbook.errors import TokenizerError
from hornbook.tokenizers import train_tokenizer
from hornbook.tokenizers.files.sentencepiece_model import PieceType
from hornbook.tokenizers.kinds.sentencepiece import CLASSES, SentencePiece
from hornbook.tokenizers.kinds.sentencepiece_training import PART
from hornbook.tokenizers.options import TokenizerOptions
from hornbook.tokenizers.special import SENTINELS, SPECIAL_SETS

KINDS = ["sentencepiece-bpe", "sentencepiece-unigram"]
NORMALIZATIONS = ["identity", "nfkc"]
TEXTS = PIECE_TEXTS[:4]
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
DATA = Path(__file__).parents[3] / "shared" / "data"
SPECIALS = ("<unk>", "<s>", "</s>")

each_kind = pytest.mark.parametrize("kind", KINDS)
each_normalization = pytest.mark.parametrize("normalization", NORMALIZATIONS)


def trained(
    kind: str, normalization: str = "identity", byte_fallback: bool = True
) -> SentencePiece:
    found: SentencePiece = trained_kind(
        kind, normalization=normalization, byte_fallback=byte_fallback
    )
    return found


def original(tokenizer: SentencePiece) -> sentencepiece.SentencePieceProcessor:
    """sentencepiece itself, with the same model."""
    return sentencepiece.SentencePieceProcessor(
        model_proto=tokenizer._fast.serialized_model_proto()
    )


def in_library(tokenizer: SentencePiece) -> library.Tokenizer:
    other = library.Tokenizer.from_str(json.dumps(tokenizer.definition()))
    other.encode_special_tokens = True
    return other


def variants(kind: str) -> list[SentencePiece]:
    """Every normalization, with bytes and without."""
    return [trained(kind, name, some) for name in NORMALIZATIONS for some in (True, False)]


def corpus(folder: str) -> list[str]:
    files = sorted((DATA / folder).glob("*.gz"))[:3]
    if not files:
        pytest.skip(f"no {folder} here")
    return [gzip.decompress(file.read_bytes()).decode()[:60_000] for file in files]


# Training


@each_kind
@pytest.mark.tokenizers("train")
def test_no_text_is_dropped(kind: str) -> None:
    """U+2585, or by default 4192 bytes, makes the trainer leave a text out."""
    texts = ["\t甲甲", "\u2585乙乙", "丙丙 " + "好的 " * 3000]
    tokenizer = train_tokenizer(kind, [*TEXTS, *texts], 400, byte_fallback=False)
    signs = [sign for text in texts for sign in text if sign not in "\u2585 "]
    assert tokenizer.unknown not in tokenizer.encode("".join(signs))
    count_cases(len(texts))


@settings(deadline=None, max_examples=50)
@given(text=st.text("ab \n", max_size=60), times=st.integers(1, 700))
def test_parts_are_the_whole_text(text: str, times: int) -> None:
    whole = text * times
    parts = [part[0] for part in PART.finditer(whole)]
    assert "".join(parts) == whole
    assert max(map(len, parts), default=0) <= 4001
    assert all(part.endswith("\n") or len(part) == 4000 for part in parts[:-1])


@each_kind
@pytest.mark.parametrize("letter", ["a", "月 "])
@pytest.mark.tokenizers("adversarial")
def test_training_on_text_without_end(kind: str, letter: str) -> None:
    """Unigram took 80 s of 400,000 letters in one text; one part is what it may see."""
    tokenizer = train_tokenizer(kind, [*TEXTS, letter * 20_000], 400)
    assert tokenizer.decode(tokenizer.encode(letter * 999)) == letter * 999


@each_kind
@pytest.mark.parametrize("name", list(SPECIAL_SETS))
@pytest.mark.tokenizers("train")
def test_special_tokens_take_the_first_ids(kind: str, name: str) -> None:
    names = [special for special in SPECIAL_SETS[name] if special not in SENTINELS]
    if not {"<unk>", "[UNK]"} & set(names):
        names.insert(0, "<unk>")
    tokenizer = train_tokenizer(kind, TEXTS, 500, special_tokens=name)
    assert tokenizer.vocab_size == 500
    assert list(tokenizer.special_tokens.items())[: len(names)] == list(
        zip(names, range(500), strict=False)
    )
    assert tokenizer.unknown == tokenizer.special_tokens.get("<unk>", names.index(names[0]) + 1)
    if name == "t5":
        assert tokenizer.special_tokens["<extra_id_0>"] == 499
        assert tokenizer.special_tokens["<extra_id_99>"] == 400
        assert tokenizer.end_of_text == 1
        assert tokenizer.special_id("padding") == 0
    for special in tokenizer.special_tokens:
        ids = tokenizer.encode(f"a{special}b")
        assert not set(ids.tolist()) & set(tokenizer.special_tokens.values())
        assert tokenizer.decode(ids) == f"a{special}b"


@each_kind
def test_a_recipes_options_reach_the_trainer(kind: str) -> None:
    options = TokenizerOptions(kind=kind, normalization="nfkc", byte_fallback=False)
    tokenizer = train_tokenizer(kind, TEXTS, 300, **options.of_kind())
    assert not tokenizer.lossless
    assert tokenizer.normalize("Ａ\t ①  ") == "A 1"
    assert PieceType.BYTE not in {piece.type for piece in tokenizer.model.pieces}
    assert options.unused() == []


@each_kind
def test_digits_newlines_and_tabs_stand_alone(kind: str) -> None:
    tokenizer = trained(kind)
    for piece in tokenizer.model.pieces:
        if piece.type == PieceType.NORMAL and len(piece.text.strip("\u2581")) > 1:
            assert not set(piece.text) & set("\n\t0123456789")
    ids = tokenizer.encode("12\n\n\tx = 1").tolist()
    shown = [tokenizer.token_bytes(number) for number in ids]
    assert b"|".join(shown).endswith(b"1|2|\n|\n|\t|x| =| |1")
    assert not tokenizer._is_byte[ids].any()


# Ids


@each_kind
@pytest.mark.tokenizers("encode")
def test_ids_are_sentencepieces(kind: str) -> None:
    for tokenizer in variants(kind):
        processor = original(tokenizer)
        for text in HARD:
            assert tokenizer.encode(text).tolist() == processor.encode(text)
        count_cases(len(HARD))


@each_kind
@settings(deadline=None, max_examples=60)
@given(text=UNICODE)
@pytest.mark.tokenizers("encode")
def test_ids_of_any_text_are_the_librarys(kind: str, text: str) -> None:
    for byte_fallback in (True, False):
        tokenizer = trained(kind, "identity", byte_fallback)
        found = library_of(kind, byte_fallback).encode(text, add_special_tokens=False).ids
        assert found == tokenizer.encode(text).tolist()
    count_cases(2)


@cache
def library_of(kind: str, byte_fallback: bool) -> library.Tokenizer:
    return in_library(trained(kind, "identity", byte_fallback))


@pytest.mark.slow
@each_kind
@each_normalization
@pytest.mark.parametrize("folder", ["chinese", "novels"])
@pytest.mark.tokenizers("encode")
def test_ids_of_books_are_the_librarys(kind: str, normalization: str, folder: str) -> None:
    """Whole books: unrounded Unigram scores part after some 10,000 characters."""
    texts = corpus(folder)
    options = {"normalization": normalization, "special_tokens": SPECIALS}
    tokenizer = train_tokenizer(kind, texts, 5000, **options)
    other = in_library(tokenizer)
    parts = [*texts, *texts[0].splitlines()[:500], *TEXTS]
    for text in parts:
        ids = tokenizer.encode(text).tolist()
        assert other.encode(text, add_special_tokens=False).ids == ids
        assert other.decode(ids, skip_special_tokens=False) == tokenizer.decode(ids)
    count_cases(len(parts))


SLOW = [
    pytest.param(unit, marks=pytest.mark.slow) for unit in ("\n", "\t", "7", "!", "\u0301", "ab")
]


@each_kind
@pytest.mark.parametrize("letter", ["a", " ", "月", "龘", *SLOW])
@pytest.mark.tokenizers("adversarial")
def test_a_megabyte_of_one_letter(kind: str, letter: str) -> None:
    tokenizer = trained(kind)
    text = letter * (1_000_000 // len(letter.encode()))
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.byte_count(ids) == len(text.encode())


@each_kind
@pytest.mark.tokenizers("bad input")
def test_a_lone_surrogate_is_not_normalized(kind: str) -> None:
    with pytest.raises(TokenizerError, match="lone surrogate"):
        trained(kind).normalize("\ud800")
    count_cases()


@each_kind
@pytest.mark.tokenizers("adversarial")
def test_the_name_of_a_byte_is_text(kind: str) -> None:
    tokenizer = trained(kind)
    assert not any(tokenizer._is_byte[tokenizer.encode("<0x41>")])
    count_cases()


# The way back


@each_kind
@settings(deadline=None, max_examples=60)
@given(text=UNICODE)
@pytest.mark.tokenizers("decode")
def test_only_the_sign_of_a_space_is_changed(kind: str, text: str) -> None:
    for given_text in (text, "\u2581" + text):
        assert trained(kind).normalize(given_text) == given_text.replace("\u2581", " ")
    count_cases(2)


@each_kind
@settings(deadline=None, max_examples=60)
@given(text=UNICODE)
@pytest.mark.tokenizers("decode")
def test_decoding_is_sentencepieces(kind: str, text: str) -> None:
    for tokenizer in variants(kind):
        for given_text in (text, " " + text, "\u2581" + text):
            ids = tokenizer.encode(given_text)
            assert tokenizer.decode(ids) == tokenizer._fast.decode(ids.tolist())
            assert tokenizer.encode(tokenizer.normalize(given_text)).tolist() == ids.tolist()
    count_cases(4 * 3)


@each_kind
@settings(deadline=None, max_examples=100)
@given(ids=st.lists(st.integers(0, 599), max_size=12))
@pytest.mark.tokenizers("decode")
def test_decoding_of_any_ids_is_sentencepieces(kind: str, ids: list[int]) -> None:
    """Whole characters in every order; control pieces show as names here, as nothing there."""
    for tokenizer in variants(kind):
        space, unknown = tokenizer._fast.piece_to_id("\u2581"), tokenizer._fast.unk_id()
        control = {number for name, number in tokenizer.special_tokens.items() if name != "<unk>"}
        plain = [number for number in ids if number not in control]
        for first in ([], [space], [space, space], [unknown], [space, unknown]):
            data = tokenizer.decode_bytes(first + plain)
            if "\ufffd" not in data.decode("utf-8", "replace"):
                assert data.decode() == tokenizer._fast.decode(first + plain)
    count_cases(4 * 5)


@each_kind
def test_unknown_text_and_specials_are_shown(kind: str) -> None:
    tokenizer = trained(kind, byte_fallback=False)
    assert not tokenizer.lossless
    assert tokenizer.unknown in tokenizer.encode("a龘b").tolist()
    assert tokenizer.decode(tokenizer.encode("a龘龘b")) == "a ⁇ b"
    assert tokenizer.decode([*tokenizer.encode("ab"), 2]) == "ab</s>"
    with pytest.raises(TokenizerError, match="Id 600 is not in this vocabulary of 600"):
        tokenizer.decode([600])


# Offsets


@each_kind
@settings(deadline=None, max_examples=60)
@given(text=UNICODE)
@pytest.mark.tokenizers("offsets")
def test_offsets_are_sentencepieces(kind: str, text: str) -> None:
    for tokenizer in variants(kind):
        for given_text in (text, POEM + "Ａ½ ﬁ  e\u0301\u3000x ①"):
            ids, spans = tokenizer.offsets(given_text)
            whole = ~tokenizer._is_byte[ids]
            mapping = tokenizer._fast.encode(given_text, return_type="offset_mapping")
            theirs = np.array(mapping["offsets"]).reshape(-1, 2)
            assert spans[whole].tolist() == theirs[whole].tolist()
            assert (np.diff(spans[:, 0]) >= 0).all()
            assert (spans[:, 1] >= spans[:, 0]).all()
            assert not len(ids) or spans[-1, 1] <= len(given_text)
    count_cases(4 * 2)


def test_a_kind_of_model_has_a_class() -> None:
    assert sorted(kind.kind for kind in CLASSES.values()) == sorted(KINDS)
