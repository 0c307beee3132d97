import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.batches import masks
from hornbook.batches.masks import (
    band,
    causal,
    full,
    others,
    padding,
    permutation,
    prefix,
    present,
    same_document,
)

LENGTH, BATCH = 7, 3
IDS = torch.tensor([[0, 0, 1, 1, 1, 2, -1], [0, 1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 0, 0]])
LENGTHS = torch.tensor([0, 3, 7])
THERE = torch.tensor([[0, 1, 1, 0, 1, 0, 1], [1] * 7, [0, 0, 0, 1, 1, 1, 1]]).bool()
ORDER = torch.stack(
    [torch.randperm(LENGTH, generator=torch.Generator().manual_seed(s)) for s in range(3)]
)
PLACE = [[row.index(i) for i in range(LENGTH)] for row in ORDER.tolist()]

NAIVE = {  # one rule at a time: (mask, what a loop over row, query, key says)
    "causal": (causal(), lambda b, q, k: k <= q),
    "full": (full(), lambda b, q, k: True),
    "others": (others(), lambda b, q, k: k != q),
    "same_document": (same_document(IDS), lambda b, q, k: bool(IDS[b, q] == IDS[b, k])),
    "prefix": (prefix(LENGTHS), lambda b, q, k: k <= q or k < int(LENGTHS[b])),
    "band 1": (band(1), lambda b, q, k: k == q),
    "band 3": (band(3), lambda b, q, k: -3 < q - k < 3),
    "padding": (padding(LENGTHS), lambda b, q, k: k < int(LENGTHS[b])),
    "present": (present(THERE), lambda b, q, k: bool(THERE[b, k])),
    "permutation": (permutation(ORDER), lambda b, q, k: PLACE[b][k] <= PLACE[b][q]),
}


def looped(rule, queries=range(LENGTH)):
    return torch.tensor(
        [[[rule(b, q, k) for k in range(LENGTH)] for q in queries] for b in range(BATCH)]
    )


@pytest.mark.parametrize("name", NAIVE)
@pytest.mark.parametrize("offset", [0, 2, LENGTH - 1])
def test_each_rule_against_a_loop_with_any_cache_offset(name, offset):
    mask, rule = NAIVE[name]
    dense = mask.dense(LENGTH - offset, LENGTH, offset)
    assert dense.dtype == torch.bool
    assert dense.shape[0] == mask.batch
    expected = looped(rule, range(offset, LENGTH))
    assert torch.equal(dense.expand(BATCH, -1, -1), expected)


def test_the_table_of_rules_is_what_is_tested():
    assert {mask.rule for mask, _ in NAIVE.values()} == set(masks.RULES) - {"all", "any"}


trees = st.recursive(
    st.sampled_from(sorted(NAIVE)),
    lambda inner: st.tuples(st.sampled_from("&|"), inner, inner),
    max_leaves=6,
)


def built(tree):
    if isinstance(tree, str):
        return NAIVE[tree]
    sign, left, right = tree
    (first, one), (second, two) = built(left), built(right)
    if sign == "&":
        return first & second, lambda b, q, k: one(b, q, k) and two(b, q, k)
    return first | second, lambda b, q, k: one(b, q, k) or two(b, q, k)


@settings(deadline=None, max_examples=80)
@given(trees)
def test_any_composition_means_what_it_says(tree):
    mask, rule = built(tree)
    dense = mask.dense(LENGTH, LENGTH)
    assert torch.equal(dense.expand(BATCH, -1, -1), looped(rule))
    moved = mask.to("cpu").select(slice(1, 3))
    picked = moved.dense(LENGTH, LENGTH).expand(2, -1, -1)
    assert torch.equal(picked, looped(rule)[1:3])


def test_only_plain_causal_takes_the_flag():
    """A flag for anything more would silently drop the rest (plant: is_causal of a prefix)."""
    assert causal().is_causal
    for same in (causal() & causal(), causal() & full(), full() & causal(), causal() | causal()):
        assert same.is_causal
    for more in (
        full(),
        prefix(LENGTHS),
        causal() & same_document(IDS),
        causal() & band(3),
        causal() | prefix(LENGTHS),
        causal() & padding(LENGTHS),
        causal() | full(),
    ):
        assert not more.is_causal


def test_only_causal_within_documents_names_its_documents():
    assert (causal() & same_document(IDS)).documents is IDS
    assert (same_document(IDS) & causal() & full()).documents is IDS
    assert (causal() & same_document(IDS)).select(slice(0, 2)).documents.shape == (2, LENGTH)
    for other in (
        causal(),
        same_document(IDS),
        causal() | same_document(IDS),
        causal() & same_document(IDS) & band(3),
        causal() & same_document(IDS) & same_document(IDS + 1),
    ):
        assert other.documents is None


def test_no_query_is_left_without_a_key():
    """A row that sees nothing is undefined in softmax; padding sees padding, and itself."""
    assert (causal() & same_document(IDS)).dense(LENGTH, LENGTH).any(-1).all()


def test_xlnets_worked_example():
    """Order 3, 1, 2 (counted from 1): q1 sees 3; q2 sees 1 and 3; q3 sees nothing."""
    content = permutation(torch.tensor([[2, 0, 1]]))
    query = content & others()
    assert query.dense(3, 3)[0].tolist() == [
        [False, False, True],
        [True, False, True],
        [False, False, False],
    ]
    assert content.dense(3, 3)[0].tolist() == [
        [True, False, True],
        [True, True, True],
        [False, False, True],
    ]


def test_a_band_of_width_w_shows_w_keys():
    seen = (causal() & band(3)).dense(LENGTH, LENGTH)[0].sum(-1)
    assert seen.tolist() == [1, 2, 3, 3, 3, 3, 3]


def test_joining_drops_only_what_is_said_twice():
    rows, columns = causal() & band(3), causal() & padding(LENGTHS)
    expected = rows.dense(LENGTH, LENGTH) | columns.dense(LENGTH, LENGTH)
    assert torch.equal((rows | columns).dense(LENGTH, LENGTH), expected)
    assert (rows | rows).rule == "all"


@pytest.mark.parametrize("offset", [0, 100])
def test_a_block_mask_is_made_of_the_same_rule(offset):
    ids = torch.arange(256)[None, :].expand(2, -1) // torch.tensor([[100], [128]])
    mask = causal() & same_document(ids)
    blocks = mask.block_mask(256 - offset, 256, offset, device="cpu")
    dense = torch.zeros(2, 256, 256, dtype=torch.bool)
    dense[:, : 256 - offset] = mask.dense(256 - offset, 256, offset)
    tiles = dense.view(2, 2, 128, 2, 128).permute(0, 1, 3, 2, 4).flatten(3).any(-1)
    assert torch.equal(blocks.to_dense()[:, 0].bool(), tiles)


def test_a_rule_of_one_row_serves_a_batch_of_others():
    """One order for all rows, joined with a length for each."""
    joined = same_document(IDS[:1]) & padding(LENGTHS)
    expected = looped(lambda b, q, k: IDS[0, q] == IDS[0, k] and k < int(LENGTHS[b]))
    assert torch.equal(joined.dense(LENGTH, LENGTH), expected)
