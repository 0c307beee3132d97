import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.batches.mixture import LARGEST_PATTERN, resolve_weights, spread, whole_weights
from hornbook.errors import InputError


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6))
def test_every_prefix_is_within_tijdemans_bound(counts):
    pattern, length, sources = spread(counts), sum(counts), len(counts)
    assert np.bincount(pattern, minlength=sources).tolist() == counts
    had = np.cumsum(pattern[:, None] == np.arange(sources), axis=0)
    ideal = np.arange(1, length + 1)[:, None] * np.array(counts) / length
    bound = 1 - 1 / (2 * sources - 2) if sources > 1 else 0
    assert np.abs(had - ideal).max() <= bound + 1e-9


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1], (1,)),
        ([0.7, 0.3], (7, 3)),
        ([0.5, 0.25, 0.25], (2, 1, 1)),
        ([1 / 3, 2 / 3], (1, 2)),
        ([3, 9], (1, 3)),
        ([0.1, 0.2, 0.7], (1, 2, 7)),
        ([0.123, 0.877], (123, 877)),
    ],
)
def test_weights_become_the_smallest_whole_numbers(weights, expected):
    assert whole_weights(weights) == expected


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=5))
def test_awkward_weights_are_met_to_one_slot(weights):
    counts = np.array(whole_weights(weights))
    shares = np.array(weights) / sum(weights)
    assert counts.sum() <= LARGEST_PATTERN
    assert np.abs(counts - shares * counts.sum()).max() < 1


def test_a_weight_below_one_slot_is_refused():
    with pytest.raises(InputError, match="raise it or set it to 0"):
        whole_weights([1e-6, 1 / 3])


def test_absent_sources_leave_and_nobody_is_left_out_silently():
    rows = {"code": 30, "novel": 10}
    assert resolve_weights(rows, {}) == {"code": 0.75, "novel": 0.25}
    assert resolve_weights(rows, {"docs": 0.5}) == {"code": 0.75, "novel": 0.25}
    assert resolve_weights(rows, {"code": 1, "novel": 1, "docs": 8}) == {"code": 0.5, "novel": 0.5}
    assert resolve_weights(rows, {"code": 3, "novel": 0}) == {"code": 1.0}
    with pytest.raises(InputError, match="'novel' has no weight while 'code' have one"):
        resolve_weights(rows, {"code": 1})
    with pytest.raises(InputError, match="every weight is 0"):
        resolve_weights(rows, {"code": 0, "novel": 0})
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="give 0 or more"):
            resolve_weights(rows, {"code": wrong, "novel": 1})
