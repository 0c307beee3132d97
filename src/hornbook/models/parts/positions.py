"""Where a token stands, told to the network as a vector added to the token's."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hornbook.models import choices
from hornbook.models.spec import Spec


class LearnedPositions(nn.Module):
    """p_t = weight[t + offset]: one learned vector for each position 0 .. max_length - 1.

    weight [max_length + offset, d_model]. The spare rows are BART's, and RoBERTa's, where padding
    stands at position -1. Source: Gehring et al. 2017, section 3.1; GPT-1 and GPT-2.
    """

    def __init__(self, choice: choices.LearnedPositions, whole: Spec) -> None:
        super().__init__()
        self.roles = {"weight": "positions"}
        self.offset = choice.offset
        self.weight = nn.Parameter(torch.empty(whole.max_length + choice.offset, whole.d_model))

    def forward(
        self, positions: Int[Tensor, "batch length"], dtype: torch.dtype
    ) -> Float[Tensor, "batch length d_model"]:
        """The vectors of these positions; positions beyond the table are an error."""
        return F.embedding(positions + self.offset if self.offset else positions, self.weight)


class BlockPositions(nn.Module):
    """p = weight[position] + block[place in the block]; both tables have max_length + 1 rows.

    Source: Du et al. 2022, "GLM", section 2.2; place 0 is everything before the first block.
    """

    def __init__(self, choice: choices.BlockPositions, whole: Spec) -> None:
        super().__init__()
        self.roles = {"weight": "positions", "block": "positions"}
        shape = (whole.max_length + 1, whole.d_model)
        self.weight = nn.Parameter(torch.empty(shape))
        self.block = nn.Parameter(torch.empty(shape))

    def forward(
        self, positions: Int[Tensor, "2 batch length"], dtype: torch.dtype
    ) -> Float[Tensor, "batch length d_model"]:
        """The sum of both vectors."""
        return F.embedding(positions[0], self.weight) + F.embedding(positions[1], self.block)


def sinusoids(positions: Int[Tensor, "..."], width: int, layout: str) -> Float[Tensor, "... width"]:
    """sin(t w_i) and cos(t w_i), w_i = 10000^(-2i / width), in float64.

    layout "pairs": in turns; "halves": all sines, then all cosines.
    """
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=torch.float64) / width
    angles = positions[..., None] * 10_000.0**-exponents
    waves = (angles.sin(), angles.cos())
    if layout == "halves":
        return torch.cat(waves, -1)
    return torch.stack(waves, -1).flatten(-2)


class SinusoidalPositions(nn.Module):
    """p_t[2i] = sin(t w_i), p_t[2i+1] = cos(t w_i), w_i = 10000^(-2i / d_model).

    layout "halves": all sines, then all cosines (Marian). Nothing is learned. Source: Vaswani et
    al. 2017, section 3.5. Other codes divide the exponent by d_model/2 - 1: another function.
    """

    def __init__(self, choice: choices.SinusoidalPositions, whole: Spec) -> None:
        super().__init__()
        self.width, self.layout = whole.d_model, choice.layout

    def forward(
        self, positions: Int[Tensor, "batch length"], dtype: torch.dtype
    ) -> Float[Tensor, "batch length d_model"]:
        """The vectors of these positions, rounded once."""
        return sinusoids(positions, self.width, self.layout).to(dtype)
