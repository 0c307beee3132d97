"""Chance that keeps units from leaning on each other."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def drop(x: Float[Tensor, "*shape"], rate: float, training: bool) -> Float[Tensor, "*shape"]:
    """In training x m / (1 - rate), each m 0 with probability `rate`, else 1; x itself otherwise.

    Source: Srivastava et al. 2014, section 4, with the division where they multiply the weights
    after training.
    """
    if not (training and rate):
        return x  # asking torch would cost as much as adding two vectors
    return F.dropout(x, rate)
