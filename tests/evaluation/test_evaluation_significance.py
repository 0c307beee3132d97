"""Student's intervals hold what they say, for every number of measurements they are known for."""

import math

import numpy as np
import pytest

from hornbook.evaluation.significance import T_95, student


def density(t, degrees):
    """Student's density, from its definition."""
    scale = math.gamma((degrees + 1) / 2) / math.gamma(degrees / 2) / math.sqrt(degrees * math.pi)
    return scale * (1 + t**2 / degrees) ** (-(degrees + 1) / 2)


@pytest.mark.parametrize("degrees", range(1, len(T_95) + 1))
def test_quantiles_enclose_95_percent(degrees):
    t = np.linspace(-T_95[degrees - 1], T_95[degrees - 1], 200_001)
    assert np.trapezoid(density(t, degrees), t) == pytest.approx(0.95, abs=1e-5)


def test_an_interval_by_hand():
    mean, half = student([1.0, 2.0, 4.0])
    assert mean == pytest.approx(7 / 3)
    deviation = math.sqrt(((1 - 7 / 3) ** 2 + (2 - 7 / 3) ** 2 + (4 - 7 / 3) ** 2) / 2)
    assert half == pytest.approx(4.3027 * deviation / math.sqrt(3))


def test_intervals_cover_the_mean_as_often_as_they_say():
    """2,000 draws of three: the share that covers lies within 4 standard errors of 0.95."""
    draws = np.random.default_rng(0).normal(5.0, 2.0, (2000, 3))
    covered = [abs(mean - 5.0) <= half for mean, half in map(student, draws.tolist())]
    assert np.mean(covered) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 2000))
