"""Text to train a tokenizer on, and text to measure it on: never the same piece.

Texts are cut into pieces of a few thousand characters at line ends. A piece is held out for its own
sake, by a hash of its bytes: so whoever trains on the same text at another time leaves out the same
pieces, and equal pieces are on one side. A group of texts of which chance holds out nothing gives
one piece. One pass, in bounded memory.
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

_SPLIT = 1  # the hash's seed: another than a sample's, which is therefore even on both sides


@dataclass(frozen=True, order=True)
class Group:
    """Texts that are measured together: of one source, and of one language if that is known."""

    source: str
    language: str = ""

    def __str__(self) -> str:
        return f"{self.source} ({self.language})" if self.language else self.source


@dataclass(frozen=True)
class Split:
    """Pieces of both sides; the held-out ones by their group, in order of the groups' names."""

    training: list[str]
    held_out: Mapping[Group, list[str]]


def split_texts(texts: Iterable[tuple[Group, str]], training_bytes: int) -> Split:
    """Both sides of the texts: an even sample of at most `training_bytes`, and what is held out.

    Raises TokenizerError where a text holds a lone surrogate.
    """
    training = Sample(training_bytes)
    held: dict[Group, Sample] = {}
    least: dict[Group, tuple[int, str]] = {}
    chosen: set[Group] = set()
    for group, text in texts:
        utf8(text)
        for piece in cut(text, PIECE_CHARACTERS):
            draw = xxhash.xxh3_64_intdigest(piece.encode("utf-8"), seed=_SPLIT)
            least[group] = min(least.get(group, (draw, piece)), (draw, piece))
            if draw < SHARE * 2**64:
                chosen.add(group)
                held.setdefault(group, Sample(HELD_OUT_BYTES)).add(piece)
            else:
                training.add(piece)
    given = {piece for group, (_, piece) in least.items() if group not in chosen}
    kept = {
        group: held[group].pieces() if group in chosen else [least[group][1]]
        for group in sorted(least)
    }
    return Split([piece for piece in training.pieces() if piece not in given], kept)
