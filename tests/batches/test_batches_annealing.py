"""Weights that move, with caps: against a simulation that takes one sample after another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.batches.mixture import annealed, spread, whole_weights
from hornbook.batches.order import Order
from hornbook.errors import InputError


def test_weights_move_in_equal_stretches_and_end_with_the_final_ones():
    found = annealed({"a": 1.0}, {"b": 0.75, "a": 0.25}, 100, 160, 3)
    assert [first for first, _ in found] == [0, 100, 120, 140]
    assert found[0][1] == {"a": 1.0, "b": 0.0}
    for (_, weights), a in zip(found[1:], (0.75, 0.5, 0.25), strict=True):
        assert weights == {"a": pytest.approx(a), "b": pytest.approx(1 - a)}
    assert found[-1][1] == {"a": 0.25, "b": 0.75}


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 50), st.integers(0, 60), st.integers(1, 20))
def test_stretches_are_equal_but_for_rounding_and_none_is_empty(first, more, count):
    firsts = [f for f, _ in annealed({"a": 1.0}, {"a": 0.5, "b": 0.5}, first, first + more, count)]
    assert firsts == sorted(set(firsts))
    assert firsts[0] == 0
    sizes = np.diff([*[f for f in firsts if f >= first], first + more])
    assert len(firsts) == min(count, max(more, 1)) + (first > 0)
    assert np.ptp(sizes) <= 1


def simulated(rows, stretches, caps, samples):
    """Sources of samples: in each phase a pattern of its own, taken slot by slot from its start."""
    given, sources, names = dict.fromkeys(rows, 0), [], list(rows)
    pattern, slot, active = [], 0, None
    for sample in range(samples):
        number = sum(first <= sample for first, _ in stretches) - 1
        weights = stretches[number][1]
        now = [
            name
            for name in names
            if weights.get(name, 0) > 0 and given[name] < caps.get(name, np.inf) * rows[name]
        ]
        if not now:
            return sources
        if active != (now, number):
            active, slot = (now, number), 0
            pattern = spread(whole_weights([weights[name] for name in now]))
        name = now[pattern[slot % len(pattern)]]
        slot += 1
        given[name] += 1
        sources.append(name)
    return sources


WEIGHTS = st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.integers(1, 12), min_size=3, max_size=3),
    WEIGHTS,
    WEIGHTS,
    st.tuples(st.integers(0, 40), st.integers(1, 60), st.integers(1, 6)),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 3)),
    st.integers(0, 99),
)
def test_annealing_and_caps_against_a_simulation(counts, start, final, place, caps, resume_at):
    rows = dict(zip("abc", counts, strict=True))
    first, more, number = place
    shares = [
        {name: w / sum(weights) for name, w in zip("abc", weights, strict=True) if w}
        for weights in (start, final)
    ]
    stretches = annealed(*shares, first, first + more, number)
    used = {name: c for name, c in rows.items() if name in shares[0] or name in shares[1]}
    order = Order(
        rows, shares[0] | dict.fromkeys(set(rows) - set(shares[0]), 0), 3, 8, caps, stretches
    )
    assert order.sources == tuple(
        name for name in used if any(mixed.get(name, 0) > 0 for _, mixed in stretches)
    )
    expected = simulated(used, stretches, caps, 100)
    if len(expected) < 100:
        assert order.samples_in_all == len(expected)
        with pytest.raises(InputError, match=f"end the data after {len(expected)} samples"):
            order.require(100)
    source, epoch, position = order.samples(0, len(expected))
    assert [order.sources[s] for s in source] == expected
    given = {name: expected.count(name) / rows[name] for name in order.sources}
    assert order.epochs_after(len(expected)) == pytest.approx(given)
    for name in order.sources:
        here = source == order.sources.index(name)
        numbers = np.arange(here.sum())
        assert (epoch[here] == numbers // rows[name]).all()  # caps and stretches do not skip rows
        for one in np.unique(epoch[here]):
            read = position[here & (epoch == one)]
            assert len(set(read.tolist())) == len(read)
    begin = min(resume_at, len(expected))
    again = order.samples(begin, len(expected) - begin)
    for column, whole in zip(again, (source, epoch, position), strict=True):
        np.testing.assert_array_equal(column, whole[begin:])


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(lambda w: sum(w[:2]) > 0),
    st.integers(1, 8),
)
def test_every_prefix_of_a_stretch_is_within_tijdemans_bound(start, final, number):
    names = "abcd"[: len(start)]
    shares = [
        {name: w / sum(weights[: len(names)]) for name, w in zip(names, weights, strict=False)}
        for weights in (start, final)
    ]
    stretches = annealed(*shares, 37, 437, number)
    order = Order(dict.fromkeys(names, 50), shares[0], stretches=stretches)
    source, _, _ = order.samples(0, 500)
    firsts = [first for first, _ in stretches]
    for first, end, (_, mixed) in zip(firsts, [*firsts[1:], 500], stretches, strict=True):
        had = np.cumsum(source[first:end, None] == np.arange(len(names)), axis=0)
        weights = np.array([mixed[name] for name in names])
        ideal = np.arange(1, end - first + 1)[:, None] * weights
        slack = (end - first) / 16_384  # the weights themselves are met to one slot
        assert np.abs(had - ideal).max() <= 1 - 1 / (2 * len(names) - 2) + slack + 1e-9


def test_a_source_may_come_in_late_and_another_leave():
    order = Order(
        {"web": 50, "books": 20},
        {"web": 1, "books": 0},
        stretches=annealed({"web": 1.0}, {"books": 1.0}, 40, 60, 4),
    )
    assert order.sources == ("web", "books")
    source, _, _ = order.samples(0, 100)
    assert (source[:40] == 0).all()
    assert [(source[a : a + 5] == 1).sum() for a in (40, 45, 50, 55)] == [1, 2, 4, 5]
    assert (source[60:] == 1).all()


def test_the_end_of_data_is_known_before_the_first_sample():
    order = Order({"web": 10, "books": 4}, {"web": 1, "books": 1}, caps={"web": 1, "books": 1})
    order.require(14)
    with pytest.raises(InputError, match="sample 14 was asked for"):
        order.require(15)


@settings(deadline=None, max_examples=120)
@given(
    counts=st.lists(st.integers(1, 9), min_size=3, max_size=3),
    before=WEIGHTS,
    after=WEIGHTS,
    first=st.integers(1, 40),
    epoch=st.integers(0, 3),
    cap=st.none() | st.integers(1, 3),
)
def test_epochs_end_where_every_row_was_read(counts, before, after, first, epoch, cap):
    rows = dict(zip("abc", counts, strict=True))
    shares = [
        dict(zip("abc", (w / sum(each) for w in each), strict=True)) for each in (before, after)
    ]
    caps = {} if cap is None else dict.fromkeys("abc", cap)
    order = Order(rows, shares[0], caps=caps, stretches=[(first, shares[1])])
    found = dict(zip(order.sources, order.epoch_ends(epoch), strict=True))
    last = 3000 if order.samples_in_all is None else min(3000, order.samples_in_all)
    which, epochs, _ = order.samples(0, last)
    for number, (source, (end, read)) in enumerate(found.items()):
        samples = np.flatnonzero((which == number) & (epochs == epoch))
        assert read == len(samples)
        if read == rows[source]:
            assert samples[-1] == end - 1
        assert not (samples >= end).any()
