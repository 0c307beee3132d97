"""Normalisation of the residual stream."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import choices


class LayerNorm(nn.Module):
    """y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias, over the last axis.

    The variance is the biased one and eps stands inside the root. Statistics and result are in the
    dtype of `weight`, which stays float32 in low-precision training. Source: Ba, Kiros and Hinton
    2016, "Layer Normalization", equation 4; without the bias, as in PaLM: Chowdhery et al. 2022.
    """

    def __init__(self, choice: choices.LayerNorm, width: int) -> None:
        super().__init__()
        self.roles = {"weight": "gain", "bias": "bias"}
        self.eps = choice.eps
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width)) if choice.bias else None

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Normalise the last axis."""
        x = x.to(self.weight.dtype)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """y = x / sqrt(mean(x^2) + eps) * weight, over the last axis; no mean, no bias.

    In the dtype of `weight`, which stays float32 in low-precision training, so that the order of
    rounding and gain, in which released codes differ, does not matter. Source: Zhang and Sennrich
    2019, "Root Mean Square Layer Normalization", equation 4, which has no eps.
    """

    def __init__(self, choice: choices.RMSNorm, width: int) -> None:
        super().__init__()
        self.roles = {"weight": "gain"}
        self.eps = choice.eps
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Normalise the last axis."""
        return F.rms_norm(x.to(self.weight.dtype), self.weight.shape, self.weight, self.eps)


def stream_dtype(network: nn.Module) -> torch.dtype:
    """The dtype of the residual stream: that of the norms' gains."""
    norm: Any = next(m for m in network.modules() if isinstance(m, LayerNorm | RMSNorm))
    dtype: torch.dtype = norm.weight.dtype
    return dtype
