"""Where a token stands, told to the network as a vector."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hornbook.models import spec


class LearnedPositions(nn.Module):
    """p_t = weight[t]: one learned vector for each position 0 .. max_length - 1.

    weight [max_length, d_model]. Source: Gehring et al. 2017, section 3.1; GPT-1 and GPT-2.
    """

    def __init__(self, choice: spec.LearnedPositions, whole: spec.Spec) -> None:
        super().__init__()
        self.roles = {"weight": "positions"}
        self.weight = nn.Parameter(torch.empty(whole.max_length, whole.d_model))

    def forward(
        self, positions: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length d_model"]:
        """The vectors of these positions; positions beyond the table are an error."""
        return F.embedding(positions, self.weight)
