"""Wrong words to learn from, drawn in proportion to a power of their counts."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray


@dataclass(frozen=True, eq=False)
class Noise:
    """p(word) = count^power / Σ count^power, drawn in constant time by Walker's alias method.

    Cut [0, words) into unit cells. Cell i holds word i up to accept[i], and word other[i] above it;
    a number drawn evenly from [0, words) lands in one of them. Exact, where the released code walks
    a table of 10^8 entries. Sources: Mikolov et al. 2013b, section 2.2 (power 3/4); Walker 1977.
    """

    accept: Float64[ndarray, " words"]
    other: Int64[ndarray, " words"]

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Int64[ndarray, "..."]:
        """Rows of words [shape]."""
        places = generator.random(shape) * len(self.accept)
        cells = places.astype(np.int64)
        return np.where(places - cells < self.accept[cells], cells, self.other[cells])


def noise_of(counts: Int64[ndarray, " words"], power: float) -> Noise:
    """Fill the cells: what a word has too little is taken from one that has too much."""
    weights = counts.astype(np.float64) ** power
    left = weights * (len(counts) / weights.sum())
    accept, other = np.ones(len(counts)), np.arange(len(counts))
    small, large = list(np.flatnonzero(left < 1)), list(np.flatnonzero(left >= 1))
    while small and large:
        cell, giver = small.pop(), large[-1]
        accept[cell], other[cell] = left[cell], giver
        left[giver] -= 1 - left[cell]
        if left[giver] < 1:
            small.append(large.pop())
    return Noise(accept, other)
