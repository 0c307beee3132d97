import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.batches import whole_documents
from hornbook.batches.cuts import cuts
from hornbook.batches.plans import StreamPlan
from hornbook.batches.whole_documents import (
    POLICIES,
    document_plans,
    make_plan,
    plan_key,
    stored_plan,
)
from hornbook.errors import InputError

DOCUMENTS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


def stored(array_of, lengths):
    """Tokens 100, 101, … in documents of these lengths."""
    starts = np.cumsum([0, *lengths[:-1]])
    return array_of(100 + np.arange(sum(lengths)), starts)


def every_row(plan):
    return plan.rows(np.arange(len(plan)))


def test_a_row_holds_whole_documents_and_a_long_one_is_cut_at_its_own_tokens(array_of):
    array = stored(array_of, [3, 11, 2, 1])
    rows = every_row(make_plan(array, 4, "best_fit"))
    np.testing.assert_array_equal(
        rows.tokens,
        [
            [103, 104, 105, 106, 107],
            [107, 108, 109, 110, 111],
            [100, 101, 102, 0, 0],
            [111, 112, 113, 114, 115],  # the document of one token is in no row
        ],
    )
    np.testing.assert_array_equal(rows.documents[3], [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(rows.documents[2], [0, 0, 0, -1, -1])
    np.testing.assert_array_equal(rows.positions[3], [0, 1, 2, 0, 1])
    np.testing.assert_array_equal(rows.learn[3], [False, True, True, False, True])
    np.testing.assert_array_equal(rows.follows[3], [False, True, True, False, True])
    np.testing.assert_array_equal(rows.learn[2], [False, True, True, False, False])


def test_padded_rows_hold_one_piece_each_in_the_order_of_the_text(array_of):
    rows = every_row(make_plan(stored(array_of, [3, 7, 2]), 4, "padded"))
    np.testing.assert_array_equal(
        rows.tokens,
        [
            [100, 101, 102, 0, 0],
            [103, 104, 105, 106, 107],
            [107, 108, 109, 0, 0],
            [110, 111, 0, 0, 0],
        ],
    )
    np.testing.assert_array_equal((rows.documents >= 0).sum(axis=1), [3, 5, 3, 2])


@pytest.mark.parametrize("policy", POLICIES)
@settings(deadline=None, max_examples=60)
@given(lengths=DOCUMENTS, length=st.integers(1, 25))
def test_every_target_once_and_never_across_documents(array_of, policy, lengths, length):
    array = stored(array_of, lengths)
    plan = make_plan(array, length, policy)
    if all(size == 1 for size in lengths):
        assert len(plan) == 0
        return
    rows = every_row(plan)
    np.testing.assert_array_equal(rows.learn, rows.follows & (np.arange(length + 1) > 0))
    document_of = np.repeat(np.arange(len(lengths)), lengths)
    targets = rows.tokens[rows.learn] - 100
    before = rows.tokens[:, :-1][rows.learn[:, 1:]] - 100
    np.testing.assert_array_equal(before, targets - 1)  # a target follows what stands before it
    np.testing.assert_array_equal(document_of[before], document_of[targets])
    firsts = set(np.cumsum([0, *lengths[:-1]]).tolist())
    assert sorted(targets.tolist()) == [i for i in range(sum(lengths)) if i not in firsts]
    for tokens, documents in zip(rows.tokens, rows.documents, strict=True):
        for number in range(documents.max() + 1):
            piece = tokens[documents == number] - 100
            assert (np.diff(piece) == 1).all()
            assert len(set(document_of[piece])) == 1
        assert (tokens[documents < 0] == 0).all()
    assert array.gathers == 1


@settings(deadline=None, max_examples=60)
@given(lengths=DOCUMENTS, length=st.integers(1, 25), data=st.data())
def test_chosen_rows_are_those_rows(array_of, lengths, length, data):
    plan = make_plan(stored(array_of, [*lengths, 2]), length, "best_fit")
    chosen = data.draw(st.lists(st.integers(0, len(plan) - 1), max_size=5))
    rows, whole = plan.rows(np.array(chosen, dtype=np.int64)), every_row(plan)
    for name in ("tokens", "documents", "learn", "begins"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(whole, name)[chosen])


@pytest.mark.parametrize("policy", ["stream", *POLICIES])
@settings(deadline=None, max_examples=60)
@given(lengths=DOCUMENTS, length=st.integers(1, 25))
def test_cuts_against_a_naive_count(array_of, policy, lengths, length):
    lengths = [length + 1, *lengths]  # so that a row can be filled
    array = stored(array_of, lengths)
    plan = StreamPlan(array, length) if policy == "stream" else make_plan(array, length, policy)
    rows = every_row(plan)
    there = rows.documents >= 0
    seen = [
        set((tokens[here] - 100).tolist()) for tokens, here in zip(rows.tokens, there, strict=True)
    ]
    held = set().union(*seen)
    begins = np.cumsum([0, *lengths[:-1]]).tolist()
    documents = [set(range(b, b + n)) for b, n in zip(begins, lengths, strict=True)]
    cut = [d for d in documents if d & held and not any(d <= row for row in seen)]
    found = cuts(plan)
    assert found.rows == len(rows.tokens)
    assert found.documents == len(lengths)
    assert found.cut == len(cut)
    assert found.needless == sum(len(d) <= length + 1 for d in cut)
    assert found.dropped == sum(lengths) - len(held)
    assert found.padding == (~there).sum()
    assert found.places == there.size
    assert found.targets == rows.learn[:, 1:].sum()
    assert policy == "stream" or found.needless == 0


def test_shares_of_nothing_are_nothing(array_of):
    found = cuts(make_plan(stored(array_of, [1, 1]), 4, "best_fit"))
    assert (found.rows, found.dropped) == (0, 2)
    assert (found.cut_share, found.needless_share, found.padding_share) == (0, 0, 0)


def test_best_fit_wastes_less_than_padding(array_of):
    lengths = np.random.default_rng(0).integers(2, 60, 500).tolist()
    array = stored(array_of, lengths)
    shares = {policy: cuts(make_plan(array, 64, policy)).padding_share for policy in POLICIES}
    assert shares["best_fit"] < 0.05
    assert shares["padded"] > 0.4


def bytes_of(plan, path):
    plan.save(path, "key")
    return path.read_bytes()


def test_a_plan_is_made_once_stored_as_the_same_bytes_and_read_back(
    array_of, tmp_path, monkeypatch
):
    array, path = stored(array_of, [3, 30, 2, 8]), tmp_path / "plan.npz"
    made = stored_plan(array, 6, "best_fit", path)
    first = path.read_bytes()
    monkeypatch.setattr(whole_documents, "make_plan", None)  # it is not made again
    again = stored_plan(array, 6, "best_fit", path)
    assert bytes_of(made, tmp_path / "a") == bytes_of(again, tmp_path / "b")
    assert path.read_bytes() == first
    np.testing.assert_array_equal(every_row(made).tokens, every_row(again).tokens)


def test_a_plan_of_other_documents_length_or_policy_is_made_again(array_of, tmp_path):
    array, path = stored(array_of, [3, 30, 2, 8]), tmp_path / "plan.npz"
    others = [
        (stored(array_of, [30, 3, 2, 8]), 6, "best_fit"),
        (stored(array_of, [3, 30, 2, 9]), 6, "best_fit"),
        (array, 7, "best_fit"),
        (array, 6, "padded"),
    ]
    keys = {plan_key(*other) for other in [*others, (array, 6, "best_fit")]}
    assert len(keys) == 5
    for other in others:
        stored_plan(array, 6, "best_fit", path)
        found = every_row(stored_plan(*other, path))
        np.testing.assert_array_equal(found.tokens, every_row(make_plan(*other)).tokens)


def test_a_damaged_plan_is_made_again(array_of, tmp_path):
    array, path = stored(array_of, [3, 300, 2, 8]), tmp_path / "plan.npz"
    expected = every_row(stored_plan(array, 6, "best_fit", path)).tokens
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[good.index(b"lengths.npy") + 200] ^= 1
    for bad in (b"", b"no zip file", good[:-20], bytes(flipped)):
        path.write_bytes(bad)
        found = stored_plan(array, 6, "best_fit", path)
        np.testing.assert_array_equal(every_row(found).tokens, expected)
        assert path.read_bytes() == good


def test_an_altered_plan_whose_archive_is_whole_is_made_again(array_of, tmp_path):
    array, path = stored(array_of, [3, 30, 2, 8]), tmp_path / "plan.npz"
    plan = stored_plan(array, 6, "best_fit", path)
    good = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)
    arrays["starts"] = arrays["starts"] + 1
    np.savez(path, **arrays)
    assert path.read_bytes() != good
    np.testing.assert_array_equal(
        every_row(stored_plan(array, 6, "best_fit", path)).tokens, every_row(plan).tokens
    )
    assert path.read_bytes() == good


def test_sources_without_a_target_are_passed_over(array_of, tmp_path):
    arrays = {"docs": stored(array_of, [5, 1]), "dots": stored(array_of, [1, 1])}
    folder = tmp_path / "packing"
    assert list(document_plans(arrays, 8, "best_fit", folder)) == ["docs"]
    assert (folder / "docs.npz").is_file()
    with pytest.raises(InputError, match="no document of two tokens"):
        document_plans({"dots": arrays["dots"]}, 8, "padded")
