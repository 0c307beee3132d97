"""What is learnt from a chunk of text: which words predict which, as one sparse matrix.

Skip-gram is CBOW whose contexts hold one word. So one form serves both: **rows** that read a few
words, and for each row **entries**, the words it shall tell apart: right ones and wrong ones.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from hornbook.models.vectors.noise import Noise
from hornbook.models.vectors.spec import VectorSpec
from hornbook.models.vectors.vocabulary import SEPARATOR

Ints = Int64[ndarray, "..."]
DIGIT = 16


@dataclass(frozen=True, eq=False)
class Grouped:
    """Things sorted by their word.

    words [distinct], ascending; order [things]: the things of words[0], then those of words[1], …;
    starts [distinct]: where each word's begin in `order`.
    """

    words: Ints
    order: Ints
    starts: Ints


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows that read words, and the words that they predict: a sparse matrix of rows by words.

    read [reads]: words, row after row; read_starts [rows], read_rows [reads]. targets [entries]:
    words, ascending and each once in a row, row after row; target_starts [rows + 1]; entry_rows
    [entries]. right, times [entries]: how often the row's word was the right one, and how often it
    was there at all. The two groupings say which words' vectors change.
    """

    read: Ints
    read_starts: Ints
    read_rows: Ints
    targets: Ints
    target_starts: Ints
    entry_rows: Ints
    right: Ints
    times: Ints
    by_target: Grouped
    by_read: Grouped


def order_by(words: Ints) -> Ints:
    """The places [things] of words in ascending order, equal words in theirs; words are >= 0.

    Sixteen bits at a time from the lowest: numpy sorts those by counting, ten times as fast.
    """
    order = np.argsort(words.astype(np.uint16), kind="stable")
    higher = words >> DIGIT
    while higher.any():
        order = order[np.argsort(higher[order].astype(np.uint16), kind="stable")]
        higher = higher >> DIGIT
    return order


def group(words: Ints) -> Grouped:
    """Sort things by word, equal words in their order."""
    order = order_by(words)
    ordered = words[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    return Grouped(ordered[first], order, first)


def near_pairs(
    words: Ints, texts: Ints, window: int, generator: np.random.Generator
) -> tuple[Ints, Ints]:
    """Places (centre, near) [pairs] of words near each other in the same text, centre by centre.

    Each centre reaches 1 .. window places to both sides, drawn evenly, so that a word at distance
    j is near with probability (window - j + 1) / window. Source: 2013a, section 3.2.
    """
    reach = generator.integers(1, window + 1, len(words))
    steps = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
    places = np.arange(len(words))[:, None] + steps
    inside = (places >= 0) & (places < len(words)) & (np.abs(steps) <= reach[:, None])
    centres, columns = np.nonzero(inside)
    near = places[centres, columns]
    same = texts[centres] == texts[near]
    return centres[same], near[same]


def thinned(
    rows: Ints, keep: Float64[ndarray, " words"], generator: np.random.Generator
) -> tuple[Ints, Ints]:
    """The words of a chunk that stay, and the number of the text each stands in.

    Words go before windows are formed, so that windows then reach further (2013b, section 2.3).
    """
    texts = np.cumsum(rows == SEPARATOR)
    draws = generator.random(len(rows))
    stay = np.flatnonzero((rows >= 0) & (draws < keep[rows]))
    return rows[stay], texts[stay]


def skip_gram_rows(words: Ints, centres: Ints, near: Ints) -> tuple[Ints, Ints, Ints]:
    """One row for each word that is read, predicting every centre that it stands near."""
    found = group(words[near])
    rows_of_pairs = np.repeat(np.arange(len(found.words)), _lengths(found.starts, len(near)))
    return (
        found.words,
        np.arange(len(found.words)),
        np.stack([rows_of_pairs, words[centres[found.order]]]),
    )


def cbow_rows(words: Ints, centres: Ints, near: Ints) -> tuple[Ints, Ints, Ints]:
    """One row for each centre, reading all words near it."""
    starts = np.flatnonzero(np.diff(centres, prepend=-1))
    rows = np.arange(len(starts))
    return words[near], starts, np.stack([rows, words[centres[starts]]])


ROWS: Mapping[str, Callable[[Ints, Ints, Ints], tuple[Ints, Ints, Ints]]] = {
    "skip_gram": skip_gram_rows,
    "cbow": cbow_rows,
}
"""From words and near pairs: read, read_starts, and the right predictions (row, word) by row."""


def make_examples(
    spec: VectorSpec,
    words: Ints,
    texts: Ints,
    noise: Noise,
    generator: np.random.Generator,
    width: int,
) -> Iterator[Examples]:
    """The examples of each `width` words of a chunk: pairs, and wrong words for each right one.

    A wrong word that is the right one by chance is left out, as in the released code.
    """
    centres, near = near_pairs(words, texts, spec.window, generator)
    borders = np.searchsorted(centres, np.arange(0, len(words) + width, width))
    for start, end in pairwise(borders.tolist()):
        if start == end:
            continue
        pairs = centres[start:end], near[start:end]
        read, read_starts, (rows, right) = ROWS[spec.architecture](words, *pairs)
        wrong = noise.draw(generator, (len(right), spec.negatives))
        yield examples_of(read, read_starts, rows, right, wrong)


def examples_of(
    read: Ints, read_starts: Ints, rows: Ints, right: Ints, wrong: Int64[ndarray, "right negatives"]
) -> Examples:
    """Put rows and predictions in the form that the step reads."""
    targets = np.concatenate([right[:, None], wrong], axis=1)
    stays = np.ones(targets.shape, dtype=bool)
    stays[:, 1:] = wrong != right[:, None]
    targets = targets[stays]
    counts = stays.sum(axis=1)
    each_row, is_right = np.repeat(rows, counts), np.zeros(len(targets), dtype=np.int64)
    is_right[np.cumsum(counts) - counts] = 1
    order = order_by(targets)
    order = order[order_by(each_row[order])]
    sorted_targets, sorted_rows = targets[order], each_row[order]
    new = (np.diff(sorted_targets, prepend=-1) != 0) | (np.diff(sorted_rows, prepend=-1) != 0)
    first = np.flatnonzero(new)
    found, entry_rows = sorted_targets[first], sorted_rows[first]
    n_rows = len(read_starts)
    return Examples(
        read=read,
        read_starts=read_starts,
        read_rows=np.repeat(np.arange(n_rows), _lengths(read_starts, len(read))),
        targets=found,
        target_starts=np.searchsorted(entry_rows, np.arange(n_rows + 1)),
        entry_rows=entry_rows,
        right=np.add.reduceat(is_right[order], first) if len(first) else first,
        times=_lengths(first, len(targets)),
        by_target=group(found),
        by_read=group(read),
    )


def _lengths(starts: Ints, total: int) -> Ints:
    """How many things each start has, up to the next."""
    return np.diff(starts, append=total)
