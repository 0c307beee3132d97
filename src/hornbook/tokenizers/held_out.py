"""Text to train a tokenizer on, and text to measure it on: never the same piece.

Texts are cut into pieces of a few thousand characters at line ends. A piece is held out for its own
sake, by a hash of its bytes: so whoever trains on the same text at another time leaves out the same
pieces, and equal pieces are on one side; where sides are given and share a piece, training loses
it. A group of texts of which chance holds out nothing gives one piece. One pass, in bounded memory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import xxhash

from hornbook.tokenizers.sample import Sample, cut
from hornbook.tokenizers.tokenizer import utf8

SHARE = 0.1
"""How much is held out."""

PIECE_CHARACTERS = 4096
"""Less than a training sample's piece, so that short texts have both sides."""

HELD_OUT_BYTES = 2_000_000
"""What is kept of a group's held-out text: enough for three digits."""


@dataclass(frozen=True, order=True)
class Group:
    """Texts that are measured together: of one source, and of one language if that is known."""

    source: str
    language: str = ""

    def __str__(self) -> str:
        return f"{self.source} ({self.language})" if self.language else self.source


@dataclass(frozen=True)
class Labelled:
    """A text and its group; `held_out` says which side it is on where that is decided already."""

    group: Group
    text: str
    held_out: bool | None = None


@dataclass(frozen=True)
class Split:
    """Pieces of both sides; the held-out ones by their group, in order of the groups' names."""

    training: list[str]
    held_out: Mapping[Group, list[str]]


def split_texts(texts: Iterable[Labelled], training_bytes: int) -> Split:
    """Both sides of the texts: an even sample of at most `training_bytes`, and what is held out.

    Raises TokenizerError where a text holds a lone surrogate.
    """
    training = Sample(training_bytes)
    held: dict[Group, Sample] = {}
    least: dict[Group, tuple[int, str]] = {}
    for one in texts:
        utf8(one.text)
        for piece in cut(one.text, PIECE_CHARACTERS):
            draw = xxhash.xxh3_64_intdigest(piece.encode("utf-8"))
            least[one.group] = min(least.get(one.group, (draw, piece)), (draw, piece))
            if draw < SHARE * 2**64 if one.held_out is None else one.held_out:
                held.setdefault(one.group, Sample(HELD_OUT_BYTES)).add(piece)
            else:
                training.add(piece)
    given = {group: piece for group, (_, piece) in least.items() if group not in held}
    kept = {
        group: [given[group]] if group in given else held[group].pieces() for group in sorted(least)
    }
    left = {piece for pieces in kept.values() for piece in pieces}
    return Split([piece for piece in training.pieces() if piece not in left], kept)
