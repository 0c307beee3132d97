"""How samples are shared out among sources: an evenly spread pattern, repeated.

Weights become whole numbers n_i that sum to D, and one pattern of D slots holds source i exactly
n_i times. The slots are chosen by Tijdeman's rule (The chairman assignment problem, 1980), which
keeps every prefix close to its share: after g slots source i has had g n_i / D of them, give or
take at most 1 - 1/(2S - 2) for S > 1 sources, so always less than one. Nothing is drawn at random
and nothing is remembered: slot g of the run is slot g mod D of the pattern.

Weights that move, and sources that leave, divide a run into phases, each with a pattern of its own
that begins anew with the phase: a run's counts are within one sample a phase of their shares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hornbook.errors import InputError

LARGEST_PATTERN = 16_384


def resolve_weights(rows: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, float]:
    """Weights, summing to 1, of the sources that are there: {source: weight > 0}.

    Names of `weights` that are not in `rows` leave the mixture; where none remains, sources count
    by their rows. A weight of 0 leaves a source out.

    Raises:
        InputError: a source without a weight beside sources with one; a weight that is negative or
            not finite; no source at all.
    """
    named = {source: float(weights[source]) for source in rows if source in weights}
    wrong = [source for source, weight in named.items() if not 0 <= weight < float("inf")]
    if wrong:
        raise InputError(f"The weight of source {wrong[0]!r} is {named[wrong[0]]}; give 0 or more.")
    missing = [source for source in rows if source not in weights]
    if named and missing:
        raise InputError(
            f"Source {missing[0]!r} has no weight while {', '.join(map(repr, named))} have one; "
            f"give it a weight (0 leaves it out)."
        )
    chosen = named or {source: float(count) for source, count in rows.items()}
    total = sum(chosen.values())
    if total <= 0:
        raise InputError("No source of text is left: every weight is 0; give one of them more.")
    return {source: weight / total for source, weight in chosen.items() if weight > 0}


def annealed(
    weights: Mapping[str, float], final: Mapping[str, float], first: int, end: int, stretches: int
) -> list[tuple[int, dict[str, float]]]:
    """Stretches of samples (first sample, weights) in which weights move evenly to the final ones.

    The weights stay until sample `first`; from there to sample `end`, stretch k of K has the
    weights (1 - k/K) w + (k/K) final, k = 1 .. K, so the last one has the final weights, and keeps
    them. Stretches are equal but for rounding; one of no sample is left out.
    """
    sources = [*weights, *(source for source in final if source not in weights)]
    found = [(0, {source: weights.get(source, 0.0) for source in sources})]
    for k in range(1, stretches + 1):
        begins = first + (k - 1) * (end - first) // stretches
        part = k / stretches
        mixed = {
            source: (1 - part) * weights.get(source, 0.0) + part * final.get(source, 0.0)
            for source in sources
        }
        if found[-1][0] == begins:
            found.pop()
        found.append((begins, mixed))
    return found


def whole_weights(weights: Sequence[float]) -> tuple[int, ...]:
    """Smallest whole numbers in the proportion of `weights`; their sum is the pattern's length D.

    Exact where some D up to 16,384 is; else D = 16,384 and each share is within 1/D of its weight.

    Raises:
        InputError: a weight so small that its share of 16,384 slots rounds to none.
    """
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    lengths = np.arange(1, LARGEST_PATTERN + 1)
    exact = np.ones(LARGEST_PATTERN, dtype=bool)
    for share in shares:
        exact &= np.abs(share * lengths - np.rint(share * lengths)) < 1e-9 * lengths
    length = int(lengths[np.argmax(exact)]) if exact.any() else LARGEST_PATTERN
    ideal = shares * length
    counts = np.floor(ideal + 1e-6).astype(np.int64)
    behind = np.argsort(counts - ideal, kind="stable")[: length - int(counts.sum())]
    counts[behind] += 1
    if (counts < 1).any():
        raise InputError(
            f"A source's weight is {shares.min():.2g} of the whole, less than one sample in "
            f"{LARGEST_PATTERN}; raise it or set it to 0."
        )
    return tuple(int(count) for count in counts)


def spread(counts: Sequence[int]) -> NDArray[np.int64]:
    """Pattern [D] of source numbers with source i counts[i] times, as even as Tijdeman's rule.

    A slot goes to the source with the earliest deadline among those already owed enough.
    """
    length, sources = sum(counts), len(counts)
    if sources == 1:
        return np.zeros(length, dtype=np.int64)
    unit = 2 * sources - 2  # everything below is a fraction of (unit * length), kept whole
    had = [0] * sources
    pattern = np.empty(length, dtype=np.int64)
    for slot in range(length):
        best, deadline = -1, 0.0
        for source, count in enumerate(counts):
            owed = unit * (count * (slot + 1) - had[source] * length)
            if owed < length:
                continue
            due = ((unit - 1) * length - owed) / count
            if best < 0 or due < deadline:
                best, deadline = source, due
        pattern[slot] = best
        had[best] += 1
    return pattern


@dataclass(frozen=True, eq=False)
class Phase:
    """A stretch of samples during which the same sources take part by the same weights.

    first: number of its first sample; before [S]: samples that each source gave earlier;
    counts [S]: slots of each source in the pattern (0: it takes no part); pattern [D]: source of a
    slot; rank [D]: how many earlier slots of the pattern have the same source.
    """

    first: int
    before: NDArray[np.int64]
    counts: NDArray[np.int64]
    pattern: NDArray[np.int64]
    rank: NDArray[np.int64]

    def locate(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Source [n] of each sample, and how many samples [n] that source gave before it."""
        rounds, slots = np.divmod(numbers - self.first, np.int64(len(self.pattern)))
        sources: NDArray[np.int64] = self.pattern[slots]
        given: NDArray[np.int64] = self.before[sources] + self.rank[slots]
        given += rounds * self.counts[sources]
        return sources, given

    def given(self, samples: int) -> NDArray[np.int64]:
        """How many of the phase's first `samples` samples each source [S] gave."""
        rounds, rest = divmod(samples, len(self.pattern))
        part = np.bincount(self.pattern[:rest], minlength=len(self.counts))
        return rounds * self.counts + part

    def until(self, source: int, needed: int) -> int:
        """After how many of the phase's samples `source` has given `needed` (at least 1) more."""
        rounds = (needed - 1) // int(self.counts[source])
        rank = needed - 1 - rounds * int(self.counts[source])
        slot = np.flatnonzero((self.pattern == source) & (self.rank == rank))[0]
        return rounds * len(self.pattern) + int(slot) + 1


def phases(
    stretches: Sequence[tuple[int, Sequence[float]]], limits: Sequence[int | None]
) -> tuple[list[Phase], int]:
    """The phases of a run, and the number of samples there are in all (-1: no end).

    stretches: (first sample, weights [S]) from sample 0 on, ascending; the last one does not end.
    limits[i]: how many samples source i gives before it leaves (None: it never does); the others
    then share by their weights. Samples end where no source that is left has a weight.
    """
    before = np.zeros(len(limits), dtype=np.int64)
    found: list[Phase] = []
    ends = [first for first, _ in stretches[1:]]
    first = 0
    while True:
        number = int(np.searchsorted(ends, first, side="right"))
        weights = stretches[number][1]
        left = [None if limit is None else limit - int(before[i]) for i, limit in enumerate(limits)]
        active = [i for i, weight in enumerate(weights) if weight > 0 and left[i] != 0]
        if not active:
            return found, first
        phase = _phase(first, before, weights, active)
        found.append(phase)
        lengths = [phase.until(i, needed) for i in active if (needed := left[i]) is not None]
        lengths += [end - first for end in ends[number : number + 1]]
        if not lengths:
            return found, -1
        before = before + phase.given(min(lengths))
        first += min(lengths)


def _phase(
    first: int, before: NDArray[np.int64], weights: Sequence[float], active: Sequence[int]
) -> Phase:
    """The phase that begins at sample `first`, in which the active sources share."""
    counts = np.zeros(len(weights), dtype=np.int64)
    counts[active] = whole_weights([weights[i] for i in active])
    pattern = np.asarray(active)[spread([int(counts[i]) for i in active])]
    return Phase(first, before, counts, pattern, _ranks(pattern, len(weights)))


def _ranks(pattern: NDArray[np.int64], sources: int) -> NDArray[np.int64]:
    """For each slot [D], how many earlier slots hold the same source."""
    rank = np.empty(len(pattern), dtype=np.int64)
    for source in range(sources):
        slots = pattern == source
        rank[slots] = np.arange(np.count_nonzero(slots))
    return rank
