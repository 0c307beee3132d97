"""What bends: functions of one number, and the gate of one number by another."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

aten: Any = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """act(x), and `gradient(upstream, x, grad_input=out)`: upstream times act'(x)."""

    function: Callable[[Tensor], Tensor]
    gradient: Callable[..., Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        """Of each number by itself."""
        return self.function(x)


def _relu_gradient(upstream: Tensor, x: Tensor, *, grad_input: Tensor) -> Tensor:
    return torch.mul(upstream, x > 0, out=grad_input)


ACTIVATIONS = {
    # 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    "gelu_tanh": Activation(
        partial(F.gelu, approximate="tanh"),
        partial(aten.gelu_backward.grad_input, approximate="tanh"),
    ),
    # x Phi(x), Phi the normal distribution function
    "gelu_erf": Activation(F.gelu, aten.gelu_backward.grad_input),
    # max(x, 0)
    "relu": Activation(F.relu, _relu_gradient),
    # x sigmoid(x)
    "silu": Activation(F.silu, aten.silu_backward.grad_input),
}


def gated(
    activation: Activation, both: Float[Tensor, "... twice_d_ff"]
) -> Float[Tensor, "... d_ff"]:
    """act(gate) * up, of [gate | up]."""
    if not torch.is_grad_enabled():
        gate, up = both.chunk(2, dim=-1)
        return activation(gate) * up
    apply = cast("Callable[..., Tensor]", _Gated.apply)
    return apply(both, activation)


class _Gated(torch.autograd.Function):
    """The gradients of gate and up are written side by side, where autograd would join them."""

    @staticmethod
    def forward(ctx: Any, both: Tensor, activation: Activation) -> Tensor:
        gate, up = both.chunk(2, dim=-1)
        opened = activation(gate)
        ctx.save_for_backward(both, opened)
        ctx.activation = activation
        return opened * up

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        both, opened = ctx.saved_tensors
        of_both = torch.empty_like(both)
        (gate, up), (of_gate, of_up) = both.chunk(2, dim=-1), of_both.chunk(2, dim=-1)
        torch.mul(gradients[0], opened, out=of_up)
        ctx.activation.gradient(gradients[0] * up, gate, grad_input=of_gate)
        return of_both, None
