"""Relative frequencies: maximum likelihood, and stupid backoff.

    maximum likelihood   p(w | h) = c(h w) / c(h ·)
    stupid backoff       S(w | h) = c(h w) / c(h ·)  where that was counted,  0.4 S(w | h')  else

c(h ·) is the sum over what followed h, so that a history's last occurrence, at the end of a text,
does not count. Maximum likelihood gives nothing after a context that nothing followed. The scores S
do not sum to 1; they only rank. A token never counted scores 0 with both.

Source: Brants et al. 2007, "Large Language Models in Machine Translation", §4, for stupid backoff.
Departure: they divide by the history's own count.
"""

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hornbook.models.ngrams.counts import Counts
from hornbook.models.ngrams.estimate import Histories, Step, smooth
from hornbook.models.ngrams.model import NGram, Rule

Floats = NDArray[np.float64]

BACKOFF = 0.4


def maximum_likelihood(counts: Counts) -> NGram:
    """How often, of all times: no probability for the unseen, none at all after the unseen."""
    steps = ((level.counts, partial(_kernel, 0.0)) for level in counts.levels)
    return smooth(counts, Rule("maximum_likelihood", unseen=math.nan), steps)


def stupid_backoff(counts: Counts) -> NGram:
    """Relative frequencies of the longest history that fits, 0.4 for each token given up."""

    def steps() -> Iterator[Step]:
        for order, level in enumerate(counts.levels, 1):
            yield level.counts, partial(_kernel, BACKOFF if order > 1 else 0.0)

    rule = Rule("stupid_backoff", unseen=BACKOFF, is_normalised=False)
    return smooth(counts, rule, steps())


def _kernel(weight: float, histories: Histories) -> tuple[Floats, Floats]:
    p = histories.counts / histories.totals[histories.owners]
    return p, np.full(len(histories.totals), weight)
