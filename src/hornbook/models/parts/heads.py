"""From hidden states to scores of tokens: the head belongs to whoever needs the scores."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import choices
from hornbook.models.parts import make
from hornbook.models.parts.activations import ACTIVATIONS
from hornbook.models.parts.linear import Linear
from hornbook.models.spec import Spec


@dataclass(frozen=True)
class OutputHead:
    """logits = scale f(h) W^T + b, of which only the first `vocab_size` are tokens.

    weight [padded_vocab, d_model] has zero rows from `vocab_size` on. Whoever multiplies with the
    whole of it must leave the padded columns out of the softmax. Losses read these five and form
    logits chunk by chunk; `logits` is the plain form for a few positions. `transform` is f, if any.
    """

    weight: Tensor
    bias: Tensor | None
    scale: float
    vocab_size: int
    transform: Callable[[Tensor], Tensor] | None = None

    def enter(self, hidden: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """f(h), in the dtype of the weight."""
        hidden = hidden if self.transform is None else self.transform(hidden)
        return hidden.to(self.weight.dtype)

    def logits(self, hidden: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocab_size"]:
        """Scores of every token, padding trimmed, in the dtype of the weight."""
        weight = self.weight[: self.vocab_size]
        bias = None if self.bias is None else self.bias[: self.vocab_size].to(weight.dtype)
        hidden = self.enter(hidden)
        return F.linear(hidden if self.scale == 1.0 else hidden * self.scale, weight, bias)


class TiedHead(nn.Module):
    """The token table read backwards: logits = scale h E^T + b. One tensor, two uses.

    Source: Press and Wolf 2017; Vaswani et al. 2017, section 3.4; with scale 1/sqrt(d_model):
    Raffel et al. 2020's released code, Chowdhery et al. 2022, section 5.
    """

    rows_are_tokens = ("bias",)

    def __init__(self, choice: choices.TiedHead, whole: Spec) -> None:
        super().__init__()
        self.roles = {"bias": "bias"}
        self.scale, self.vocab_size = choice.scale, whole.vocab_size
        self.bias = nn.Parameter(torch.empty(whole.padded_vocab)) if choice.bias else None

    def forward(self, table: Float[Tensor, "padded_vocab d_model"]) -> OutputHead:
        """The head over this token table."""
        return OutputHead(table, self.bias, self.scale, self.vocab_size)


class UntiedHead(nn.Module):
    """logits = h W^T + b with a matrix of its own, weight [padded_vocab, width of the states].

    Source: Touvron et al. 2023's released code; Shazeer et al., T5 1.1.
    """

    computes_low = True
    rows_are_tokens = ("weight", "bias")

    def __init__(self, choice: choices.UntiedHead, whole: Spec) -> None:
        super().__init__()
        self.roles = {"weight": "head", "bias": "bias"}
        self.vocab_size = whole.vocab_size
        self.weight = nn.Parameter(torch.empty(whole.padded_vocab, whole.d_output))
        self.bias = nn.Parameter(torch.empty(whole.padded_vocab)) if choice.bias else None

    def forward(self, table: Float[Tensor, "padded_vocab d_model"]) -> OutputHead:
        """The head; the token table is not used."""
        return OutputHead(self.weight, self.bias, 1.0, self.vocab_size)


class MaskedHead(nn.Module):
    """logits = norm(act(W h + c)) E^T + b: a transform before the tied table, and a bias.

    Losses apply the transform only to positions that have a target. Source: Devlin et al. 2019,
    section 3.1; the released code has the transform.
    """

    rows_are_tokens = ("bias",)

    def __init__(self, choice: choices.MaskedHead, whole: Spec) -> None:
        super().__init__()
        self.roles = {"bias": "bias"}
        self.vocab_size = whole.vocab_size
        self.dense = Linear(whole.d_model, (("matrix", whole.d_model),), bias=True)
        self.activation = ACTIVATIONS[choice.activation]
        self.norm = make(choice.norm, whole.d_model)
        self.bias = nn.Parameter(torch.empty(whole.padded_vocab))

    def transform(self, hidden: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """norm(act(W h + c))."""
        y: Tensor = self.norm(self.activation(self.dense(hidden)))
        return y

    def forward(self, table: Float[Tensor, "padded_vocab d_model"]) -> OutputHead:
        """The head over this token table."""
        return OutputHead(table, self.bias, 1.0, self.vocab_size, self.transform)


class Pooler(nn.Module):
    """p = tanh(W h_0 + b), and scores V p + c of `classes` kinds of pairs; h_0 is the first state.

    For next-sentence prediction class 0 means that the second text follows the first. Source:
    Devlin et al. 2019, section 3.1; the released code has the tanh and the order of classes.
    """

    def __init__(self, choice: choices.Pooler, whole: Spec) -> None:
        super().__init__()
        self.dense = Linear(whole.d_model, (("matrix", whole.d_model),), bias=True)
        self.classes = Linear(whole.d_model, (("matrix", choice.classes),), bias=True)

    def pool(self, hidden: Float[Tensor, "batch length d_model"]) -> Float[Tensor, "batch d_model"]:
        """One vector a row."""
        pooled: Tensor = self.dense(hidden[:, 0]).tanh()
        return pooled

    def forward(
        self, hidden: Float[Tensor, "batch length d_model"]
    ) -> Float[Tensor, "batch classes"]:
        """Scores of the kinds of pairs."""
        scores: Tensor = self.classes(self.pool(hidden))
        return scores
