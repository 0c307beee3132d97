"""Katz backoff: Good-Turing discounts for counts up to 5; what they free goes to the unseen.

    p(w | h)  = d(c(h w)) c(h w) / c(h ·)                        where h w was counted
              = alpha(h) p(w | h')                               where it was not
    d(r)      = (r* / r - A) / (1 - A),   r = 1 .. 5;   1 above,   A = 6 n_6 / n_1
    r*        = (r + 1) n_{r+1} / n_r
    alpha(h)  = (1 - Σ p(w | h)) / (1 - Σ p(w | h')),   both over the w counted after h

n_r: how many n-grams of the order occurred r times. Below order 1 stands 1 / V. Source: Katz 1987,
"Estimation of Probabilities from Sparse Data for the Language Model Component of a Speech
Recognizer"; Chen & Goodman 1998, §2.4.

Departures, so that every context has probabilities above 0 that sum to 1: a history that all of
the vocabulary followed is not discounted, for there is nobody to give to; one whose counts are all
above 5 frees nothing, so it is taken to have been continued once more, by something unseen.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hornbook.models.ngrams.counts import Counts
from hornbook.models.ngrams.estimate import Histories, Step, smooth
from hornbook.models.ngrams.kneser_ney import counts_of_counts
from hornbook.models.ngrams.model import NGram, Rule

Floats = NDArray[np.float64]
Whole = NDArray[np.integer]

HIGHEST = 5
"""The largest count that is discounted."""

FALLBACK_DISCOUNTS = tuple((r - 0.5) / r for r in range(1, HIGHEST + 1))


def katz(counts: Counts) -> NGram:
    """Backoff with Good-Turing discounts."""
    notes: list[str] = []

    def steps() -> Iterator[Step]:
        for order, level in enumerate(counts.levels, 1):
            ratios = good_turing(level.counts)
            if ratios is None:
                notes.append(
                    f"discounts of order {order}: the counts of counts give no Good-Turing "
                    f"discounts between 0 and 1; 0.5 is taken from each count up to {HIGHEST}"
                )
            yield level.counts, partial(_kernel, np.array([0, *(ratios or FALLBACK_DISCOUNTS), 1]))

    return smooth(counts, Rule("katz"), steps(), notes)


def good_turing(counts: Whole) -> tuple[float, ...] | None:
    """d(1) .. d(5) of an order; None unless all lie above 0 and below 1."""
    n = [0, *counts_of_counts(counts, HIGHEST + 1)]
    if not all(n[1:]):
        return None
    common = (HIGHEST + 1) * n[HIGHEST + 1] / n[1]
    if common >= 1:
        return None
    found = tuple(
        ((r + 1) * n[r + 1] / (n[r] * r) - common) / (1 - common) for r in range(1, HIGHEST + 1)
    )
    return found if min(found) > 0 and max(found) < 1 else None


def _kernel(ratios: Floats, histories: Histories) -> tuple[Floats, Floats]:
    """Discounted relative frequencies and alpha. ratios [7]: d by min(c, 6)."""
    counts, owners = histories.counts, histories.owners
    freed = counts * (1 - ratios[np.minimum(counts, HIGHEST + 1)])
    followers = np.bincount(owners, minlength=len(histories.totals))
    full = followers == histories.vocab_size
    freed[full[owners]] = 0
    left = histories.sums(freed)
    once_more = (left == 0) & ~full
    left[once_more] = 1
    totals = histories.totals + once_more
    unseen = np.where(full, 1.0, 1 - histories.sums(histories.lower))
    return (counts - freed) / totals[owners], left / totals / unseen
