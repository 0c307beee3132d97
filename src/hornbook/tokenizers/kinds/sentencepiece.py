"""SentencePiece: pieces of text in which a space is a character like any other.

BPE merges the neighbours that make the best piece (LLaMA, Mistral); Unigram takes the cut with the
most probable pieces (T5). Normalization "identity" keeps text as it is, with newlines and tabs as
pieces, and with byte fallback loses nothing but the sign U+2581, by which pieces write a space;
"nfkc" takes compatibility forms and single spaces, as T5 does. A space is put before every text,
so that a word is the same piece wherever it stands.

The `sentencepiece` library trains and encodes; the `.model` file is the tokenizer. What is said of
ids holds of whole texts: encoded by parts, every part would get a space.

Sources: Kudo and Richardson 2018 (arXiv:1808.06226); Kudo 2018 (unigram, arXiv:1804.10959).
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sentencepiece
from jaxtyping import Int, Int64
from numpy import ndarray

from hornbook.errors import TokenizerError
from hornbook.runs.atomic import write_bytes
from hornbook.tokenizers.files.config_beside import config_beside
from hornbook.tokenizers.files.layouts import FOLDER
from hornbook.tokenizers.files.sentencepiece_definition import piece_definition
from hornbook.tokenizers.files.sentencepiece_model import SPACE, Piece, PieceType, read_model
from hornbook.tokenizers.kinds.sentencepiece_training import train_model
from hornbook.tokenizers.special import CHAT, part_name
from hornbook.tokenizers.tokenizer import Tokenizer, utf8

MODEL_FILE = "tokenizer.model"


class SentencePiece(Tokenizer):
    """A SentencePiece model; its subclasses say of which type.

    data: the content of a `.model` file.
    name: how messages call the file.

    Raises TokenizerError where the content is no such model, or of another type.
    """

    model_type: str

    def __init__(self, data: bytes, name: str = MODEL_FILE) -> None:
        model = read_model(data, name)
        if model.type != self.model_type:
            raise TokenizerError(
                f"{name} is a SentencePiece model of type {model.type!r}, not {self.model_type!r}: "
                "the file is another tokenizer's; save or fetch it again."
            )
        try:
            self._fast = sentencepiece.SentencePieceProcessor(model_proto=data)
        except RuntimeError as error:
            raise TokenizerError(
                f"{name} is no whole SentencePiece model ({error}): fetch or save it again."
            ) from None
        special_tokens = {
            piece.text: number for number, piece in enumerate(model.pieces) if piece.reserved
        }
        tokens = {
            number: _shown(piece) for number, piece in enumerate(model.pieces) if not piece.reserved
        }
        self._parts = self._own_parts(model.pieces)
        end = self._parts.get("end_of_text") or part_name("end_of_text", special_tokens)
        super().__init__(tokens, special_tokens, end)
        self._shown[self._fast.unk_id()] = model.unknown_shown.encode("utf-8")
        types = np.array([piece.type for piece in model.pieces])
        self._is_byte = types == PieceType.BYTE
        self._space = self._fast.piece_to_id(SPACE)
        self._opens = np.array([piece.text.startswith(SPACE) for piece in model.pieces])
        self.model = model
        self.edge_space: Literal["", "before", "after"] = "before" if model.dummy_prefix else ""
        self.lossless = model.byte_fallback and not (model.charsmap or model.single_spaces)

    def _own_parts(self, pieces: Sequence[Piece]) -> dict[str, str]:
        """The four special tokens that the model itself tells the part of, whatever their names."""
        numbers = {
            "end_of_text": self._fast.eos_id(),
            "begin_of_text": self._fast.bos_id(),
            "unknown": self._fast.unk_id(),
            "padding": self._fast.pad_id(),
        }
        return {part: pieces[number].text for part, number in numbers.items() if number >= 0}

    def name_of(self, part: str) -> str:
        """The special token that plays a part of PARTS; empty where none does."""
        return self._parts.get(part) or super().name_of(part)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int = 4096,
        special_tokens: Sequence[str] = CHAT,
        normalization: str = "identity",
        byte_fallback: bool = True,
    ) -> "SentencePiece":
        """Learn pieces from texts.

        vocab_size: ids in all, with the special tokens, bytes and single characters.
        special_tokens: their names, which take the first ids (T5's sentinels the last).
        normalization: "identity" or "nfkc".
        byte_fallback: whether a character without a piece becomes its bytes; else <unk>.

        Raises TokenizerError when the text has too few pieces, or too many characters, and says
        which size it supports.
        """
        return cls(
            train_model(
                texts, cls.model_type, vocab_size, special_tokens, normalization, byte_fallback
            )
        )

    def encode(self, text: str) -> Int64[ndarray, " tokens"]:
        """The ids of a text, through the library."""
        return np.asarray(self._fast.encode(utf8(text), return_type="numpy"), dtype=np.int64)

    def encode_batch(self, texts: Iterable[str]) -> list[Int64[ndarray, " tokens"]]:
        """`encode` for each text, by all of the library's threads."""
        encoded = self._fast.encode([utf8(text) for text in texts], return_type="numpy")
        return [np.asarray(ids, dtype=np.int64) for ids in encoded]

    def offsets(self, text: str) -> tuple[Int64[ndarray, " tokens"], Int64[ndarray, "tokens 2"]]:
        """The ids of a text, and for each the characters [start, end) that it was made from.

        As the library has them, but that every byte of a character reports it, not the last only.
        The space before the text is made from nothing, (0, 0) where it stands alone.
        """
        utf8(text)
        mapping = self._fast.encode(text, return_type="offset_mapping")
        ids = np.array(mapping["ids"], dtype=np.int64)
        spans = np.array(mapping["offsets"], dtype=np.int64).reshape(-1, 2)
        early = self._is_byte[ids] & (spans[:, 0] == spans[:, 1])
        places = np.where(early, len(ids) - 1, np.arange(len(ids)))
        spans[:, 1] = spans[np.minimum.accumulate(places[::-1])[::-1], 1]
        return ids, spans

    def normalize(self, text: str) -> str:
        """The text that the pieces spell, without the space before it."""
        utf8(text)
        changed = str(self._fast.normalize(text))
        return (changed.removeprefix(SPACE) if self.edge_space else changed).replace(SPACE, " ")

    def decode_bytes(self, ids: Sequence[int] | Int[ndarray, " tokens"]) -> bytes:
        """The bytes behind the ids of a whole text.

        The library's text, for ids that a text encodes to; among others, special tokens show as
        their names (there as nothing), and bytes that form no character are as they are.

        Raises TokenizerError for an id outside the vocabulary.
        """
        data = self._joined(ids)
        if not (self.edge_space or self.model.single_spaces):
            return data
        spaces = 0  # before the first word, all of them where spaces are single, else one
        while self.model.single_spaces and spaces < len(ids) and ids[spaces] == self._space:
            spaces += 1
        return data[spaces + (spaces < len(ids) and bool(self._opens[ids[spaces]])) :]

    def definition(self) -> dict[str, Any]:
        """The content of `tokenizer.json`; see `piece_definition` for where its ids differ."""
        return piece_definition(self.model, self.special_tokens)

    def identity(self) -> dict[str, Any]:
        """Pieces with scores and types, and how text is changed before they are looked for."""
        return {
            "pieces": [[piece.text, piece.score, int(piece.type)] for piece in self.model.pieces],
            "charsmap": sha256(self.model.charsmap).hexdigest(),
            "dummy_prefix": self.model.dummy_prefix,
            "single_spaces": self.model.single_spaces,
            "byte_fallback": self.model.byte_fallback,
        }

    def save(self, directory: str | Path, layout: str = FOLDER) -> None:
        """Write the folder, and `tokenizer.model` into it, from which it opens again."""
        super().save(directory, layout)
        if layout == FOLDER:
            self.save_model(Path(directory) / MODEL_FILE)

    def save_model(self, path: str | Path) -> None:
        """Write the `.model` file alone."""
        write_bytes(path, self._fast.serialized_model_proto())

    @classmethod
    def from_folder(cls, folder: Path, definition: Mapping[str, Any]) -> "SentencePiece":
        """The tokenizer saved in a folder, from its `tokenizer.model`."""
        path = folder / MODEL_FILE
        return cls(_read(path), str(path))


class SentencePieceBPE(SentencePiece):
    """Merges by score."""

    kind = "sentencepiece-bpe"
    model_type = "bpe"


class SentencePieceUnigram(SentencePiece):
    """The most probable cut (Viterbi)."""

    kind = "sentencepiece-unigram"
    model_type = "unigram"


CLASSES: Mapping[str, type[SentencePiece]] = {
    kind.model_type: kind for kind in (SentencePieceBPE, SentencePieceUnigram)
}


def open_model(path: str | Path) -> SentencePiece:
    """The tokenizer of any `.model` file of type BPE or unigram.

    Control pieces and the unknown piece are its special tokens.

    Raises TokenizerError, naming the file, where it is damaged, a model of another type, or the
    configuration beside it names a class that gives other ids.
    """
    data = _read(Path(path))
    config_beside(Path(path), "SentencePiece")
    return CLASSES[read_model(data, str(path)).type](data, str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TokenizerError(f"{path} cannot be read: {error.strerror}.") from None


def _shown(piece: Piece) -> bytes:
    """The bytes of text that a piece stands for."""
    if piece.type == PieceType.BYTE:
        return bytes([int(piece.text[1:-1], 16)])
    return piece.text.replace(SPACE, " ").encode("utf-8")
