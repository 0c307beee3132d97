"""Tokens to vectors: the table, and the sum that enters the first block."""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hornbook.errors import InputError
from hornbook.models import choices
from hornbook.models.parts import make
from hornbook.models.parts.dropout import drop
from hornbook.models.spec import Spec


class TokenTable(nn.Module):
    """e_x = weight[x], weight [padded_vocab, d_model].

    Rows from `vocab_size` on pad the table to a multiple of 64, so that products with it are
    aligned. They are zero and stay zero: no token selects them, and the heads never let them into
    a softmax, so no gradient reaches them, and weight decay of zero is zero.

    A token's gradient is the sum over the places it stands at: added up in fp32 and rounded to the
    table's dtype once. torch adds in bf16 on the CPU, where 2000 ones give 256; on GPUs in fp32.
    """

    computes_low = True
    rows_are_tokens = ("weight",)

    def __init__(self, whole: Spec) -> None:
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
    """x = dropout(norm(scale E[token] + P[position] + S[segment])), in the stream's dtype.

    Positions, segments [n_segments, d_model] and the norm are there if the spec chooses them. An
    encoder and a decoder have one of these each, over one token table. Sources: Vaswani et al.
    2017, sections 3.4 (the scale sqrt(d_model)) and 3.5; Devlin et al. 2019, section 3 (segments).
    """

    def __init__(
        self, choice: choices.Embedding, whole: Spec, shared: TokenTable | None = None
    ) -> None:
        super().__init__()
        if shared is None:
            self.tokens = TokenTable(whole)
        # A module in a tuple is used here but belongs to the other embedding.
        self._table = (shared or self.tokens,)
        self.positions = make(choice.positions, whole) if choice.positions else None
        self.segments = Segments(choice, whole) if choice.segments else None
        self.norm = make(choice.norm, whole.d_model) if choice.norm else None
        self.scale, self.dropout = choice.scale, choice.dropout

    def forward(
        self,
        tokens: Int[Tensor, "batch length"],
        positions: Int[Tensor, "... batch length"],
        segments: Int[Tensor, "batch length"] | None,
        dtype: torch.dtype,
    ) -> Float[Tensor, "batch length d_model"]:
        """Look up, add, normalise, drop. Without segments all tokens belong to the first."""
        x = self._table[0](tokens).to(dtype)
        if self.scale != 1.0:
            x = x * self.scale
        if self.positions is not None:
            x = x + self.positions(positions, dtype)
        if self.segments is not None:
            x = x + self.segments(torch.zeros_like(tokens) if segments is None else segments)
        elif segments is not None:
            raise InputError("This model has no segment vectors; call it without segments.")
        if self.norm is not None:
            x = self.norm(x)
        return drop(x, self.dropout, self.training)


class Segments(nn.Module):
    """s = weight[segment], weight [n_segments, d_model]: which of the texts a token belongs to."""

    def __init__(self, choice: choices.Embedding, whole: Spec) -> None:
        super().__init__()
        self.roles = {"weight": "positions"}
        self.weight = nn.Parameter(torch.empty(choice.segments, whole.d_model))

    def forward(
        self, segments: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length d_model"]:
        """The vectors of these segments."""
        return F.embedding(segments, self.weight)
