"""What the figures compute before they draw."""

from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from hornbook.reporting.figures import (
    Line,
    apart,
    evaluation,
    finite,
    short_number,
    smoothed,
    thinned,
)
from hornbook.reporting.svg import svg

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300)


@settings(deadline=None, max_examples=40)
@given(values)
def test_smoothing_is_the_mean_of_a_window(ys: list[float]) -> None:
    y = np.array(ys)
    half = max(1, round(0.3 * len(y) / 2))
    slow = [y[max(0, t - half) : t + half + 1].mean() for t in range(len(y))]
    assert smoothed(y, share=0.3) == pytest.approx(np.array(slow), abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(values, st.integers(1, 50))
def test_thinning_keeps_the_mean_of_each_stretch(ys: list[float], points: int) -> None:
    x, y = np.arange(len(ys), dtype=np.float64), np.array(ys)
    thin_x, thin_y = thinned(x, y, points)
    assert len(thin_x) == len(thin_y) == min(points, len(ys))
    assert np.all(np.diff(thin_x) > 0)
    if len(ys) % points == 0:
        assert thin_y.mean() == pytest.approx(y.mean(), abs=1e-5)


def test_only_finite_points_are_drawn() -> None:
    x, y = finite(Line("loss", [1, 2, 3, float("nan")], [5.0, float("inf"), 4.0, 1.0]))
    assert x.tolist() == [1, 3]
    assert y.tolist() == [5.0, 4.0]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=15))
def test_labels_that_fit_do_not_touch(places: list[float]) -> None:
    moved = apart(sorted(places), 0.055)
    assert all(b - a >= 0.055 - 1e-9 for a, b in pairwise(moved))
    assert moved[0] >= -1e-9
    assert moved[-1] <= 1 + 1e-9


def test_labels_with_room_stay_where_they_are() -> None:
    assert apart([0.1, 0.5, 0.9], 0.05) == [0.1, 0.5, 0.9]


@pytest.mark.parametrize(
    ("value", "text"),
    [(950, "950"), (3_276_800, "3.28M"), (1.2e9, "1.2B"), (25_000, "25k"), (0.0008, "0.0008")],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short_number(value) == text


def test_ids_carry_the_figure_s_name() -> None:
    line = Line("code", [0, 1], [3.0, 2.0])
    one, two = (svg(evaluation([line], [], "tokens"), name, "t", "d") for name in ("one", "two"))
    assert 'id="one-title"' in one
    assert one.replace("one-", "two-") == two
