"""SentencePiece's files: `.model` files of anyone's, our folders, and what is damaged."""

import io
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import transformers
from case_counts import count_cases
from hard_texts import HARD, PROSE
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tokenizers_sentencepiece import (
    KINDS,
    TEXTS,
    UNICODE,
    each_kind,
    each_normalization,
    in_library,
    trained,
)

from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer, train_tokenizer
from hornbook.tokenizers.files.sentencepiece_model import Piece, PieceType, read_model, with_pieces
from hornbook.tokenizers.kinds.sentencepiece import (
    CLASSES,
    SentencePiece,
    SentencePieceBPE,
    open_model,
)

LLAMA = {
    "model_type": "bpe",
    "vocab_size": 600,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "allow_whitespace_only_pieces": True,
    "byte_fallback": True,
    "split_digits": True,
    "character_coverage": 0.99995,
}
FOREIGN: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "gemma": {**LLAMA, "add_dummy_prefix": False, "user_defined_symbols": ["\n\n", "\u2581\u2581"]},
    "t5": {"model_type": "unigram", "vocab_size": 300, "pad_id": 0, "eos_id": 1, "unk_id": 2}
    | {"bos_id": -1},
    "albert": {
        "model_type": "unigram",
        "vocab_size": 300,
        "normalization_rule_name": "nfkc_cf",
        "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
        "unk_surface": " <?> ",
    },
}
GRAPHEMES = HARD[7]
"""A base with two marks, which the library's normaliser changes in another way."""


@cache
def foreign_bytes(name: str) -> bytes:
    return learn(**FOREIGN[name])


def learn(**options: Any) -> bytes:
    """A model trained by sentencepiece itself."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=written,
        minloglevel=3,
        max_sentence_length=1 << 20,
        **options,
    )
    return written.getvalue()


each_foreign = pytest.mark.parametrize(
    ("name", "kind"),
    [(name, f"sentencepiece-{options['model_type']}") for name, options in FOREIGN.items()],
)


# Models of anyone's


@each_foreign
@settings(deadline=None, max_examples=40)
@given(text=UNICODE)
@pytest.mark.tokenizers("formats read")
def test_a_model_file_is_sentencepieces(name: str, kind: str, text: str) -> None:
    mine, theirs = opened(name)
    assert mine.kind == kind
    for given_text in (text, *HARD):
        ids = mine.encode(given_text)
        assert ids.tolist() == theirs.encode(given_text)
        assert mine.decode(ids) == theirs.decode(ids.tolist())
        if mine.lossless:
            assert mine.decode(ids) == mine.normalize(given_text)
            assert mine.byte_count(ids) == len(mine.normalize(given_text).encode())
    count_cases()


@cache
def opened(name: str) -> tuple[SentencePiece, sentencepiece.SentencePieceProcessor]:
    data = foreign_bytes(name)
    mine = CLASSES[str(FOREIGN[name]["model_type"])](data)
    return mine, sentencepiece.SentencePieceProcessor(model_proto=data)


def test_control_pieces_are_the_special_tokens(tmp_path: Path) -> None:
    expected = {
        "llama": ({"<unk>": 0, "<s>": 1, "</s>": 2}, True, "before"),
        "gemma": ({"<unk>": 0, "<s>": 1, "</s>": 2}, True, ""),
        "t5": ({"<pad>": 0, "</s>": 1, "<unk>": 2}, False, "before"),
    }
    albert = {"<unk>": 0, "<s>": 1, "</s>": 2, "[CLS]": 3, "[SEP]": 4, "[MASK]": 5}
    expected["albert"] = (albert, False, "before")
    for name, (specials, lossless, edge) in expected.items():
        (tmp_path / f"{name}.model").write_bytes(foreign_bytes(name))
        tokenizer = load_tokenizer(tmp_path / f"{name}.model")
        assert dict(tokenizer.special_tokens) == specials
        assert (tokenizer.lossless, tokenizer.edge_space) == (lossless, edge)
        assert tokenizer.end_of_text == specials["</s>"]


@each_foreign
@pytest.mark.tokenizers("formats written")
def test_the_library_agrees_on_foreign_models(name: str, kind: str) -> None:
    """On short texts: unrounded Unigram scores fall otherwise in long ones."""
    mine, _ = opened(name)
    other = in_library(mine)
    texts = [text for text in [*HARD, *PROSE.split(), *TEXTS[0].split()] if len(text) < 60]
    if mine.model.charsmap:
        texts.remove(GRAPHEMES)
    for text in texts:
        ids = mine.encode(text).tolist()
        assert other.encode(text, add_special_tokens=False).ids == ids
    count_cases(len(texts))


def test_transformers_reads_the_same_model_file(tmp_path: Path) -> None:
    """Its LlamaTokenizer puts no space before a text that begins with one; sentencepiece does."""
    pytest.importorskip("google.protobuf")
    (tmp_path / "tokenizer.model").write_bytes(foreign_bytes("llama"))
    other = transformers.LlamaTokenizer.from_pretrained(tmp_path)
    mine = load_tokenizer(tmp_path)
    for text in HARD:
        if not text.startswith(" "):
            ids = other.encode(text, add_special_tokens=False, split_special_tokens=True)
            assert ids == mine.encode(text).tolist()


@pytest.mark.parametrize("name", list(FOREIGN))
def test_the_content_is_what_protobuf_reads(name: str) -> None:
    pytest.importorskip("google.protobuf")
    from sentencepiece import sentencepiece_model_pb2

    theirs = sentencepiece_model_pb2.ModelProto()
    theirs.ParseFromString(foreign_bytes(name))
    mine = read_model(foreign_bytes(name), "a model")
    assert [(piece.text, piece.score, piece.type) for piece in mine.pieces] == [
        (piece.piece, piece.score, piece.type) for piece in theirs.pieces
    ]
    trainer, normalizer = theirs.trainer_spec, theirs.normalizer_spec
    assert mine.type == trainer.ModelType.Name(trainer.model_type).lower()
    assert mine.byte_fallback == trainer.byte_fallback
    assert mine.unknown_shown == trainer.unk_surface
    assert mine.charsmap == normalizer.precompiled_charsmap
    assert mine.dummy_prefix == normalizer.add_dummy_prefix
    assert mine.single_spaces == normalizer.remove_extra_whitespaces


@pytest.mark.parametrize("name", list(FOREIGN))
def test_pieces_are_written_as_they_were_read(name: str) -> None:
    data = foreign_bytes(name)
    pieces = read_model(data, "a model").pieces
    again = with_pieces(data, pieces)
    assert read_model(again, "again") == read_model(data, "a model")
    long = Piece("x" * 200, -1.5, PieceType.CONTROL)
    more = with_pieces(data, [*pieces, long])
    assert read_model(more, "more").pieces == (*pieces, long)
    assert sentencepiece.SentencePieceProcessor(model_proto=more)[long.text] == len(pieces)


# Our folders


@each_kind
@each_normalization
@pytest.mark.tokenizers("formats written")
def test_a_folders_model_opens_alone(kind: str, normalization: str, tmp_path: Path) -> None:
    tokenizer = trained(kind, normalization)
    tokenizer.save(tmp_path)
    assert open_model(tmp_path / "tokenizer.model").fingerprint == tokenizer.fingerprint
    count_cases()


def test_where_the_librarys_normaliser_is_another() -> None:
    """A base with two marks: the reason why GRAPHEMES is left out where NFKC is compared."""
    tokenizer = trained(KINDS[0], "nfkc")
    text = "o\u0308\u0323"
    theirs = in_library(tokenizer).normalizer.normalize_str(text)
    assert tokenizer.normalize(text) == "\u00f6\u0323"
    assert theirs != "\u2581\u00f6\u0323"


def test_t5s_sentinels_survive_the_folder(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(KINDS[1], TEXTS, 500, special_tokens="t5", normalization="nfkc")
    tokenizer.save(tmp_path)
    other = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert other.convert_tokens_to_ids("<extra_id_0>") == 499
    assert load_tokenizer(tmp_path).special_tokens["<extra_id_0>"] == 499
    ids = tokenizer.encode_with_special_tokens("the <extra_id_0> data").tolist()
    assert other.encode("the <extra_id_0> data", add_special_tokens=False) == ids


def test_the_fingerprint_is_of_what_decides_ids() -> None:
    data = foreign_bytes("llama")
    pieces = list(read_model(data, "a model").pieces)
    renamed = data + field(2, field(2, b"/another/prefix"))
    rescored = [*pieces[:-1], Piece(pieces[-1].text, -9e9, pieces[-1].type)]
    spaces = data + field(3, bytes([4 << 3, 1]))
    prints = [
        SentencePieceBPE(one).fingerprint
        for one in (data, renamed, with_pieces(data, rescored), spaces)
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


# Bad input


def field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer message."""
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def piece(text: str) -> bytes:
    return field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", -1.0))


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "is empty"),
    "torn": (lambda data: data[: len(data) // 2], "no SentencePiece model, or is torn"),
    "torn at the end": (lambda data: data[:-1], "no SentencePiece model, or is torn"),
    "torn after the pieces": (
        lambda data: b"".join(piece(one.text) for one in read_model(data, "").pieces),
        "no SentencePiece model, or is torn",
    ),
    "text": (lambda data: b"no model at all\n", "no SentencePiece model, or is torn"),
    "json": (lambda data: b'{"model": {}}' * 40, "no SentencePiece model, or is torn"),
    "zeros": (lambda data: b"\0" * 100, "no SentencePiece model, or is torn"),
    "a piece of no UTF-8": (
        lambda data: data + field(1, field(1, b"\xff")),
        "no SentencePiece model, or is torn",
    ),
    "a piece twice": (lambda data: data + piece("q1") * 2, "gives 2 ids to the piece 'q1'"),
    "no unknown piece": (
        lambda data: with_pieces(
            data,
            [one for one in read_model(data, "").pieces if one.type != PieceType.UNKNOWN],
        ),
        "has 0 pieces for unknown text",
    ),
    "a byte that is none": (
        lambda data: data + field(1, field(1, b"<0xZZ>") + bytes([3 << 3, PieceType.BYTE])),
        "no whole SentencePiece model",
    ),
    "word": (lambda data: data + field(2, b"\x18\x03"), "of type 'word'"),
    "char": (lambda data: data + field(2, b"\x18\x04"), "of type 'char'"),
    "suffix": (lambda data: data + field(2, b"\xc0\x01\x01"), "treat_whitespace_as_suffix"),
    "spaces": (lambda data: data + field(3, b"\x28\x00"), "escape_whitespaces"),
    "denormalizer": (lambda data: data + field(5, field(2, b"x")), "denormalizer"),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
@each_foreign
@pytest.mark.tokenizers("bad input")
def test_a_damaged_model_is_named(
    damage: str, name: str, kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    break_it, message = DAMAGES[damage]
    path = tmp_path / "odd.model"
    path.write_bytes(break_it(foreign_bytes(name)))
    with pytest.raises(TokenizerError, match=message) as raised:
        load_tokenizer(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


@settings(deadline=None, max_examples=60)
@given(cut=st.integers(1, 100_000))
def test_a_model_torn_anywhere_is_refused(cut: int) -> None:
    data = trained(KINDS[1])._fast.serialized_model_proto()
    end = data.index(b"\x1a", cut % len(data)) if cut % 2 else cut % len(data)
    try:
        read_model(data[:end], "torn.model")
    except TokenizerError:
        return
    assert read_model(data[:end], "torn.model") == read_model(data, "whole.model")


@each_kind
@pytest.mark.tokenizers("bad input")
def test_a_folder_without_its_model(kind: str, tmp_path: Path) -> None:
    trained(kind).save(tmp_path)
    other = {KINDS[0]: "t5", KINDS[1]: "llama"}[kind]
    (tmp_path / "tokenizer.model").write_bytes(foreign_bytes(other))
    with pytest.raises(TokenizerError, match=r"tokenizer\.model is a SentencePiece model of type"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").unlink()
    with pytest.raises(TokenizerError, match=r"tokenizer\.model cannot be read: No such file"):
        load_tokenizer(tmp_path)


@each_kind
@pytest.mark.tokenizers("bad input")
def test_vocabularies_that_the_text_cannot_fill(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    cases: list[tuple[list[str], int, dict[str, Any], str]] = [
        ([], 300, {}, "no text to learn pieces from"),
        (["", "\n\n"], 300, {}, "no text to learn pieces from"),
        (TEXTS, 200, {}, "set tokenizer.vocab_size to 262 or more"),
        (TEXTS, 262, {}, r"vocabulary of 262 cannot hold .* set tokenizer.vocab_size to \d+ or"),
        (TEXTS, 90, {"special_tokens": "t5", "byte_fallback": False}, "to 104 or more"),
        (["abc abc"], 5000, {}, r"5000 asked, the text supports 2\d\d: set"),
        (TEXTS, 300, {"normalization": "nfd"}, "'nfd': there are identity, nfkc"),
    ]
    for texts, size, options, message in cases:
        with pytest.raises(TokenizerError, match=message) as raised:
            train_tokenizer(kind, texts, size, **options)
        assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
    count_cases(len(cases))


@each_kind
def test_what_reading_the_texts_raises_is_raised(kind: str) -> None:
    def texts() -> Iterator[str]:
        yield TEXTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_tokenizer(kind, texts(), 400)


@each_kind
@pytest.mark.tokenizers("formats read")
def test_a_model_tells_its_own_parts(kind: str, tmp_path: Path) -> None:
    """Whatever its pieces are called, and whichever others have a name that is known."""
    names = {"eos": "<eos>", "bos": "<bos>", "unk": "<what>", "pad": "<fill>"}
    options = {f"{part}_piece": name for part, name in names.items()}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        vocab_size=120,
        model_type=kind.removeprefix("sentencepiece-"),
        pad_id=3,
        control_symbols=["[SEP]"],
        hard_vocab_limit=False,
        minloglevel=3,
        **options,
    )
    path = tmp_path / "own.model"
    path.write_bytes(model.getvalue())
    mine = load_tokenizer(path)
    mine.save(tmp_path / "folder")
    for found in (mine, load_tokenizer(tmp_path / "folder")):
        ids = found.special_tokens
        assert (found.end_of_text, found.end_of_text_name) == (ids["<eos>"], "<eos>")
        assert (found.begin_of_text, found.unknown) == (ids["<bos>"], ids["<what>"])
        assert found.special_id("padding") == ids["<fill>"]
        assert found.special_id("separator") == ids["[SEP]"]
        assert found.unknown in found.encode("\U0010fffd")


def test_a_model_without_an_end_is_told_what_it_lacks(tmp_path: Path) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        vocab_size=120,
        eos_id=-1,
        hard_vocab_limit=False,
        minloglevel=3,
    )
    (tmp_path / "own.model").write_bytes(model.getvalue())
    with pytest.raises(TokenizerError, match=r"ends a text.*a \.model an eos piece"):
        _ = load_tokenizer(tmp_path / "own.model").end_of_text
