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


def sample_pieces(texts: Iterable[str], budget_bytes: int) -> list[str]:
    """At most `budget_bytes` of UTF-8, evenly from all texts; all of it when that fits.

    The pieces come in the order of their hashes, which is the same for any order of the texts.
    """
    kept: list[tuple[int, bytes]] = []  # a heap with the largest hash on top, hence the minus
    size = 0
    limit = 1 << 64  # no piece with this hash or a larger one fits any more
    for piece in _pieces(texts):
        data = piece.encode("utf-8")
        number = xxhash.xxh3_64_intdigest(data)
        if number >= limit:
            continue
        heapq.heappush(kept, (-number, data))
        size += len(data)
        while size > budget_bytes:
            largest, dropped = heapq.heappop(kept)
            size, limit = size - len(dropped), -largest
    return [data.decode("utf-8") for _, data in sorted(kept, reverse=True)]


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    """Each text in pieces, cut after the last line end that fits, else where the length is out."""
    for text in texts:
        start = 0
        while start < len(text):
            end = start + PIECE_CHARACTERS
            line_end = text.rfind("\n", start, end) + 1
            if end < len(text) and line_end > start:
                end = line_end
            yield text[start:end]
            start = end
