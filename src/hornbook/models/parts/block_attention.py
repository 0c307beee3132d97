"""Attention for training on a CPU: batched matrix products over blocks of queries.

torch's CPU kernel computes the whole square and gains nothing from bfloat16. Here a causal block of
queries meets only the keys up to its own end, and its probabilities are kept for the backward pass,
which then recomputes nothing. Kept memory: about 0.6 n_heads length^2 numbers a row and layer, and
n_heads length^2 where every key is seen.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


class Rules(NamedTuple):
    """What scores are multiplied by, what is hidden, and the rate of dropout."""

    scale: float
    causal: bool
    documents: Int[Tensor, "batch length"] | None = None
    allowed: Bool[Tensor, "batch 1 queries keys"] | None = None
    dropout: float = 0.0


def block_size(length: int) -> int:
    """Queries a block: four blocks up to 512 tokens, eight beyond, in whole sixteens."""
    blocks = 4 if length <= 512 else 8
    return -(-length // (16 * blocks)) * 16


def _blocks(queries: int, keys: int, causal: bool) -> Iterator[tuple[int, int, int]]:
    """(first query, end of queries, end of keys) of every block."""
    size = block_size(queries) if causal else queries
    for first in range(0, queries, size):
        end = min(first + size, queries)
        yield first, end, end if causal else keys


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


def _hide(scores: Tensor, first: int, batch: int, rules: Rules) -> None:
    """Set the scores that a query may not see to -inf, in place.

    scores [batch * n_kv_heads, inner, size, keys]: the queries are first .. first + size - 1.
    """
    size, keys = scores.shape[2:]
    if rules.allowed is not None:
        rows = slice(first, first + size) if rules.allowed.shape[2] > 1 else slice(None)
        hidden = ~rules.allowed[:, :, rows, :keys][:, None]
        scores.view(batch, -1, *scores.shape[1:]).masked_fill_(hidden, float("-inf"))
        return
    if rules.causal:
        future = scores.new_full((size, size), float("-inf")).triu_(1)
        scores[..., first:] += future
    if rules.documents is not None:
        own = rules.documents[:, first : first + size, None]
        other = (own != rules.documents[:, None, :keys])[:, None, None]
        scores.view(batch, -1, *scores.shape[1:]).masked_fill_(other, float("-inf"))


def _read_nothing(p: Tensor, first: int, batch: int, rules: Rules) -> None:
    """Probabilities of a query that sees no key are 0, in place: padding, which nobody reads."""
    if rules.allowed is not None:
        rows = slice(first, first + p.shape[2]) if rules.allowed.shape[2] > 1 else slice(None)
        blind = ~rules.allowed[:, :, rows].any(-1, keepdim=True)[:, None]
        if bool(blind.any()):
            p.view(batch, -1, *p.shape[1:]).masked_fill_(blind, 0.0)


def _scaled(x: Tensor, scale: float) -> Tensor:
    """Multiplied in place."""
    return x if scale == 1.0 else x.mul_(scale)


def _add_product(sums: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right, batched, in place."""
    if sums.is_contiguous() or sums.dtype == torch.bfloat16:
        sums.baddbmm_(left, right)
    else:  # torch would multiply one matrix after the other; the sums are the same bits
        sums += torch.bmm(left, right)


class BlockAttention(torch.autograd.Function):
    """Y = dropout(softmax(scale Q K^T + B + mask)) V, and its gradient, block by block.

    With P the probabilities, M the dropout factors (0 or 1/(1 - rate)), G the gradient of Y:
    dV = (P M)^T G;  dP = (G V^T) M;  dS = P (dP - rowsum(P dP));  dQ = scale dS K;
    dK = scale dS^T Q;  dB = dS summed over the batch. Queries of one key-value head are folded into
    rows, so shared heads cost no copies.
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: Float[Tensor, "batch queries n_heads d_head"],
        keys: Float[Tensor, "batch keys n_kv_heads d_head"],
        values: Float[Tensor, "batch keys n_kv_heads d_head"],
        bias: Float[Tensor, "1 n_heads queries keys"] | None,
        rules: Rules,
    ) -> Float[Tensor, "batch queries heads_width"]:
        """Attend; keep q, k, v, the probabilities and the dropout masks."""
        batch, length = queries.shape[:2]
        groups = keys.shape[2]
        q, k, v = (_heads_first(part, groups) for part in (queries, keys, values))
        k, v, y = k.squeeze(1), v.squeeze(1), torch.empty_like(q)
        kept: list[Tensor] = []
        for first, end, seen in _blocks(length, k.shape[1], rules.causal):
            rows = q[:, :, first:end].flatten(1, 2)
            scores = _scaled(torch.bmm(rows, k[:, :seen].transpose(1, 2)), rules.scale)
            scores = scores.view(*q.shape[:2], end - first, seen)
            if bias is not None:
                own = bias[:, :, first:end, :seen].reshape(1, groups, -1, end - first, seen)
                scores.view(batch, groups, *scores.shape[1:]).add_(own)
            _hide(scores, first, batch, rules)
            torch.softmax(scores, -1, out=scores)
            _read_nothing(scores, first, batch, rules)
            kept.append(scores)
            if rules.dropout:
                scores, mask = torch.native_dropout(scores, rules.dropout, True)
                kept.append(mask)
            y[:, :, first:end] = torch.bmm(scores.flatten(1, 2), v[:, :seen]).view_as(
                y[:, :, first:end]
            )
        ctx.save_for_backward(q, k, v, *kept)
        ctx.batch, ctx.rules = batch, rules
        ctx.bias = None if bias is None else (bias.shape, bias.dtype)
        return _heads_last(y, batch).flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of queries, keys, values and bias."""
        q, k, v, *kept = ctx.saved_tensors
        rules: Rules = ctx.rules
        groups, inner, length, d_head = q.shape
        gradient = gradients[0].reshape(ctx.batch, length, -1, d_head)
        g = _heads_first(gradient, groups // ctx.batch)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        wanted = ctx.bias is not None and ctx.needs_input_grad[3]
        of_bias = q.new_zeros(ctx.bias[0], dtype=ctx.bias[1]) if wanted else None
        step = 2 if rules.dropout else 1
        for number, (first, end, seen) in enumerate(_blocks(length, k.shape[1], rules.causal)):
            p = kept[number * step].flatten(1, 2)
            rows = g[:, :, first:end].flatten(1, 2)
            ds = torch.bmm(rows, v[:, :seen].transpose(1, 2))
            dropped = p
            if rules.dropout:
                factor = kept[number * step + 1].flatten(1, 2).to(p.dtype).div_(1 - rules.dropout)
                dropped = p * factor
                ds.mul_(factor)
            _add_product(dv[:, :seen], dropped.transpose(1, 2), rows)
            ds = torch._softmax_backward_data(ds, p, -1, p.dtype)
            if of_bias is not None:
                shares = ds.view(ctx.batch, -1, inner, end - first, seen).flatten(1, 2)
                of_bias[:, :, first:end, :seen] += shares.sum(0, dtype=of_bias.dtype)
            _scaled(ds, rules.scale)
            dq[:, :, first:end] = torch.bmm(ds, k[:, :seen]).view_as(dq[:, :, first:end])
            _add_product(dk[:, :seen], ds.transpose(1, 2), q[:, :, first:end].flatten(1, 2))
        parts = (dq, dk.unsqueeze(1), dv.unsqueeze(1))
        return *(_heads_last(part, ctx.batch) for part in parts), of_bias, None


def block_attention(
    queries: Float[Tensor, "batch queries n_heads d_head"],
    keys: Float[Tensor, "batch keys n_kv_heads d_head"],
    values: Float[Tensor, "batch keys n_kv_heads d_head"],
    rules: Rules,
    bias: Float[Tensor, "1 n_heads queries keys"] | None = None,
) -> Float[Tensor, "batch queries heads_width"]:
    """Attention of every query over the keys that the rules let it see."""
    attend = cast("Callable[..., Tensor]", BlockAttention.apply)
    return attend(queries, keys, values, bias, rules)
