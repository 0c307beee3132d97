"""Normalisation of the residual stream."""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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
        weight = self.weight
        return F.layer_norm(x.to(weight.dtype), weight.shape, weight, self.bias, self.eps)


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
        x = x.to(self.weight.dtype)
        if x.is_cpu and torch.is_grad_enabled():
            norm = cast("Callable[..., Tensor]", _RMSNorm.apply)
            return norm(x, self.weight, self.eps)
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class _RMSNorm(torch.autograd.Function):
    """The same in half as many passes over memory as torch's on a CPU, forward and backward.

    With r = 1 / sqrt(mean(x^2) + eps), n the width, G the gradient of y:
    dw = sum over rows of r G x;  dx = r w G - x r^3 / n sum(w G x).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        r = length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, r)
        return torch.mul(x, r).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, r = ctx.saved_tensors
        shape, width = x.shape, x.shape[-1]
        x, r, g = x.reshape(-1, width), r.reshape(-1, 1), gradients[0].reshape(-1, width)
        products = g * x
        of_weight = torch.mv(products.t(), r[:, 0])
        share = torch.mv(products, weight)[:, None] * r.pow(3) / -width
        of_x = torch.mul(g, weight, out=products).mul_(r).addcmul_(x, share)
        return of_x.view(shape), of_weight, None


def stream_dtype(network: nn.Module) -> torch.dtype:
    """The dtype of the residual stream: that of the norms' gains, or float32 at least."""
    norms = (m.weight.dtype for m in network.modules() if isinstance(m, LayerNorm | RMSNorm))
    weights = (parameter.dtype for parameter in network.parameters())
    return next(norms, None) or torch.promote_types(next(weights), torch.float32)
