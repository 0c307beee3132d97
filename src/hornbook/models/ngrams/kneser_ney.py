"""Kneser-Ney smoothing, interpolated: with one discount an order, and modified, with three.

    p_m(w | h) = (c(h w) - D(c(h w))) / c(h ·)  +  gamma(h) p_{m-1}(w | h')     h' = h[1:]
    gamma(h)   = (D_1 N_1(h ·) + D_2 N_2(h ·) + D_3 N_3+(h ·)) / c(h ·)         p_0 = 1 / V

c is the plain count at the highest order; below it, the number of different tokens seen before the
n-gram (the start of a piece of text counts as one more). n_j of an order is how many of its n-grams
have c = j, N_j(h ·) how many of those continue h.

    one discount:  D = n_1 / (n_1 + 2 n_2)
    modified:      D_j = j - (j + 1) Y n_{j+1} / n_j,   Y = n_1 / (n_1 + 2 n_2),   j = 1, 2, 3+

Source: Kneser & Ney 1995, "Improved backing-off for m-gram language modeling"; Chen & Goodman 1998,
§2.7 and §3 (interpolation, three discounts).
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hornbook.models.ngrams.counts import Counts
from hornbook.models.ngrams.estimate import Histories, Step, smooth
from hornbook.models.ngrams.model import NGram, Rule

Floats = NDArray[np.float64]
Whole = NDArray[np.integer]
Discounts = tuple[float, float, float]

FALLBACK_DISCOUNT = (0.75, 0.75, 0.75)
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


def modified_kneser_ney(counts: Counts) -> NGram:
    """Three discounts an order, by counts of 1, 2, and 3 or more."""
    return _interpolated(counts, "modified_kneser_ney", estimate_discounts, FALLBACK_DISCOUNTS)


def kneser_ney(counts: Counts) -> NGram:
    """One discount an order."""
    return _interpolated(counts, "kneser_ney", estimate_discount, FALLBACK_DISCOUNT)


def adjusted_counts(counts: Counts, order: int) -> Whole:
    """c of an order: plain at the highest, different tokens before the n-gram below it."""
    return counts.levels[-1].counts if order == counts.order else counts.befores(order)


def estimate_discounts(counts: Whole) -> Discounts | None:
    """D_1, D_2, D_3+ from how many n-grams have c = 1, 2, 3, 4; None where they make no sense."""
    n1, n2, n3, n4 = counts_of_counts(counts, 4)
    if not (n1 and n2 and n3 and n4):
        return None
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if min(found) > 0 else None


def estimate_discount(counts: Whole) -> Discounts | None:
    """D, the same for every count; None where no n-gram has c = 1 or none has 2."""
    n1, n2 = counts_of_counts(counts, 2)
    return (n1 / (n1 + 2 * n2),) * 3 if n1 and n2 else None


def counts_of_counts(counts: Whole, highest: int) -> list[int]:
    """n_1 .. n_highest: how many n-grams occurred that often."""
    return [int(np.count_nonzero(counts == j)) for j in range(1, highest + 1)]


def _interpolated(
    counts: Counts,
    name: str,
    discounts_of: Callable[[Whole], Discounts | None],
    fallback: Discounts,
) -> NGram:
    notes: list[str] = []

    def steps() -> Iterator[Step]:
        for order in range(1, counts.order + 1):
            adjusted = adjusted_counts(counts, order)
            discounts = discounts_of(adjusted)
            if discounts is None:
                notes.append(
                    f"discounts of order {order}: its counts of counts give none above 0; "
                    f"{', '.join(map(str, dict.fromkeys(fallback)))} are used"
                )
            yield adjusted, partial(_kernel, np.array([0.0, *(discounts or fallback)]))

    return smooth(counts, Rule(name), steps(), notes)


def _kernel(discounts: Floats, histories: Histories) -> tuple[Floats, Floats]:
    """Interpolated probabilities; the weight is gamma. discounts [4]: D by min(c, 3)."""
    taken = discounts[np.minimum(histories.counts, 3)]
    gamma = histories.sums(taken) / histories.totals
    kept = (histories.counts - taken) / histories.totals[histories.owners]
    return kept + gamma[histories.owners] * histories.lower, gamma
