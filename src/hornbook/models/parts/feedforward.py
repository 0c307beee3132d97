"""The sublayer that works on each position by itself."""

from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import choices
from hornbook.models.parts.activations import ACTIVATIONS, gated
from hornbook.models.parts.context import Context
from hornbook.models.parts.dropout import drop
from hornbook.models.parts.linear import Linear
from hornbook.models.spec import Spec


class FeedForward(nn.Module):
    """y = W_down dropout(act(W_up x + b_up)) + b_down.

    W_up [d_ff, d_model], W_down [d_model, d_ff]. Source: Vaswani et al. 2017, section 3.3 (with
    ReLU, without dropout); GELU: Hendrycks and Gimpel 2016, section 2.
    """

    def __init__(self, choice: choices.FeedForward, whole: Spec) -> None:
        super().__init__()
        self.activation, self.dropout = ACTIVATIONS[choice.activation], choice.dropout
        self.up = Linear(whole.d_model, (("matrix", choice.d_ff),), choice.bias)
        self.down = Linear(choice.d_ff, (("residual", whole.d_model),), choice.bias)

    def forward(
        self, x: Float[Tensor, "... d_model"], context: Context
    ) -> Float[Tensor, "... d_model"]:
        """Widen, bend, narrow."""
        inner = drop(self.activation(self.up(x)), self.dropout, self.training)
        y: Tensor = self.down(inner)
        return y


class GatedFeedForward(nn.Module):
    """y = W_down dropout(act(W_gate x) * W_up x).

    One map `up` makes [gate | up], 2 d_ff wide. With SiLU this is SwiGLU, with GELU GEGLU. Source:
    Shazeer 2020, "GLU Variants Improve Transformer", equations 5 and 6.
    """

    def __init__(self, choice: choices.GatedFeedForward, whole: Spec) -> None:
        super().__init__()
        self.activation, self.dropout = ACTIVATIONS[choice.activation], choice.dropout
        rows = (("matrix", choice.d_ff), ("matrix", choice.d_ff))
        self.up = Linear(whole.d_model, rows, choice.bias)
        self.down = Linear(choice.d_ff, (("residual", whole.d_model),), choice.bias)

    def forward(
        self, x: Float[Tensor, "... d_model"], context: Context
    ) -> Float[Tensor, "... d_model"]:
        """Widen twice, let one half open or close the other, narrow."""
        inner = drop(gated(self.activation, self.up(x)), self.dropout, self.training)
        y: Tensor = self.down(inner)
        return y
