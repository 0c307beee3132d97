import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.batches.order import Order, place
from hornbook.batches.permutation import derive
from hornbook.errors import InputError


def together(order, count, at_once):
    parts = [
        order.samples(first, min(at_once, count - first)) for first in range(0, count, at_once)
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def test_any_beginning_and_any_stride_read_the_same_samples():
    order = Order({"code": 100, "docs": 37}, {"code": 0.7, "docs": 0.3}, seed=5, block_rows=16)
    whole = order.samples(0, 900)
    for at_once in (1, 7, 256):
        for column, expected in zip(together(order, 900, at_once), whole, strict=True):
            np.testing.assert_array_equal(column, expected)
    again = Order({"code": 100, "docs": 37}, {"code": 0.7, "docs": 0.3}, seed=5, block_rows=16)
    for column, expected in zip(again.samples(333, 50), whole, strict=True):
        np.testing.assert_array_equal(column, expected[333:383])


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 90), min_size=1),
    st.integers(1, 100),
    st.integers(-5, 2**70),
)
def test_each_epoch_reads_every_row_once(rows, block_rows, seed):
    order = Order(rows, seed=seed, block_rows=block_rows)
    sources, epochs, positions = order.samples(0, 3 * sum(rows.values()))
    for number, source in enumerate(order.sources):
        for epoch in (0, 1):
            read = positions[(sources == number) & (epochs == epoch)]
            assert sorted(read.tolist()) == list(range(rows[source]))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(1, 80), st.integers(0, 2**63))
def test_a_blocks_rows_are_read_together(rows, block_rows, key):
    keys = derive(np.full(rows, key, dtype=np.uint64), 0)
    positions = place(np.arange(rows), rows, block_rows, keys)
    assert sorted(positions.tolist()) == list(range(rows))
    changes = np.count_nonzero(np.diff(positions // block_rows))
    assert changes == -(-rows // block_rows) - 1


def test_the_short_block_may_stand_anywhere():
    """If it always came last, the end of a corpus would always be read last."""
    slots = set()
    for key in range(60):
        positions = place(np.arange(10), 10, 4, np.full(10, key, dtype=np.uint64))
        slots.add(int(np.flatnonzero(positions >= 8)[0]))
    assert slots == {0, 4, 8}


def test_blocks_are_shuffled_differently():
    positions = place(np.arange(400), 400, 100, np.full(400, 3, dtype=np.uint64)).reshape(4, 100)
    within = positions % 100
    for first, second in ((0, 1), (1, 2), (2, 3)):
        assert np.count_nonzero(within[first] == within[second]) < 9  # about 1 by chance


def test_epochs_sources_and_seeds_are_shuffled_differently():
    order = Order({"a": 500, "b": 500}, seed=1)
    sources, epochs, positions = order.samples(0, 2000)
    a0, a1 = (positions[(sources == 0) & (epochs == epoch)] for epoch in (0, 1))
    b0 = positions[(sources == 1) & (epochs == 0)]
    other = Order({"a": 500, "b": 500}, seed=2).samples(0, 1000)
    c0 = other[2][other[0] == 0]
    for first, second in ((a0, a1), (a0, b0), (a0, c0), (a0, np.arange(500))):
        assert np.count_nonzero(first == second) < 12  # about 1 by chance


def test_a_source_is_shuffled_the_same_whatever_stands_beside_it():
    alone = Order({"docs": 50}, seed=1).samples(0, 50)[2]
    sources, _, positions = Order({"code": 70, "docs": 50}, seed=1).samples(0, 120)
    np.testing.assert_array_equal(positions[sources == 1][:50], alone)


def test_counts_follow_the_weights_at_every_sample():
    order = Order({"a": 10, "b": 20, "c": 30}, {"a": 0.2, "b": 0.5, "c": 0.3})
    sources, _, _ = order.samples(0, 1000)
    had = np.cumsum(sources[:, None] == np.arange(3), axis=0)
    ideal = np.arange(1, 1001)[:, None] * np.array([0.2, 0.5, 0.3])
    assert np.abs(had - ideal).max() <= 0.75 + 1e-9
    assert order.epochs_after(1000) == {"a": 20.0, "b": 25.0, "c": 10.0}


def test_a_capped_source_leaves_and_the_others_share_on():
    order = Order({"a": 10, "b": 100, "c": 100}, {"a": 2, "b": 1, "c": 1}, caps={"a": 2})
    sources, epochs, _ = order.samples(0, 240)
    given_by_a = np.flatnonzero(sources == 0)
    assert len(given_by_a) == 20
    assert epochs[given_by_a].max() == 1
    last = given_by_a[-1]
    assert 36 <= last < 40  # half of all samples until then
    rest = np.cumsum(sources[last + 1 :] == 1) - np.arange(1, 240 - last) / 2
    assert np.abs(rest).max() <= 1
    assert order.samples_in_all is None
    assert order.epochs_after(240)["a"] == 2.0
    resumed = order.samples(30, 20)
    np.testing.assert_array_equal(resumed[0], sources[30:50])


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(1, 20), st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=4
    )
)
def test_where_all_are_capped_the_data_ends_with_every_row_read(sources):
    names = "abcd"[: len(sources)]
    rows, weights, caps = (
        dict(zip(names, column, strict=True)) for column in zip(*sources, strict=True)
    )
    order = Order(rows, weights, caps=caps)
    total = sum(rows[name] * caps[name] for name in names)
    assert order.samples_in_all == total
    number, epoch, position = order.samples(0, total)
    read = sorted(zip(number.tolist(), epoch.tolist(), position.tolist(), strict=True))
    expected = [
        (i, e, p)
        for i, name in enumerate(names)
        for e in range(caps[name])
        for p in range(rows[name])
    ]
    assert read == expected
    with pytest.raises(InputError, match=f"end the data after {total} samples"):
        order.samples(total, 1)


def test_a_billion_rows_need_no_memory():
    order = Order({"web": 10**9, "books": 3 * 10**8}, {"web": 0.9, "books": 0.1})
    sources, epochs, positions = order.samples(5 * 10**9, 4)
    assert (positions < 10**9).all()
    assert epochs.max() >= 1
    assert order.epochs_after(5 * 10**9)["web"] == 4.5
    assert len(sources) == 4


def test_the_order_of_a_recipe_never_changes():
    """Runs that were begun must go on with the data they would have read."""
    order = Order({"code": 1000, "docs": 300}, {"code": 0.7, "docs": 0.3}, seed=1234, block_rows=64)
    sources, epochs, positions = order.samples(1000, 12)
    assert (sources.tolist(), epochs.tolist(), positions.tolist()) == GOLDEN


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "no source of text"),
        (({"a": 0}, {"a": 1}), "'a' has no whole row"),
        (({"a": 5}, {"a": 1}, 0, 4, {"a": 0}), "cap below 1"),
    ],
)
def test_bad_input_is_said_in_one_sentence(arguments, message):
    with pytest.raises(InputError, match=message):
        Order(*arguments)


GOLDEN = (
    [0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1],
    [0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1],
    [688, 24, 650, 649, 652, 11, 656, 641, 52, 678, 675, 42],
)
