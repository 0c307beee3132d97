"""Error bars: how sure a score is, given how few times it was measured."""

import math

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
