"""Which words have vectors, how often they occur, and how often they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from hornbook.errors import InputError

BLOCK = 1_000_000
DROPPED, SEPARATOR = -1, -2
"""What `Vocabulary.rows` says of an id without a vector, and of the one that ends a text."""


class Ids(Protocol):
    """Token ids that are read in pieces, such as a `store.reader.TokenArray`."""

    tokens: int

    def read(self, start: int, count: int) -> Int64[ndarray, " count"]:
        """The ids start .. start + count - 1."""


class JoinedIds:
    """Lists of ids as one array: each is followed by `separator`, which windows do not cross."""

    def __init__(self, texts: Sequence[Sequence[int]], separator: int) -> None:
        pieces = [np.append(np.asarray(text, dtype=np.int64), separator) for text in texts]
        self._ids = np.concatenate([np.empty(0, dtype=np.int64), *pieces])
        self.tokens = len(self._ids)

    def read(self, start: int, count: int) -> Int64[ndarray, " count"]:
        """The ids start .. start + count - 1."""
        return self._ids[start : start + count]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words by falling count, of equal counts the lower id first.

    ids, counts [words]: the token id of each row and how often it occurs. rows [ids]: the row of
    each token id, or DROPPED, or SEPARATOR.
    """

    ids: Int64[ndarray, " words"]
    counts: Int64[ndarray, " words"]
    rows: Int64[ndarray, " ids"]


def count_words(
    sources: Sequence[Ids], vocab_size: int, separator: int, minimum_count: int
) -> Vocabulary:
    """Count the ids of all sources; those that occur `minimum_count` times have vectors.

    Raises InputError for an id outside 0 .. vocab_size - 1 that is not the separator, and where
    fewer than two words are left.
    """
    size = max(vocab_size, separator + 1)
    counts = np.zeros(size, dtype=np.int64)
    for source in sources:
        for start in range(0, source.tokens, BLOCK):
            ids = source.read(start, min(BLOCK, source.tokens - start))
            outside = ids[((ids < 0) | (ids >= vocab_size)) & (ids != separator)]
            if len(outside):
                raise InputError(
                    f"The text holds the id {outside[0]}, outside the vocabulary of {vocab_size}; "
                    "count with the vocabulary of the tokenizer that made the ids."
                )
            counts += np.bincount(ids, minlength=size)
    counts[separator] = 0
    ids = np.flatnonzero(counts >= minimum_count)
    if len(ids) < 2:
        raise InputError(
            f"{len(ids)} of {np.count_nonzero(counts)} different words occur {minimum_count} times "
            "or more, and vectors need two; give more text, or a lower minimum_count."
        )
    ids = ids[np.argsort(-counts[ids], kind="stable")]
    rows = np.full(size, DROPPED, dtype=np.int64)
    rows[ids] = np.arange(len(ids))
    rows[separator] = SEPARATOR
    return Vocabulary(ids, counts[ids], rows)


def keep_probabilities(
    counts: Int64[ndarray, " words"], threshold: float
) -> Float64[ndarray, " words"]:
    """p(keep) = min(1, (sqrt(f / t) + 1) t / f), f a word's share of the text, t the threshold.

    Source: the released word2vec.c. The paper (2013b, section 2.3) prints sqrt(t / f), which keeps
    fewer: at f = 4 t a half instead of three quarters. A threshold of 0 keeps all.
    """
    if not threshold:
        return np.ones(len(counts))
    shares = counts / counts.sum() / threshold
    probabilities: Float64[ndarray, " words"] = np.minimum(1.0, (np.sqrt(shares) + 1) / shares)
    return probabilities
