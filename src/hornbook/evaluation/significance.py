"""Error bars: how sure a score is, given how few times it was measured."""

import math
import statistics
from collections.abc import Sequence

T_95 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
"""Two-sided 95 % of Student's t with 1, 2, … 9 degrees of freedom."""

Z_95 = 1.959963984540054  # two-sided 95 % of the normal distribution


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Wilson 1927: (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n). Unlike the textbook's
    p ± z·sqrt(p(1-p)/n) it stays within [0, 1] and is honest at 0 and at 1, where one end is 0 or
    1 itself (written so: rounding would miss it). No trials give (0, 1): nothing is known.
    """
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, Z_95**2
    centre = share + z2 / (2 * trials)
    spread = Z_95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    low, high = (centre - spread) / (1 + z2 / trials), (centre + spread) / (1 + z2 / trials)
    return 0.0 if successes == 0 else low, 1.0 if successes == trials else high


def student(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of 2 to 10 measurements and the half-width of its 95 % interval.

    Student 1908: mean ± t s / sqrt(n), s the sample's standard deviation (n - 1 in its
    denominator), t with n - 1 degrees of freedom. One measurement has no interval: NaN.
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan
    spread = statistics.stdev(values) / math.sqrt(len(values))
    return mean, T_95[len(values) - 2] * spread
