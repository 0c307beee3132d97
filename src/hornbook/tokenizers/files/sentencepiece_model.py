"""What a SentencePiece `.model` file says: its pieces, and how it changes text before it looks.

The file is one protocol buffer message (`sentencepiece_model.proto` in SentencePiece's source),
which is read here, since the library tells no piece's type and no normaliser's flags. A message is
a row of fields: a number and a type in one varint, then a varint, four or eight bytes, or a length
and so many bytes.
"""

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite

from hornbook.errors import TokenizerError

SPACE = "\u2581"
"""How pieces write a space: ▁, lower one eighth block."""

MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
READ_TYPES = ("unigram", "bpe")


class PieceType(IntEnum):
    """What a piece is for (SentencePiece.Type in the file)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """One row of the vocabulary; its id is its place."""

    text: str
    score: float
    type: PieceType

    @property
    def reserved(self) -> bool:
        """Whether it steers or stands for the unknown, and so for no text of its own."""
        return self.type in (PieceType.CONTROL, PieceType.UNKNOWN)


@dataclass(frozen=True)
class Model:
    """The content of a `.model` file, as far as it decides ids and decoded text.

    type: "bpe" or "unigram".
    charsmap: the compiled table of characters that the normaliser changes; empty for none.
    dummy_prefix: whether a space is put before every text.
    single_spaces: whether runs of spaces become one, and those at the ends go.
    unknown_shown: what decoding shows for the unknown piece.
    """

    type: str
    pieces: tuple[Piece, ...]
    byte_fallback: bool
    charsmap: bytes
    dummy_prefix: bool
    single_spaces: bool
    unknown_shown: str


def read_model(data: bytes, name: str) -> Model:
    """The content of a `.model` file; `name` is how messages call it.

    Raises TokenizerError for a file that is torn, no such message, or of a type or with a flag
    whose decoding Hornbook does not reproduce.
    """
    if not data:
        raise TokenizerError(f"{name} is empty: fetch or save it again.")
    try:
        return _model(data, name)
    except (ValueError, LookupError, TypeError, AttributeError, struct.error):
        raise TokenizerError(
            f"{name} is no SentencePiece model, or is torn or damaged: fetch or save it again."
        ) from None


def _model(data: bytes, name: str) -> Model:
    pieces = []
    specs: dict[int, dict[int, int | bytes]] = {}
    for number, value in _fields(data):
        if number == 1:
            pieces.append(_piece(dict(_fields(_bytes(value)))))
        else:
            specs.setdefault(number, {}).update(_fields(_bytes(value)))
    trainer, normalizer = specs.get(2), specs.get(3)
    if not pieces or trainer is None or normalizer is None:
        raise ValueError("a part is missing")
    kind = MODEL_TYPES[int(trainer.get(3, 1))]
    refused = {
        f"of type {kind!r}": kind not in READ_TYPES,
        "with spaces after words (treat_whitespace_as_suffix)": bool(trainer.get(24)),
        "with spaces kept as they are (escape_whitespaces off)": not normalizer.get(5, 1),
        "that changes decoded text (denormalizer)": bool(specs.get(5, {}).get(2)),
    }
    for fault, found in refused.items():
        if found:
            raise TokenizerError(
                f"{name} is a SentencePiece model {fault}, which Hornbook does not reproduce: it "
                f"opens types {' and '.join(READ_TYPES)} with spaces before words."
            )
    _check_pieces(pieces, name)
    return Model(
        type=kind,
        pieces=tuple(pieces),
        byte_fallback=bool(trainer.get(35)),
        charsmap=_bytes(normalizer.get(2, b"")),
        dummy_prefix=bool(normalizer.get(3, 1)),
        single_spaces=bool(normalizer.get(4, 1)),
        unknown_shown=_bytes(trainer.get(44, " \u2047 ".encode())).decode("utf-8"),
    )


def with_pieces(data: bytes, pieces: Sequence[Piece]) -> bytes:
    """A `.model` file with other pieces, and all else as it was.

    The pieces go first, so that a torn file lacks what `read_model` asks for.
    """
    others = [_field(number, _bytes(value)) for number, value in _fields(data) if number != 1]
    return b"".join([*(_field(1, _row(piece)) for piece in pieces), *others])


def _row(piece: Piece) -> bytes:
    score = bytes([2 << 3 | 5]) + struct.pack("<f", piece.score)
    return _field(1, piece.text.encode("utf-8")) + score + bytes([3 << 3, piece.type])


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes, with its length in groups of seven bits, the lowest first."""
    size = len(content)
    groups = [size >> shift & 0x7F for shift in range(0, max(1, size.bit_length()), 7)]
    length = bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
    return bytes([number << 3 | 2]) + length + content


def _check_pieces(pieces: Sequence[Piece], name: str) -> None:
    counts = Counter(piece.text for piece in pieces)
    text, times = counts.most_common(1)[0]
    if times > 1:
        raise TokenizerError(
            f"{name} gives {times} ids to the piece {text!r}: it is damaged; fetch it again."
        )
    unknown = sum(piece.type == PieceType.UNKNOWN for piece in pieces)
    if unknown != 1:
        raise TokenizerError(
            f"{name} has {unknown} pieces for unknown text, where a SentencePiece model has one: "
            "it is damaged; fetch it again."
        )


def _piece(fields: dict[int, int | bytes]) -> Piece:
    (score,) = struct.unpack("<f", _bytes(fields.get(2, b"\0\0\0\0")))
    if not isfinite(score):
        raise ValueError("a score is no number")
    return Piece(_bytes(fields[1]).decode("utf-8"), score, PieceType(int(fields.get(3, 1))))


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where bytes belong")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: their numbers with an int (varint) or the bytes.

    Raises ValueError or IndexError where the bytes are no whole message.
    """
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        wire = key & 7
        if wire == 0:
            number, place = _varint(data, place)
            yield key >> 3, number
            continue
        if wire == 2:
            size, place = _varint(data, place)
        else:
            size = {1: 8, 5: 4}.get(wire, len(data) + 1)
        if place + size > len(data):
            raise ValueError("a field goes beyond the end")
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the place after it."""
    number = shift = 0
    while data[place] & 0x80:
        number |= (data[place] & 0x7F) << shift
        shift += 7
        place += 1
    return number | data[place] << shift, place + 1
