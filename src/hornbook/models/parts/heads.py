"""From hidden states to scores of tokens: the head belongs to whoever needs the scores."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import spec


@dataclass(frozen=True)
class OutputHead:
    """logits = scale h W^T + b, of which only the first `vocab_size` are tokens.

    weight [padded_vocab, d_model] has zero rows from `vocab_size` on. Whoever multiplies with the
    whole of it must leave the padded columns out of the softmax. Losses read these four and form
    logits chunk by chunk; `logits` is the plain form for a few positions.
    """

    weight: Tensor
    bias: Tensor | None
    scale: float
    vocab_size: int

    def logits(self, hidden: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocab_size"]:
        """Scores of every token, padding trimmed, in the dtype of the weight."""
        weight = self.weight[: self.vocab_size]
        bias = None if self.bias is None else self.bias[: self.vocab_size]
        hidden = hidden.to(weight.dtype)
        return F.linear(hidden if self.scale == 1.0 else hidden * self.scale, weight, bias)


class TiedHead(nn.Module):
    """The token table read backwards: logits = h E^T. One tensor, two uses, one gradient.

    Source: Press and Wolf 2017; Vaswani et al. 2017, section 3.4; GPT-1 and GPT-2.
    """

    def __init__(self, choice: spec.TiedHead, whole: spec.Spec) -> None:
        super().__init__()
        self.vocab_size = whole.vocab_size

    def forward(self, table: Float[Tensor, "padded_vocab d_model"]) -> OutputHead:
        """The head over this token table."""
        return OutputHead(table, None, 1.0, self.vocab_size)
