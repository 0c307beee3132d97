"""The sublayer that works on each position by itself."""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import spec
from hornbook.models.parts.linear import Linear

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": partial(F.gelu, approximate="tanh"),  # 0.5x(1 + tanh(sqrt(2/pi)(x + 0.044715x^3)))
    "gelu_erf": F.gelu,  # x Phi(x), Phi the normal distribution function
    "relu": F.relu,  # max(x, 0)
    "silu": F.silu,  # x sigmoid(x)
}


class FeedForward(nn.Module):
    """y = W_down act(W_up x + b_up) + b_down.

    W_up [d_ff, d_model], W_down [d_model, d_ff]. Source: Vaswani et al. 2017, section 3.3 (with
    ReLU); GELU: Hendrycks and Gimpel 2016, section 2.
    """

    def __init__(self, choice: spec.FeedForward, whole: spec.Spec) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[choice.activation]
        self.up = Linear(whole.d_model, choice.d_ff, choice.bias)
        self.down = Linear(choice.d_ff, whole.d_model, choice.bias, residual=True)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Widen, bend, narrow."""
        y: Tensor = self.down(self.activation(self.up(x)))
        return y
