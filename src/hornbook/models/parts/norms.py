"""Normalisation of the residual stream."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import spec


class LayerNorm(nn.Module):
    """y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias, over the last axis.

    The variance is the biased one and eps stands inside the root. Statistics and result are in the
    dtype of `weight`, which stays float32 in low-precision training. Source: Ba, Kiros and Hinton
    2016, "Layer Normalization", equation 4.
    """

    def __init__(self, choice: spec.LayerNorm, width: int) -> None:
        super().__init__()
        self.roles = {"weight": "gain", "bias": "bias"}
        self.eps = choice.eps
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width))

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Normalise the last axis."""
        x = x.to(self.weight.dtype)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
