"""Distances, told to attention as numbers added to the scores."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hornbook.models import choices
from hornbook.models.spec import Spec, Stack


class BucketBias(nn.Module):
    """B[h, q, k] = weight[bucket(k - q), h], one table for all layers of a stack.

    weight [n_buckets, n_heads]. With n buckets a direction (half of them each way where both are
    seen, all backwards where not) and m = n / 2: distances below m have a bucket each; further ones
    share, m + floor(ln(distance / m) / ln(max_distance / m) (n - m)), at most n - 1. Source: Raffel
    et al. 2020, section 2.1; the released code has the formula.
    """

    def __init__(self, choice: choices.BucketBias, stack: Stack, whole: Spec) -> None:
        super().__init__()
        self.roles = {"weight": "positions"}
        self.choice = choice
        heads = stack.attention.n_heads
        self.weight = nn.Parameter(torch.empty(choice.n_buckets, heads))

    def forward(self, start: int, new: int) -> Float[Tensor, "1 n_heads new all"]:
        """The bias of queries start .. start + new - 1 over the keys 0 .. start + new - 1."""
        keys = torch.arange(start + new, device=self.weight.device)
        distances = keys[None, :] - keys[start:, None]
        return self.weight[self.buckets(distances)].permute(2, 0, 1)[None].contiguous()

    def buckets(self, distances: Int[Tensor, "new all"]) -> Int[Tensor, "new all"]:
        """The bucket of each key - query."""
        n, offset, far = self.choice.n_buckets, torch.zeros_like(distances), -distances
        if self.choice.bidirectional:
            n, offset, far = n // 2, (distances > 0) * (n // 2), distances.abs()
        far = far.clamp(min=0)
        exact = n // 2
        steps = (far.clamp(min=1).float() / exact).log() / math.log(
            self.choice.max_distance / exact
        )
        shared = (exact + (steps * (n - exact)).long()).clamp(max=n - 1)
        return offset + torch.where(far < exact, far, shared)
