"""Attention by content, distance and segment, each with a bias of its own (XLNet)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hornbook.models import choices
from hornbook.models.parts.cache import LayerCache
from hornbook.models.parts.dropout import drop
from hornbook.models.parts.linear import Linear
from hornbook.models.spec import Spec


@dataclass(frozen=True)
class Outlook:
    """What one stream's queries see, and from where.

    distances [all + new + 1, d_model]: sinusoids of the distances all, all - 1, …, -new.
    first: place of the first query, counted from the first new token; the others follow it.
    places [batch, queries]: the queries' places in the whole sequence, where they do not follow
    one another. allowed: True where a query sees a key; None: every key. other: True where query
    and key belong to different segments; None: segments are not told apart.
    """

    distances: Float[Tensor, "distances d_model"]
    first: int = 0
    places: Int[Tensor, "batch queries"] | None = None
    allowed: Bool[Tensor, "batch 1 queries all"] | None = None
    other: Bool[Tensor, "batch 1 queries all"] | None = None


class RelativeAttention(nn.Module):
    """a_ij = ((q_i + u) k_j + (q_i + v) W_r R(i - j) + (q_i + w) s_ij) / sqrt(d_head), softmax, V.

    u, v, w [n_heads, d_head] are `content_bias`, `distance_bias`, `segment_bias`; R(d) are
    sinusoids, all sines first; s_ij is row 0 of `segment_table` [2, n_heads, d_head] within a
    segment, row 1 across. Keys and values always come from the content stream, and from what is
    remembered of it. No biases of maps. Sources: Dai et al. 2019, "Transformer-XL", section 3.3;
    Yang et al. 2019, "XLNet", sections 2.3 to 2.5.
    """

    def __init__(self, choice: choices.RelativeAttention, whole: Spec) -> None:
        super().__init__()
        self.choice, self.width = choice, choice.n_heads * choice.d_head
        rows = tuple((role, self.width) for role in ("query", "key", "value"))
        self.qkv = Linear(whole.d_model, rows, bias=False)
        self.relative = Linear(whole.d_model, (("matrix", self.width),), bias=False)
        self.out = Linear(self.width, (("residual", whole.d_model),), bias=False)
        heads = (choice.n_heads, choice.d_head)
        names = ("content_bias", "distance_bias", "segment_bias", "segment_table")
        self.roles = dict.fromkeys(names, "positions")
        self.content_bias = nn.Parameter(torch.empty(heads))
        self.distance_bias = nn.Parameter(torch.empty(heads))
        self.segment_bias = nn.Parameter(torch.empty(heads))
        self.segment_table = nn.Parameter(torch.empty(2, *heads))

    def keys_values(
        self, states: Float[Tensor, "batch new d_model"], cache: LayerCache | None
    ) -> tuple[Tensor, Tensor]:
        """Keys and values [batch, n_heads, all, d_head] of the remembered and the new states."""
        if cache is not None:
            (kept,) = cache.append(states.detach()[:, :, None])
            # What is remembered has no gradient; what is new keeps its own.
            states = torch.cat([kept[:, : cache.start, 0], states], dim=1)
        weight = self.qkv.weight[self.width :]
        kv = F.linear(states.to(weight.dtype), weight)
        k, v = self._heads(kv).chunk(2, dim=1)
        return k, v

    def forward(
        self,
        x: Float[Tensor, "batch queries d_model"],
        keys_values: tuple[Tensor, Tensor],
        outlook: Outlook,
    ) -> Float[Tensor, "batch queries d_model"]:
        """Let every query of a stream read the content that it sees."""
        k, v = keys_values
        weight = self.qkv.weight[: self.width]
        q = self._heads(F.linear(x.to(weight.dtype), weight))
        r = self._heads(self.relative(outlook.distances)[None])
        scores = (q + self._bias(self.content_bias, q)) @ k.transpose(2, 3)
        by_distance = (q + self._bias(self.distance_bias, q)) @ r.transpose(2, 3)
        scores = scores + _at_distances(by_distance, outlook, k.shape[2])
        if outlook.other is not None:
            own = q + self._bias(self.segment_bias, q)
            same, different = torch.einsum(
                "bhqd,shd->sbhq", own, self.segment_table.to(q.dtype)
            ).unbind(0)
            scores = scores + torch.where(outlook.other, different[..., None], same[..., None])
        scores = scores * self.choice.d_head**-0.5
        if outlook.allowed is not None:
            scores = scores.masked_fill(~outlook.allowed, torch.finfo(scores.dtype).min)
        p = scores.softmax(-1)
        if outlook.allowed is not None:
            p = p.masked_fill(~outlook.allowed, 0.0)  # a query that sees nothing reads nothing
        p = drop(p, self.choice.dropout, self.training)
        mixed: Tensor = self.out((p @ v).transpose(1, 2).flatten(2))
        return mixed

    def _heads(self, x: Float[Tensor, "batch length width"]) -> Tensor:
        """[batch, heads, length, d_head]."""
        return x.view(*x.shape[:2], -1, self.choice.d_head).transpose(1, 2)

    @staticmethod
    def _bias(bias: Tensor, q: Tensor) -> Tensor:
        return bias[:, None].to(q.dtype)


def _at_distances(
    scores: Float[Tensor, "batch n_heads queries distances"], outlook: Outlook, keys: int
) -> Float[Tensor, "batch n_heads queries all"]:
    """From scores of every distance (all, …, -new) to those of every key.

    The query at place p finds key j in column all - (p - j). Where queries follow one another, each
    row's columns begin one earlier than those of the row before, which is a change of view.
    """
    queries, n = scores.shape[2:]
    if outlook.places is not None:
        every = torch.arange(keys, device=scores.device)
        columns = keys - outlook.places[:, :, None] + every
        return scores.gather(3, columns[:, None].expand(*scores.shape[:3], keys))
    offset = n - 1 - keys - outlook.first
    flat = scores.flatten(2)[..., offset : offset + queries * (n - 1)]
    return flat.view(*flat.shape[:2], queries, n - 1)[..., :keys]
