"""An even sample of text within a budget of bytes, in one pass, whatever the order.

Texts are cut into pieces of a few thousand characters at line ends, so that one novel counts like
many notes. Every piece has a random-looking number, the hash of its own bytes; the pieces with the
smallest numbers that fit the budget are kept. A piece is therefore kept or not for its own sake:
order, batching and workers change nothing, and languages and sources keep their shares.
(Bottom-k sampling: Cohen and Kaplan 2007, "Summarizing data using bottom-k sketches".)
"""

import heapq
from collections.abc import Iterable, Iterator

import xxhash

PIECE_CHARACTERS = 16_384


class Sample:
    """A sample that is being taken: at most `budget_bytes` of UTF-8 from all pieces so far."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._kept: list[tuple[int, bytes]] = []  # a heap, the largest hash on top: hence the minus
        self._size = 0
        self._limit = 1 << 64  # no piece with this hash or a larger one fits any more

    def add(self, piece: str) -> None:
        """Keep the piece, or not, or until one with a smaller hash comes."""
        data = piece.encode("utf-8")
        number = xxhash.xxh3_64_intdigest(data)
        if number >= self._limit:
            return
        heapq.heappush(self._kept, (-number, data))
        self._size += len(data)
        while self._size > self._budget:
            largest, dropped = heapq.heappop(self._kept)
            self._size, self._limit = self._size - len(dropped), -largest

    def pieces(self) -> list[str]:
        """What is kept, in the order of the hashes, which is the same for any order of pieces."""
        return [data.decode("utf-8") for _, data in sorted(self._kept, reverse=True)]


def sample_pieces(texts: Iterable[str], budget_bytes: int) -> list[str]:
    """At most `budget_bytes` of UTF-8, evenly from all texts; all of it when that fits.

    The pieces come in the order of their hashes, which is the same for any order of the texts.
    """
    sample = Sample(budget_bytes)
    for text in texts:
        for piece in cut(text):
            sample.add(piece)
    return sample.pieces()


def cut(text: str, characters: int = PIECE_CHARACTERS) -> Iterator[str]:
    """The text in pieces, cut after the last line end that fits, else where the length is out."""
    start = 0
    while start < len(text):
        end = start + characters
        line_end = text.rfind("\n", start, end) + 1
        if end < len(text) and line_end > start:
            end = line_end
        yield text[start:end]
        start = end
