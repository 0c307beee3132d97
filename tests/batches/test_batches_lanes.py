"""Lanes: every lane reads its own stretch of the text in order, and all begin anew together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hornbook.batches.lanes import Lanes
from hornbook.errors import InputError

ROWS = {"first": 5, "second": 9}


def named(lanes: Lanes, numbers: range) -> list[tuple[str, int]]:
    source, _, position = lanes.samples(numbers.start, len(numbers))
    return [(lanes.sources[s], int(p)) for s, p in zip(source, position, strict=True)]


def test_each_lane_goes_on_where_it_was():
    lanes = Lanes(ROWS, 3)  # 14 rows: 4 a lane, 2 left out
    text = [("first", n) for n in range(5)] + [("second", n) for n in range(9)]
    for lane in range(3):
        own = [named(lanes, range(step * 3 + lane, step * 3 + lane + 1))[0] for step in range(4)]
        assert own == text[lane * 4 : lane * 4 + 4]


def test_an_epoch_begins_all_lanes_anew():
    lanes = Lanes(ROWS, 3)
    assert named(lanes, range(12, 24)) == named(lanes, range(12))
    numbers = np.arange(24)
    assert np.flatnonzero(lanes.begins(numbers)).tolist() == [0, 1, 2, 12, 13, 14]
    assert lanes.samples(0, 24)[1].tolist() == [0] * 12 + [1] * 12
    assert lanes.epochs_after(18) == {"first": 1.5, "second": 1.5}


@given(
    rows=st.lists(st.integers(0, 20), min_size=1, max_size=4).filter(lambda own: sum(own) > 6),
    lanes=st.integers(1, 6),
)
def test_an_epoch_reads_no_row_twice(rows, lanes):
    order = Lanes({str(n): own for n, own in enumerate(rows)}, lanes)
    read = named(order, range(lanes * order.length))
    assert len(set(read)) == len(read) >= sum(rows) - lanes + 1
    assert all(0 <= row < rows[int(source)] for source, row in read)


def test_more_lanes_than_rows_are_refused():
    with pytest.raises(InputError, match="14 rows do not fill 15 lanes"):
        Lanes(ROWS, 15)
