"""How well a decoder's state and a place of the source go together: what attention was made of."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hornbook.models.parts.linear import Linear

States = Float[Tensor, "batch target d_hidden"]
Places = Float[Tensor, "batch source width"]
Scores = Float[Tensor, "batch target source"]


class Dot(nn.Module):
    """e_ij = s_i · h_j. Source: Luong et al. 2015, equation 8."""

    def __init__(self, d_hidden: int, d_source: int, d_align: int) -> None:
        super().__init__()

    def keys(self, source: Places) -> Places:
        """What is made of the source once."""
        return source

    def forward(self, states: States, keys: Places) -> Scores:
        """Scores of every state and place, in the dtype of the keys."""
        return states.to(keys.dtype) @ keys.transpose(1, 2)


class General(Dot):
    """e_ij = s_i · W h_j. Source: Luong et al. 2015, equation 8."""

    def __init__(self, d_hidden: int, d_source: int, d_align: int) -> None:
        super().__init__(d_hidden, d_source, d_align)
        self.source = Linear(d_source, (("matrix", d_hidden),), bias=False)

    def keys(self, source: Places) -> Places:
        """W h_j."""
        made: Tensor = self.source(source)
        return made


class Concat(Dot):
    """e_ij = v · tanh(W s_i + U h_j), which is v · tanh([W U] [s_i ; h_j]).

    Source: Bahdanau et al. 2015, section 3.1 and appendix A.1.2; Luong et al. 2015, equation 8.
    """

    def __init__(self, d_hidden: int, d_source: int, d_align: int) -> None:
        super().__init__(d_hidden, d_source, d_align)
        self.state = Linear(d_hidden, (("matrix", d_align),), bias=False)
        self.source = Linear(d_source, (("matrix", d_align),), bias=False)
        self.score = Linear(d_align, (("matrix", 1),), bias=False)

    def keys(self, source: Places) -> Places:
        """U h_j."""
        made: Tensor = self.source(source)
        return made

    def forward(self, states: States, keys: Places) -> Scores:
        """Scores of every state and place."""
        inner = torch.tanh(self.state(states)[:, :, None] + keys[:, None])
        scores: Tensor = self.score(inner).squeeze(-1)
        return scores


SCORES = {"dot": Dot, "general": General, "concat": Concat}


def weigh(scores: Scores, allowed: Bool[Tensor, "batch 1 source"] | None) -> Scores:
    """softmax over the places of the source that are there, in float32 at least.

    Where nothing is there nothing is read.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if allowed is None:
        return scores.softmax(-1)
    return scores.masked_fill(~allowed, float("-inf")).softmax(-1).masked_fill(~allowed, 0.0)
