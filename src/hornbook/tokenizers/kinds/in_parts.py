"""Long texts encoded in parts, with the ids of the whole.

A word of a million letters takes its engine out of the processor's caches, and so does a text that
an engine keeps with notes on every character. Parted between two words, nothing changes. Inside a
word, what stands before a seam has been merged without what follows. So the last tokens before it
are encoded again with the next part, and the first of these must come out as it was.

Then the ids are those of the whole. Merging always takes the best pair there is, the leftmost of
equals; of the pairs within two neighbouring tokens it therefore takes the best as well. So two
tokens that once ended up side by side never merge across their border, whatever stands around them,
and a list of tokens is a word's encoding exactly where every two neighbours are such a pair. Before
the seam they are so in the first part, after it in the second. That rests on two things: a part is
made of the same symbols as in the whole, and merging is all that makes tokens of them.

Source: that criterion is the one of the crate `bpe` (van Antwerpen and Neubeck 2024,
https://github.com/github/rust-gems), which encodes by it.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

PART = 8192
"""Characters to encode at once."""

TAIL = 1024
"""Characters before a seam that may be encoded twice."""

Ids = Int64[ndarray, " tokens"]
Seam = tuple[int, int]
"""How many tokens of a part stay, and with which character of the text the next part begins.

The first token that does not stay must be the first of the next part as well.
"""


def encode_in_parts(
    length: int, ends: Iterable[int], encode: Callable[[int, int], tuple[Ids, Seam | None]]
) -> Ids | None:
    """The ids of a text of so many characters; None where a seam does not hold.

    ends: characters before which parts may end, rising, above 0 and below length.
    encode: the ids of the characters [start, end), and how the next part takes over, if one may.
    """
    done: list[Ids] = []
    start, expected = 0, None
    for end in [*ends, length]:
        ids, seam = encode(start, end)
        if expected is not None and not (len(ids) and ids[0] == expected):
            return None
        if end == length:
            done.append(ids)
        elif seam is None:
            return None
        else:
            kept, start = seam
            done.append(ids[:kept])
            expected = ids[kept] if kept < len(ids) else None
    return np.concatenate(done)
