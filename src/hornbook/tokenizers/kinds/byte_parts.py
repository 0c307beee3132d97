"""Where byte-level BPE may part a long text, and how one part takes over from another.

Only inside a run of characters of one class, far enough in that every pattern of PATTERNS has the
run's piece before it: a piece that begins in a run goes on to the run's end, and none looks back.
Short words need no parting.
"""

from collections.abc import Collection, Iterator
from functools import cache

import numpy as np
import tiktoken
from jaxtyping import Int32, Int64
from numpy import ndarray

from hornbook.tokenizers.byte_map import BYTE_ORDER
from hornbook.tokenizers.kinds.in_parts import PART, TAIL, Ids, Seam

LETTER, NUMBER, SIGN = r"\p{L}", r"\p{N}", r"[^\s\p{L}\p{N}]"
"""The classes that PATTERNS know; what is left is whitespace."""

MARGIN = 8
"""Characters of the run beyond what is encoded twice; a contraction takes two of a run's first."""


@cache
def class_of(character: str) -> str:
    """LETTER, NUMBER, SIGN, or "" for whitespace.

    By the engine's own tables, which follow its Unicode version.
    """
    return next((name for name in (LETTER, NUMBER, SIGN) if _finds(name, character)), "")


def _finds(pattern: str, character: str) -> bool:
    return bool(_engine(pattern).encode_ordinary(character))


@cache
def _engine(pattern: str) -> tiktoken.Encoding:
    """Gives ids to what the pattern matches, and to nothing else."""
    ranks = {byte: number for number, byte in enumerate(BYTE_ORDER)}
    return tiktoken.Encoding("class", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def ends_inside_words(text: str, classes: Collection[str]) -> Iterator[int]:
    """Places some PART apart that lie in runs of one of the classes.

    classes: those of which a pattern keeps a run together.
    """
    for end in range(PART, len(text) - MARGIN, PART):
        around = text[end - TAIL - MARGIN : end + MARGIN]
        first = class_of(around[0])
        if first in classes and all(class_of(character) == first for character in set(around)):
            yield end


def seam_before(
    text: str, end: int, ids: Ids, byte_lengths: Int32[ndarray, " vocab_size"]
) -> Seam | None:
    """The earliest token in the TAIL before the end that begins with a character's first byte.

    ids: of a part of the text that ends there.
    """
    data = np.frombuffer(text[end - TAIL : end].encode("utf-8"), dtype=np.uint8)
    leads: Int64[ndarray, " characters"] = np.flatnonzero((data & 0xC0) != 0x80)
    starts = len(data) - np.cumsum(byte_lengths[ids[: -len(data) - 1 : -1]], dtype=np.int64)
    fits = np.flatnonzero(np.isin(starts, leads))
    if not len(fits):
        return None
    repeated = int(fits[-1])
    characters = len(leads) - int(np.searchsorted(leads, starts[repeated]))
    return len(ids) - 1 - repeated, end - characters
