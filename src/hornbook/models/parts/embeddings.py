"""Tokens to vectors: the table, and the sum that enters the first block."""

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
    """

    computes_low = True
    rows_are_tokens = True

    def __init__(self, whole: spec.Spec) -> None:
        super().__init__()
        self.roles = {"weight": "embedding"}
        self.weight = nn.Parameter(torch.empty(whole.padded_vocab, whole.d_model))

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length d_model"]:
        """The vectors of these tokens."""
        return F.embedding(tokens, self.weight)


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
