"""Learning-rate schedules: pure functions from the number of an update to a factor.

`step` counts finished updates from 0, so the first update has t = step + 1 = 1 and its factor is
above 0. With w warm-up updates and T in all:

    t <= w       t / w
    t > w        shape((t - w) / (T - w)), from 1 down to `floor` at t = T, and `floor` after

Source: Goyal et al. 2017, section 2.2 (warm-up); Loshchilov and Hutter 2017, equation 5 (cosine).
"""

import math
from collections.abc import Callable

Schedule = Callable[[int, int, int, float], float]


def cosine(step: int, total: int, warmup: int, floor: float) -> float:
    """Half a cosine: floor + (1 - floor) (1 + cos pi x) / 2."""
    x = _progress(step, total, warmup)
    return _warm(step, warmup, floor + (1 - floor) * (1 + math.cos(math.pi * x)) / 2)


def linear(step: int, total: int, warmup: int, floor: float) -> float:
    """A straight line: floor + (1 - floor) (1 - x), which ends at the floor exactly."""
    return _warm(step, warmup, floor + (1 - floor) * (1 - _progress(step, total, warmup)))


def constant(step: int, total: int, warmup: int, floor: float) -> float:
    """1 after the warm-up; `total` and `floor` do not matter."""
    return _warm(step, warmup, 1.0)


SCHEDULES: dict[str, Schedule] = {"cosine": cosine, "linear": linear, "constant": constant}


def _progress(step: int, total: int, warmup: int) -> float:
    """The share of the decay that is done, 0 at the end of warm-up, 1 from `total` on."""
    return min(1.0, max(0.0, (step + 1 - warmup) / max(1, total - warmup)))


def _warm(step: int, warmup: int, factor: float) -> float:
    """The ramp during warm-up, `factor` after it."""
    return (step + 1) / warmup if step < warmup else factor
