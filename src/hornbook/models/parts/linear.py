"""A linear map that computes in the dtype of its own weight."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Linear(nn.Module):
    """y = x W^T + b.

    W [width_out, width_in], b [width_out]. x is cast to W's dtype first: with bfloat16 weights the
    product runs in bfloat16 whatever the residual stream is.

    Args:
        rows: what the rows of W are, (role, how many) each; one map may make several things at
            once, [Q | K | V]. Initialisation draws each by its role ("residual": the last map of a
            sublayer, whose output is added to the stream), and exchange with other layouts cuts
            there.
    """

    computes_low = True

    def __init__(self, width_in: int, rows: tuple[tuple[str, int], ...], bias: bool) -> None:
        super().__init__()
        self.roles = {"weight": rows, "bias": "bias"}
        self.rows = rows
        width_out = sum(count for _, count in rows)
        self.weight = nn.Parameter(torch.empty(width_out, width_in))
        self.bias = nn.Parameter(torch.empty(width_out)) if bias else None

    def forward(self, x: Float[Tensor, "... width_in"]) -> Float[Tensor, "... width_out"]:
        """Apply the map to the last axis."""
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)
