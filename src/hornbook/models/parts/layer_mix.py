"""One vector a token from the states of all layers: a weighted sum that a task learns."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.errors import InputError


class LayerMix(nn.Module):
    """e = gamma Σ_j softmax(w)_j h_j, over the states h_0 .. h_L of a token.

    It begins as their mean. norm: every h_j is normalised first (mean 0, variance 1, no gain), for
    layers whose states differ in size. Source: Peters et al. 2018, equation 1, whose released code
    takes mean and variance of a layer over all tokens of a batch; here each vector has its own, so
    that a text does not depend on its neighbours.
    """

    def __init__(self, n_states: int, norm: bool = False) -> None:
        super().__init__()
        self.roles = {"weights": "bias", "gamma": "gain"}
        self.norm = norm
        self.weights = nn.Parameter(torch.zeros(n_states))
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(
        self, states: Sequence[Float[Tensor, "*token width"]]
    ) -> Float[Tensor, "*token width"]:
        """The sum; `states` are the network's, or a tensor with the layers in front.

        Raises InputError for another number of layers.
        """
        if len(states) != len(self.weights):
            raise InputError(
                f"This mix has {len(self.weights)} weights and got the states of {len(states)} "
                "layers, the embeddings among them; make it for as many."
            )
        shares = self.weights.softmax(0)
        given = [F.layer_norm(h, h.shape[-1:]) for h in states] if self.norm else states
        terms = [share * h for share, h in zip(shares, given, strict=True)]
        return self.gamma * torch.stack(terms).sum(0)
