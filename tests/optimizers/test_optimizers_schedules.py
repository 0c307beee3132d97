"""The learning rate's factor at the steps where schedules go wrong."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.optimizers.schedules import SCHEDULES

W, T, FLOOR = 10, 110, 0.1
HALF_WAY = (W + T) // 2


@pytest.mark.parametrize(
    ("name", "after_warmup", "half_way", "last"),
    [
        ("cosine", FLOOR + 0.9 * (1 + math.cos(math.pi / 100)) / 2, 0.55, FLOOR),
        ("linear", 1 - 0.9 / 100, 0.55, FLOOR),
        ("constant", 1.0, 1.0, 1.0),
    ],
)
def test_table(name, after_warmup, half_way, last):
    """t = 1, 2, w, w + 1, the middle, T, T + 1 and far beyond; step is t - 1."""
    expected = {
        1: 1 / W,
        2: 2 / W,
        W: 1.0,
        W + 1: after_warmup,
        HALF_WAY: half_way,
        T: last,
        T + 1: last,
        10 * T: last,
    }
    found = {t: SCHEDULES[name](t - 1, T, W, FLOOR) for t in expected}
    assert found == pytest.approx(expected, rel=1e-12)


@settings(deadline=None, max_examples=200)
@given(
    name=st.sampled_from(sorted(SCHEDULES)),
    total=st.integers(1, 300),
    warmup=st.integers(0, 400),
    floor=st.floats(0, 1),
    data=st.data(),
)
def test_always_within_its_bounds_and_first_above_zero(name, total, warmup, floor, data):
    step = data.draw(st.integers(0, 500))
    factor = SCHEDULES[name](step, total, warmup, floor)
    assert 0.0 <= factor <= 1.0 + 1e-12
    if total > 1 or floor > 0 or warmup > 0:
        assert SCHEDULES[name](0, total, warmup, floor) > 0
    if step >= warmup:
        assert factor >= floor - 1e-12
        assert SCHEDULES[name](step + 1, total, warmup, floor) <= factor + 1e-12
