"""Add-k smoothing: every continuation is taken to have been seen k times more.

    p(w | h) = (c(h w) + k) / (c(h ·) + k V)

c(h ·) is the sum over what followed h. Unlike the other estimators it never asks a shorter history:
after one never seen, every token has 1 / V. Source: Chen & Goodman 1998, §2.1 (Lidstone 1920;
k = 1: Laplace).
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from hornbook.errors import InputError
from hornbook.models.ngrams.counts import Counts
from hornbook.models.ngrams.estimate import Histories, smooth
from hornbook.models.ngrams.model import NGram, Rule

Floats = NDArray[np.float64]


def additive(counts: Counts, *, add_k: float = 1.0) -> NGram:
    """Add `add_k` to every count.

    Raises:
        InputError: add_k is not above 0.
    """
    if not 0 < add_k < float("inf"):
        raise InputError(f"add_k is {add_k}; what is added to every count must be above 0.")
    steps = ((level.counts, partial(_kernel, add_k)) for level in counts.levels)
    return smooth(counts, Rule("add_k", shorter=False), steps)


def _kernel(k: float, histories: Histories) -> tuple[Floats, Floats]:
    """The weight is the share k V of all that was added; it multiplies 1 / V."""
    added = k * histories.vocab_size
    totals = histories.totals + added
    return (histories.counts + k) / totals[histories.owners], added / totals
