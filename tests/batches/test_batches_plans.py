import re
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.batches import plans
from hornbook.batches.packing import best_fit
from hornbook.batches.plans import (
    PackedPlan,
    StreamPlan,
    evaluation_plans,
    evaluation_rows,
    pack,
    training_plans,
)
from hornbook.errors import InputError, StorageError, VersionError


def test_stream_rows_cover_every_target_once(array_of):
    array = array_of(np.arange(53))
    plan = StreamPlan(array, 4)
    assert len(plan) == 13
    rows = plan.rows(np.arange(13))
    np.testing.assert_array_equal(rows.tokens[:, 1:].reshape(-1), np.arange(1, 53))
    np.testing.assert_array_equal(rows.tokens[:, 0], np.arange(0, 52, 4))
    assert rows.tokens.dtype == np.int64
    assert rows.learn.all()
    assert array.gathers == 1
    assert len(StreamPlan(array_of(np.arange(52)), 4)) == 12  # the last target is missing: dropped
    assert len(StreamPlan(array_of(np.arange(5)), 4)) == 1


@settings(deadline=None, max_examples=60)
@given(st.sets(st.integers(1, 59)), st.integers(1, 20), st.data())
def test_document_numbers_against_a_naive_loop(array_of, starts, length, data):
    starts = [0, *sorted(starts)]
    plan = StreamPlan(array_of(np.arange(60), starts), length)
    positions = data.draw(st.lists(st.integers(0, len(plan) - 1), max_size=6))
    rows = plan.rows(np.array(positions, dtype=np.int64))
    for position, documents, places in zip(positions, rows.documents, rows.positions, strict=True):
        first = position * length
        of = [sum(s <= first + t for s in starts) - 1 for t in range(length + 1)]
        assert documents.tolist() == [number - of[0] for number in of]
        begin = [max([s for s in starts if s <= first + t] + [first]) for t in range(length + 1)]
        assert places.tolist() == [first + t - begin[t] for t in range(length + 1)]


def test_less_text_than_one_row_is_said_with_numbers(array_of):
    message = re.escape("Source 'novel' has 8 tokens, and one row of 8 needs 9")
    with pytest.raises(InputError, match=message):
        StreamPlan(array_of(np.arange(8)), 8, "novel")


def item(length, first_learnt=1, start=0):
    return np.arange(start, start + length), np.arange(length) >= first_learnt


def test_packed_rows_hold_whole_items_side_by_side():
    items = [item(6, 3, 10), item(4, 2, 20), item(9, 1, 30), item(3, 1, 60), item(2, 1, 70)]
    plan = pack(items, 9)
    rows = plan.rows(np.arange(len(plan)))
    np.testing.assert_array_equal(
        rows.tokens,
        [
            [30, 31, 32, 33, 34, 35, 36, 37, 38, 0],
            [10, 11, 12, 13, 14, 15, 20, 21, 22, 23],
            [60, 61, 62, 70, 71, 0, 0, 0, 0, 0],
        ],
    )
    np.testing.assert_array_equal(rows.documents[1], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(rows.documents[2], [0, 0, 0, 1, 1, -1, -1, -1, -1, -1])
    np.testing.assert_array_equal(rows.positions[1], [0, 1, 2, 3, 4, 5, 0, 1, 2, 3])
    np.testing.assert_array_equal(rows.learn[1], [0, 0, 0, 1, 1, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(rows.learn[2], [0, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    assert plan.padding_share == pytest.approx(6 / 30)
    assert (plan.cut, plan.dropped) == (0, 0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 25))
def test_packing_loses_nothing_and_learns_nothing_across_items(lengths, length):
    items = [item(size, number % 2, 100 * number) for number, size in enumerate(lengths)]
    kept = [size for size in lengths if size > 1]
    if not kept:
        with pytest.raises(InputError, match="anything to learn"):
            pack(items, length)
        return
    plan = pack(items, length)
    assert plan.cut == sum(size > length + 1 for size in lengths)
    assert plan.dropped == len(lengths) - len(kept)
    rows = plan.rows(np.arange(len(plan)))
    found = []
    for tokens, documents, learn in zip(rows.tokens, rows.documents, rows.learn, strict=True):
        for document in range(documents.max() + 1):
            here = documents == document
            found.append(tuple(tokens[here].tolist()))
            assert learn[here].tolist() == [False] + [True] * (len(found[-1]) - 1)
        assert not learn[documents < 0].any()
    whole = [tuple(ids[: length + 1].tolist()) for ids, _ in items if len(ids) > 1]
    assert sorted(found) == sorted(whole)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=80))
def test_best_fit_against_a_naive_search(lengths):
    rows, free = [], []
    for number in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fits = [(free[r], r) for r in range(len(rows)) if free[r] >= lengths[number]]
        row = min(fits)[1] if fits else len(rows)
        if not fits:
            rows.append([])
            free.append(30)
        rows[row].append(number)
        free[row] -= lengths[number]
    found = best_fit(lengths, 30)

    def spaces(packed):
        return sorted(30 - sum(lengths[i] for i in row) for row in packed)

    assert spaces(found) == spaces(rows)
    assert sorted(i for row in found for i in row) == list(range(len(lengths)))
    assert max(sum(lengths[i] for i in row) for row in found) <= 30


def test_an_answer_cut_off_leaves_nothing_to_learn():
    plan = pack([item(30, 20), item(5)], 9)
    assert (plan.cut, plan.dropped, len(plan)) == (1, 1, 1)


def test_a_plan_is_stored_as_the_same_bytes_and_read_back(tmp_path):
    plan = pack([item(6, 3), item(4, 2), item(9, 1, 70_000)], 9)
    plan.save(tmp_path / "a.npz")
    plan.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert {info.date_time[0] for info in ZipFile(tmp_path / "a.npz").infolist()} == {1980}
    again = PackedPlan.load(tmp_path / "a.npz")
    assert again.fingerprint == plan.fingerprint
    assert (again.length, again.cut, again.dropped) == (9, 0, 0)
    for name in ("tokens", "documents", "learn"):
        first, second = (getattr(p.rows(np.arange(2)), name) for p in (plan, again))
        np.testing.assert_array_equal(first, second)


def test_the_fingerprint_sees_tokens_masks_and_places():
    base = pack([item(6, 3), item(4, 2)], 9)
    others = [pack([item(6, 3), item(4, 2, 1)], 9), pack([item(6, 2), item(4, 2)], 9)]
    others += [pack([item(6, 3), item(4, 2)], 10), pack([item(4, 2), item(6, 3)], 9)]
    prints = [plan.fingerprint for plan in (base, *others)]
    assert len(base.fingerprint) == 32
    assert len(set(prints[:4])) == 4
    assert prints[4] == prints[0]  # longest first, whatever came first


def test_torn_flipped_missing_and_newer_plans_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "plan.npz"
    plan = pack([item(6, 3), item(400, 2)], 999)
    plan.save(path)
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[data.index(b"tokens.npy") + 200] ^= 1
    for bad in (data[:-30], bytes(flipped), b"", b"not a zip file"):
        path.write_bytes(bad)
        with pytest.raises(StorageError, match=r"plan\.npz cannot be read"):
            PackedPlan.load(path)
    with pytest.raises(StorageError, match="missing"):
        PackedPlan.load(tmp_path / "missing")
    monkeypatch.setattr(plans, "PACKED_FORMAT", 2)
    plan.save(path)
    monkeypatch.setattr(plans, "PACKED_FORMAT", 1)
    with pytest.raises(VersionError, match="update Hornbook"):
        PackedPlan.load(path)


@pytest.mark.parametrize(("rows", "count"), [(10, 3), (10, 10), (7, 20), (1, 1), (1000, 64)])
def test_evaluation_rows_are_fixed_distinct_and_even(array_of, rows, count):
    plan = StreamPlan(array_of(np.zeros(rows * 2 + 1)), 2)
    found = evaluation_rows(plan, count)
    count = min(rows, count)
    assert len(set(found.tolist())) == count
    assert found.min() >= 0
    assert found.max() < rows
    gaps = np.diff([-1 - found[0], *found])  # the first gap, mirrored
    assert np.ptp(gaps[1:]) <= 1 if count > 1 else found[0] == rows // 2
    assert abs(found[0] - (rows - 1 - found[-1])) <= 1


def test_held_out_sources_without_a_row_are_passed_over(array_of):
    arrays = {"docs": array_of(np.arange(30)), "tiny": array_of(np.arange(8))}
    assert list(evaluation_plans(arrays, 8)) == ["docs"]
    with pytest.raises(InputError, match="30 tokens in its largest source, and one row of 64"):
        evaluation_plans(arrays, 64)


def test_training_sources_without_a_row_are_passed_over(array_of):
    arrays = {"docs": array_of(np.arange(30)), "tiny": array_of(np.arange(8))}
    assert list(training_plans(arrays, 8)) == ["docs"]
    with pytest.raises(InputError, match=r"training text has 30 tokens.*pretraining.sequence_len"):
        training_plans(arrays, 64)
