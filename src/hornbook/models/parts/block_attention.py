"""Causal attention for training on a CPU: batched matrix products over blocks of queries.

torch's CPU kernel computes the whole square and gains nothing from bfloat16. Here each block of
queries meets only the keys up to its own end, and its probabilities are kept for the backward pass,
which then recomputes nothing. Kept memory: about 0.6 n_heads length^2 numbers a row and layer.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


def block_size(length: int) -> int:
    """Queries a block: four blocks up to 512 tokens, eight beyond, in whole sixteens."""
    blocks = 4 if length <= 512 else 8
    return -(-length // (16 * blocks)) * 16


def _heads_first(x: Tensor, groups: int) -> Tensor:
    """[batch, length, groups * inner, d_head] to [batch * groups, inner, length, d_head]."""
    batch, length, heads, width = x.shape
    x = x.view(batch, length, groups, heads // groups, width).permute(0, 2, 3, 1, 4)
    return x.reshape(batch * groups, heads // groups, length, width)


def _heads_last(x: Tensor, batch: int) -> Tensor:
    """The inverse of `_heads_first`."""
    groups, inner, length, width = x.shape
    x = x.view(batch, groups // batch, inner, length, width).permute(0, 3, 1, 2, 4)
    return x.reshape(batch, length, groups // batch * inner, width)


def _hide(scores: Tensor, first: int, documents: Tensor | None) -> None:
    """Set the scores that a query may not see to -inf, in place.

    scores [batch * n_kv_heads, inner, size, first + size]: the queries are first .. first + size
    - 1.
    """
    size = scores.shape[2]
    future = scores.new_full((size, size), float("-inf")).triu_(1)
    scores[..., first:] += future
    if documents is not None:
        own = documents[:, first : first + size, None]
        other = (own != documents[:, None, : first + size])[:, None, None]
        batch = documents.shape[0]
        scores.view(batch, -1, *scores.shape[1:]).masked_fill_(other, float("-inf"))


class BlockAttention(torch.autograd.Function):
    """Y = dropout(softmax(Q K^T / sqrt(d_head) + mask)) V, and its gradient, block by block.

    With P the probabilities, M the dropout factors (0 or 1/(1 - rate)), G the gradient of Y:
    dV = (P M)^T G;  dP = (G V^T) M;  dS = P (dP - rowsum(P dP)) / sqrt(d_head);  dQ = dS K;
    dK = dS^T Q. Queries of one key-value head are folded into rows, so shared heads cost no copies.
    """

    @staticmethod
    def forward(
        ctx: Any,
        qkv: Float[Tensor, "batch length fused"],
        n_heads: int,
        n_kv_heads: int,
        documents: Int[Tensor, "batch length"] | None,
        dropout: float,
    ) -> Float[Tensor, "batch length heads_width"]:
        """Attend; keep q, k, v, the probabilities and the dropout masks."""
        batch, length, fused = qkv.shape
        d_head = fused // (n_heads + 2 * n_kv_heads)
        split = qkv.view(batch, length, -1, d_head)
        parts = torch.split(split, [n_heads, n_kv_heads, n_kv_heads], dim=2)
        q, k, v = (_heads_first(part, n_kv_heads) for part in parts)
        k, v, y = k.squeeze(1), v.squeeze(1), torch.empty_like(q)
        kept: list[Tensor] = []
        for first in range(0, length, block_size(length)):
            end = min(first + block_size(length), length)
            rows = q[:, :, first:end].flatten(1, 2)
            scores = torch.bmm(rows, k[:, :end].transpose(1, 2)).mul_(d_head**-0.5)
            scores = scores.view(*q.shape[:2], end - first, end)
            _hide(scores, first, documents)
            torch.softmax(scores, -1, out=scores)
            kept.append(scores)
            if dropout:
                scores, mask = torch.native_dropout(scores, dropout, True)
                kept.append(mask)
            y[:, :, first:end] = torch.bmm(scores.flatten(1, 2), v[:, :end]).view_as(
                y[:, :, first:end]
            )
        ctx.save_for_backward(q, k, v, *kept)
        ctx.batch, ctx.dropout = batch, dropout
        return _heads_last(y, batch).flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the fused projection."""
        q, k, v, *kept = ctx.saved_tensors
        groups, _, length, d_head = q.shape
        gradient = gradients[0].reshape(ctx.batch, length, -1, d_head)
        g = _heads_first(gradient, groups // ctx.batch)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        step = 2 if ctx.dropout else 1
        for number, first in enumerate(range(0, length, block_size(length))):
            end = min(first + block_size(length), length)
            p = kept[number * step].flatten(1, 2)
            rows = g[:, :, first:end].flatten(1, 2)
            ds = torch.bmm(rows, v[:, :end].transpose(1, 2))
            dropped = p
            if ctx.dropout:
                factor = kept[number * step + 1].flatten(1, 2).to(p.dtype).div_(1 - ctx.dropout)
                dropped = p * factor
                ds.mul_(factor)
            dv[:, :end].baddbmm_(dropped.transpose(1, 2), rows)
            ds = torch._softmax_backward_data(ds, p, -1, p.dtype).mul_(d_head**-0.5)
            dq[:, :, first:end] = torch.bmm(ds, k[:, :end]).view_as(dq[:, :, first:end])
            dk[:, :end].baddbmm_(ds.transpose(1, 2), q[:, :, first:end].flatten(1, 2))
        parts = (dq, dk.unsqueeze(1), dv.unsqueeze(1))
        fused = torch.cat([_heads_last(part, ctx.batch) for part in parts], dim=2)
        return fused.flatten(2), None, None, None, None


def block_attention(
    qkv: Float[Tensor, "batch length fused"],
    n_heads: int,
    n_kv_heads: int,
    documents: Int[Tensor, "batch length"] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "batch length heads_width"]:
    """Causal attention over a fused [Q | K | V]; with `documents`, only within the own document."""
    attend = cast("Callable[..., Tensor]", BlockAttention.apply)
    return attend(qkv, n_heads, n_kv_heads, documents, dropout)
