"""How sublayers, norms and the residual stream are arranged in one block."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import spec
from hornbook.models.parts import make
from hornbook.models.parts.cache import KeysValues
from hornbook.models.parts.visibility import Visibility


class PreNormBlock(nn.Module):
    """x <- x + dropout(attention(norm(x))), then x <- x + dropout(feedforward(norm(x))).

    The stream x is never normalised itself. Source: Radford et al. 2019, section 2.3; Xiong et al.
    2020 for why it trains without warm-up.
    """

    def __init__(self, choice: spec.PreNormBlock, whole: spec.Spec) -> None:
        super().__init__()
        self.attention_norm = make(choice.norm, whole.d_model)
        self.attention = make(choice.attention, whole)
        self.feedforward_norm = make(choice.norm, whole.d_model)
        self.feedforward = make(choice.feedforward, whole)
        self.dropout = choice.dropout

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        visibility: Visibility,
        cache: KeysValues | None,
    ) -> Float[Tensor, "batch length d_model"]:
        """One step of the stream."""
        y = self.attention(self.attention_norm(x), visibility, cache)
        x = x + F.dropout(y, self.dropout, self.training)
        y = self.feedforward(self.feedforward_norm(x))
        return x + F.dropout(y, self.dropout, self.training)
