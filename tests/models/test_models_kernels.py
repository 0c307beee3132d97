"""Parts with gradients of their own give what autograd gives for the plain formula, in float64."""

import pytest
import torch
import torch.nn.functional as F

from hornbook.models import choices
from hornbook.models.parts.activations import ACTIVATIONS, gated
from hornbook.models.parts.block_attention import Rules, block_attention
from hornbook.models.parts.norms import RMSNorm
from hornbook.models.parts.rotary import Rotary


def drawn(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(len(shape))
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


def same(made, wanted, leaves):
    """Values and gradients, of a sum with unequal weights."""
    upstream = torch.randn(made.shape, dtype=made.dtype)
    assert torch.allclose(made, wanted, rtol=1e-10, atol=1e-12)
    ours, theirs = (
        torch.autograd.grad(y, leaves, upstream, retain_graph=True) for y in (made, wanted)
    )
    for own, other in zip(ours, theirs, strict=True):
        assert torch.allclose(own, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gates(name):
    both = drawn(2, 5, 12)
    gate, up = both.chunk(2, dim=-1)
    same(gated(ACTIVATIONS[name], both), ACTIVATIONS[name](gate) * up, [both])


def test_root_mean_square_norm():
    """Also of heads, which are views into a wider tensor, and of a row of zeros."""
    norm = RMSNorm(choices.RMSNorm(1e-3), 8).double()
    norm.weight.data.copy_(torch.rand(8) + 0.5)
    wide = drawn(2, 5, 3, 16)
    with torch.no_grad():
        wide[0, 0] = 0.0
    x = wide[..., 4:12]
    same(norm(x), F.rms_norm(x, (8,), norm.weight, 1e-3), [wide, norm.weight])


@pytest.mark.parametrize("layout", ["pairs", "halves"])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_rotations(layout, share):
    rotary = Rotary(choices.Rotary(layout, share=share), 8)
    x, width = drawn(2, 5, 3, 8), int(8 * share)
    table = rotary.table(torch.arange(5)[None], torch.float64)
    (cos, sin), half = table, width // 2
    pairs = x[..., :width].unflatten(-1, (half, 2) if layout == "pairs" else (2, half))
    a, b = pairs.unbind(-1 if layout == "pairs" else -2)
    turned = torch.stack(
        [a * cos - b * sin, b * cos + a * sin], -1 if layout == "pairs" else -2
    ).flatten(-2)
    same(rotary.rotate(x, table), torch.cat([turned, x[..., width:]], -1), [x])


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_blocked_attention_of_rotated_heads(scale):
    """What is turned lies with heads first; several blocks add to the same keys."""
    rotary = Rotary(choices.Rotary("halves"), 8)
    table = rotary.table(torch.arange(70)[None], torch.float64)
    q, k, v = drawn(2, 70, 4, 8), drawn(2, 70, 2, 8), drawn(2, 70, 2, 8)
    k, v = k.detach().requires_grad_(), (v.detach() + 1).requires_grad_()
    turned = [rotary.rotate(x, table) for x in (q, k)]
    made = block_attention(*turned, v, Rules(scale, causal=True))
    parts = [x.transpose(1, 2) for x in (*turned, v)]
    wanted = F.scaled_dot_product_attention(*parts, is_causal=True, scale=scale, enable_gqa=True)
    same(made, wanted.transpose(1, 2).flatten(2), [q, k, v])
