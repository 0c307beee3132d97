"""Text to count in, as one stream of symbols: token + 1, and zeros after each piece.

With order - 1 zeros between pieces, the `order` symbols from any token on are its n-gram, cut off
with zeros where its piece ends: nothing crosses from one piece to the next.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hornbook.errors import InputError

Ints = NDArray[np.int64]

CHUNK = 1 << 17
"""Symbols in memory at a time."""


class StoredTokens(Protocol):
    """Ids read piece by piece, as the token store's arrays are."""

    @property
    def tokens(self) -> int:
        """How many there are."""

    def read(self, start: int, count: int) -> Ints:
        """Ids start .. start + count - 1."""


Piece = NDArray[np.integer] | StoredTokens


def length(piece: Piece) -> int:
    """How many tokens a piece has."""
    return len(piece) if isinstance(piece, np.ndarray) else piece.tokens


def symbols(pieces: Iterable[Piece], order: int) -> Iterator[Ints]:
    """The stream in chunks; each repeats the last order - 1 symbols of the one before.

    So every n-gram lies whole in the chunk in which it begins, before its last order - 1 symbols.
    """
    waiting: list[Ints] = []
    held = 0
    for piece in pieces:
        for part in chain(_parts(piece), [np.zeros(order - 1, dtype=np.int64)]):
            waiting.append(part)
            held += len(part)
            if held >= max(CHUNK, order):
                chunk = np.concatenate(waiting)
                yield chunk
                waiting, held = [chunk[len(chunk) - order + 1 :]], order - 1
    if held >= order:
        yield np.concatenate(waiting)


def first_tokens(pieces: Sequence[Piece], vocab_size: int) -> Ints:
    """How often each token [vocab_size] occurs.

    Raises:
        InputError: an id outside the vocabulary.
    """
    counts = np.zeros(vocab_size + 1, dtype=np.int64)
    for chunk in symbols(pieces, 1):
        if not 1 <= int(chunk.min()) <= int(chunk.max()) <= vocab_size:
            raise InputError(
                f"A token id lies outside the vocabulary of {vocab_size}; the tokens were made "
                f"with another tokenizer: run again to rebuild the store."
            )
        counts += np.bincount(chunk, minlength=vocab_size + 1)
    return counts[1:]


def beginnings(pieces: Sequence[Piece], longest: int) -> Ints:
    """The different first symbols [n, longest] of the pieces, zeros where one is shorter."""
    rows = np.zeros((len(pieces), longest), dtype=np.int64)
    for row, piece in zip(rows, pieces, strict=True):
        count = min(longest, length(piece))
        row[:count] = _read(piece, 0, count)
        row[:count] += 1
    return np.unique(rows, axis=0)


def _parts(piece: Piece) -> Iterator[Ints]:
    total = length(piece)
    for start in range(0, total, CHUNK):
        yield _read(piece, start, min(CHUNK, total - start)) + 1


def _read(piece: Piece, start: int, count: int) -> Ints:
    if isinstance(piece, np.ndarray):
        return piece[start : start + count].astype(np.int64)
    return np.asarray(piece.read(start, count), dtype=np.int64)
