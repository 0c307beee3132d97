"""Block attention against attention written as one formula, over sizes, heads and documents."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.batches import masks
from hornbook.models.parts.block_attention import Rules, block_attention, block_size
from hornbook.models.parts.context import LONGEST_IN_BLOCKS, see


def in_blocks(qkv, n_heads, n_kv_heads, documents=None, dropout=0.0):
    """Ours, of a fused projection [Q|K|V]."""
    width = qkv.shape[2] // (n_heads + 2 * n_kv_heads)
    parts = qkv.unflatten(-1, (-1, width)).split([n_heads, n_kv_heads, n_kv_heads], dim=2)
    return block_attention(*parts, Rules(width**-0.5, True, documents, None, dropout))


def plain_attention(qkv, n_heads, n_kv_heads, documents=None):
    """The slow twin: softmax(QK^T / sqrt(d) + mask) V over the whole square."""
    batch, length, fused = qkv.shape
    width = fused // (n_heads + 2 * n_kv_heads)
    q, k, v = (
        part.reshape(batch, length, -1, width).transpose(1, 2)
        for part in qkv.split([n_heads * width, n_kv_heads * width, n_kv_heads * width], dim=-1)
    )
    k, v = (part.repeat_interleave(n_heads // n_kv_heads, dim=1) for part in (k, v))
    allowed = torch.ones(length, length).tril().bool()[None, None]
    if documents is not None:
        allowed = allowed & (documents[:, None, :, None] == documents[:, None, None, :])
    scores = (q @ k.transpose(2, 3) / width**0.5).masked_fill(~allowed, -torch.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


@settings(deadline=None, max_examples=25)
@given(
    batch=st.integers(1, 3),
    length=st.one_of(st.integers(1, 90), st.sampled_from([513, 530])),
    heads=st.sampled_from([(1, 1), (3, 3), (4, 2), (4, 1)]),
    width=st.sampled_from([1, 5, 8]),
    packed=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_forward_and_gradient_equal_the_formula(batch, length, heads, width, packed, seed):
    generator = torch.Generator().manual_seed(seed)
    fused = (heads[0] + 2 * heads[1]) * width
    qkv = torch.randn(batch, length, fused, dtype=torch.float64, generator=generator)
    documents = torch.randint(0, 2, (batch, length), generator=generator).cumsum(1)
    documents = documents if packed else None
    weights = torch.randn(batch, length, heads[0] * width, dtype=torch.float64, generator=generator)
    results = []
    for attend in (in_blocks, plain_attention):
        leaf = qkv.clone().requires_grad_()
        y = attend(leaf, *heads, documents)
        (gradient,) = torch.autograd.grad((y * weights).sum(), leaf)
        results.append((y, gradient))
    (y, gradient), (expected_y, expected_gradient) = results
    torch.testing.assert_close(y, expected_y, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("length", [1, 15, 16, 64, 65, 511, 512, 513, 1000, 2048])
def test_blocks_cover_any_length(length):
    size = block_size(length)
    assert size % 16 == 0
    assert -(-length // size) <= 8


def test_bfloat16_stays_close_to_float32():
    qkv = torch.randn(2, 100, 3 * 32, generator=torch.Generator().manual_seed(0))
    low = in_blocks(qkv.bfloat16(), 4, 4)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), plain_attention(qkv, 4, 4), rtol=0.02, atol=0.02)


def test_dropout_gradient_is_the_gradient_of_the_same_draw():
    qkv = torch.randn(1, 35, 3 * 4, dtype=torch.float64, requires_grad=True)

    def attend(x):
        torch.manual_seed(5)
        return in_blocks(x, 2, 2, None, 0.4)

    assert torch.autograd.gradcheck(attend, (qkv,), fast_mode=True)


def test_dropout_keeps_the_mean_and_drops_its_share():
    qkv = torch.randn(1, 40, 3 * 8, dtype=torch.float64)
    torch.manual_seed(0)
    draws = torch.stack([in_blocks(qkv, 1, 1, None, 0.25) for _ in range(2000)])
    deviation = (draws.mean(0) - plain_attention(qkv, 1, 1)) / (draws.std(0) / 2000**0.5)
    assert deviation.abs().max() < 5
    first = draws[:, 0, 0, 0]  # sees one key: dropped, or scaled by 1 / (1 - rate)
    assert (first == 0).double().mean() == pytest.approx(0.25, abs=0.03)
    assert first.max() == pytest.approx(
        qkv[0, 0, 16].item() / 0.75
    ) or first.min() == pytest.approx(qkv[0, 0, 16].item() / 0.75)


def test_long_rows_and_inference_leave_it_to_torch():
    cpu = torch.device("cpu")
    assert see(masks.causal(), 0, LONGEST_IN_BLOCKS, cpu).in_blocks
    assert not see(masks.causal(), 0, LONGEST_IN_BLOCKS + 1, cpu).in_blocks
    with torch.no_grad():
        assert not see(masks.causal(), 0, 8, cpu).in_blocks


def test_masks_take_their_cheapest_form():
    cpu, ids = torch.device("cpu"), torch.zeros(1, 8, dtype=torch.int64)
    packed = masks.causal() & masks.same_document(ids)
    assert see(masks.causal(), 0, 8, cpu).causal
    assert see(packed, 0, 8, cpu).documents is ids
    assert see(masks.causal(), 5, 1, cpu).allowed is None
    assert see(masks.causal(), 5, 3, cpu).allowed.shape == (1, 1, 3, 8)
    assert see(masks.full(), 0, 8, cpu).allowed is None
    band = see(masks.causal() & masks.band(3), 0, 8, cpu)
    assert band.causal
    assert band.allowed[0, 0, 5].tolist() == [False] * 3 + [True] * 3 + [False] * 2
    with torch.no_grad():
        assert see(packed, 0, 8, cpu).allowed.shape == (1, 1, 8, 8)


@settings(deadline=None, max_examples=25)
@given(
    batch=st.integers(1, 3),
    lengths=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    heads=st.sampled_from([(3, 3), (4, 2), (4, 1)]),
    shape=st.sampled_from(["full", "causal", "padded"]),
    biased=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_bias_padding_and_other_lengths_equal_the_formula(
    batch, lengths, heads, shape, biased, seed
):
    """Bias [1, heads, queries, keys] has its gradient; without causality lengths may differ."""
    generator = torch.Generator().manual_seed(seed)
    queries, keys = (lengths[0], lengths[0]) if shape == "causal" else lengths

    def draw(*size):
        return torch.randn(size, dtype=torch.float64, generator=generator).requires_grad_()

    q, k, v = (
        draw(batch, n, h, 5) for n, h in ((queries, heads[0]), (keys, heads[1]), (keys, heads[1]))
    )
    bias = draw(1, heads[0], queries, keys) if biased else None
    allowed = None
    if shape == "padded":
        allowed = torch.rand(batch, 1, 1, keys, generator=generator) < 0.7
        allowed[..., 0] = True
    seen = torch.ones(queries, keys).tril().bool() if shape == "causal" else torch.ones(1).bool()
    scores = torch.einsum(
        "bqhd,bkhd->bhqk", q, k.repeat_interleave(heads[0] // heads[1], dim=2)
    ) * 0.7 + (0 if bias is None else bias)
    hidden = ~(seen if allowed is None else allowed)
    p = scores.masked_fill(hidden, -torch.inf).softmax(-1)
    expected = torch.einsum("bhqk,bkhd->bqhd", p, v.repeat_interleave(heads[0] // heads[1], dim=2))
    found = block_attention(q, k, v, Rules(0.7, shape == "causal", None, allowed), bias)
    torch.testing.assert_close(found, expected.flatten(2), rtol=1e-10, atol=1e-12)
    leaves = [leaf for leaf in (q, k, v, bias) if leaf is not None]
    weights = draw(*found.shape).detach()
    own = torch.autograd.grad((found * weights).sum(), leaves)
    other = torch.autograd.grad((expected.flatten(2) * weights).sum(), leaves)
    for mine, theirs in zip(own, other, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)
