"""Tokens to vectors: the table, and the sum that enters the first block."""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hornbook.models import spec
from hornbook.models.parts import make


class TokenTable(nn.Module):
    """e_x = weight[x], weight [padded_vocab, d_model].

    Rows from `vocab_size` on pad the table to a multiple of 64, so that products with it are
    aligned. They are zero and stay zero: no token selects them, and the heads never let them into
    a softmax, so no gradient reaches them, and weight decay of zero is zero.

    A token's gradient is the sum over the places it stands at: added up in fp32 and rounded to the
    table's dtype once. torch adds in bf16 on the CPU, where 2000 ones give 256; on GPUs in fp32.
    """

    computes_low = True
    rows_are_tokens = True

    def __init__(self, whole: spec.Spec) -> None:
        super().__init__()
        self.roles = {"weight": "embedding"}
        self.weight = nn.Parameter(torch.empty(whole.padded_vocab, whole.d_model))

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length d_model"]:
        """The vectors of these tokens."""
        exact = self.weight.dtype.itemsize >= 4
        if exact or not self.weight.is_cpu or not torch.is_grad_enabled():
            return F.embedding(tokens, self.weight)
        look_up = cast("Callable[[Tensor, Tensor], Tensor]", _LowLookUp.apply)
        return look_up(tokens, self.weight)


class _LowLookUp(torch.autograd.Function):
    """Rows of a low-precision table; fp32 sums are held for the tokens that occur alone."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.shape = weight.shape
        return F.embedding(tokens, weight)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (of_vectors,) = upstream
        (tokens,) = ctx.saved_tensors
        occurring, place = tokens.flatten().unique(return_inverse=True)
        rows = of_vectors.reshape(-1, ctx.shape[1]).float()
        sums = rows.new_zeros(len(occurring), ctx.shape[1]).index_add_(0, place, rows)
        of_weight = of_vectors.new_zeros(ctx.shape)
        of_weight[occurring] = sums.to(of_weight.dtype)
        return None, of_weight


class Embedding(nn.Module):
    """x = dropout(E[token] + P[position]), in the dtype the residual stream has.

    Source: Vaswani et al. 2017, sections 3.4 and 3.5; without their factor sqrt(d_model), as in
    GPT-2.
    """

    def __init__(self, choice: spec.Embedding, whole: spec.Spec) -> None:
        super().__init__()
        self.tokens = TokenTable(whole)
        self.positions = make(choice.positions, whole)
        self.dropout = choice.dropout

    def forward(
        self,
        tokens: Int[Tensor, "batch length"],
        positions: Int[Tensor, "batch length"],
        dtype: torch.dtype,
    ) -> Float[Tensor, "batch length d_model"]:
        """Look up, add, drop."""
        x = self.tokens(tokens).to(dtype) + self.positions(positions)
        return F.dropout(x, self.dropout, self.training)
