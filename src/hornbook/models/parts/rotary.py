"""Where a token stands, told to attention by turning queries and keys."""

from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hornbook.models import choices


def angles(
    positions: Int[Tensor, "... length"], width: int, base: float, frequency_dtype: torch.dtype
) -> Float[Tensor, "... length pairs"]:
    """position * base^(-2i / width) for pair i < width / 2, in float32 (the frequencies exactly).

    Source: Su et al. 2021, "RoFormer", section 3.2.2.
    """
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width
    frequencies = (1.0 / base**exponents).to(frequency_dtype).float()
    return positions[..., None].float() * frequencies


class Rotary:
    """(a, b) -> (a cos - b sin, b cos + a sin) for every pair of numbers of a head.

    Pair i turns by position * base^(-2i / width). layout "pairs" takes neighbours (2i, 2i + 1), as
    Meta's LLaMA, GPT-J and ChatGLM2; "halves" takes (i, i + width/2), as Hugging Face's LLaMA. The
    dimensions past `width` stay. Scores then depend on distances alone. Source: Su et al. 2021,
    "RoFormer", equation 34.
    """

    def __init__(self, choice: choices.Rotary, d_head: int) -> None:
        self.layout, self.base, self.width = choice.layout, choice.base, choice.width(d_head)

    def table(self, positions: Int[Tensor, "batch length"], dtype: torch.dtype) -> Tensor:
        """Cosines and sines, [2, batch, length, 1, pairs]; made in float32 and rounded once."""
        turned = angles(positions, self.width, self.base, torch.float32)[..., None, :]
        return torch.stack([turned.cos(), turned.sin()]).to(dtype)

    def rotate(
        self, x: Float[Tensor, "batch length heads d_head"], table: Tensor
    ) -> Float[Tensor, "batch length heads d_head"]:
        """Turn the first `width` dimensions of every head."""
        return _turn(x, table, self.layout, self.width)


class BlockRotary:
    """The lower half of a head turns with the position, the upper with the place in a block.

    Each half is rotated by itself, in the layout "halves". Source: ChatGLM-6B's released code,
    after Du et al. 2022, section 2.2.
    """

    def __init__(self, choice: choices.BlockRotary, d_head: int) -> None:
        self.base, self.width = choice.base, d_head // 2
        self.frequency_dtype = getattr(torch, choice.frequency_dtype)

    def table(self, positions: Int[Tensor, "2 batch length"], dtype: torch.dtype) -> Tensor:
        """Cosines and sines, [2, batch, length, 1, 2, pairs]."""
        turned = angles(positions, self.width, self.base, self.frequency_dtype)
        turned = torch.stack([turned[0], turned[1]], -2)[..., None, :, :]
        return torch.stack([turned.cos(), turned.sin()]).to(dtype)

    def rotate(
        self, x: Float[Tensor, "batch length heads d_head"], table: Tensor
    ) -> Float[Tensor, "batch length heads d_head"]:
        """Turn both halves of every head."""
        halves = x.reshape(*x.shape[:-1], 2, self.width)
        return _turn(halves, table, "halves", self.width).flatten(-2)


def _turn(x: Tensor, table: Tensor, layout: str, width: int) -> Tensor:
    apply = cast("Any", _Turn.apply)
    turned: Tensor = apply(x, table[0], table[1], layout, width)
    return turned


def _turned(x: Tensor, cos: Tensor, sin: Tensor, layout: str, width: int) -> Tensor:
    """A turned copy, written once; in memory heads stand before places, as attention reads them."""
    y = torch.empty_like(x.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)
    put = _put_pairs if layout == "pairs" else _put_halves
    put(x[..., :width], cos, sin, y[..., :width])
    y[..., width:] = x[..., width:]
    return y


def _put_halves(x: Tensor, cos: Tensor, sin: Tensor, y: Tensor) -> None:
    """Numbers turn with those half a width away."""
    (a, b), (first, second) = x.chunk(2, -1), y.chunk(2, -1)
    torch.mul(a, cos, out=first).addcmul_(b, sin, value=-1)
    torch.mul(b, cos, out=second).addcmul_(a, sin)


def _put_pairs(x: Tensor, cos: Tensor, sin: Tensor, y: Tensor) -> None:
    """Numbers turn with their neighbours: (a + bi)(cos + i sin), one pass instead of four."""
    exact = torch.promote_types(x.dtype, torch.float32)
    whole = x if x.stride(-1) == 1 else x.contiguous()
    numbers = torch.view_as_complex(whole.to(exact).view(*x.shape[:-1], -1, 2))
    turned = numbers * torch.complex(cos.to(exact), sin.to(exact))
    y.copy_(torch.view_as_real(turned).flatten(-2))


class _Turn(torch.autograd.Function):
    """A rotation; its gradient is the rotation backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, layout: str, width: int) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.layout, ctx.width = layout, width
        return _turned(x, cos, sin, layout, width)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turned(gradients[0], cos, -sin, ctx.layout, ctx.width), None, None, None, None
