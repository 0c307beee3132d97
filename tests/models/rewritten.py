"""Parts written anew, as patches: what may be mistaken about one is an argument.

So the same part can also be written without the mistake, and be shown to be right.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from plants import Patch
from torch import Tensor

from hornbook.models.parts import attention, blocks, experts, norms, relative


def attend_with(weigh: Callable[[Tensor, Tensor], Tensor]) -> Patch:
    """Attention whose probabilities are weigh(scores, hidden)."""

    def attend(q, k, v, choice, seen, added, training):
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) * choice.d_head**-0.5
        if seen.allowed is not None:
            hidden = ~seen.allowed
        else:
            hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1) & seen.causal
        p = weigh(scores, hidden)
        return torch.einsum("bhqk,bkhd->bqhd", p, v).flatten(2)

    return lambda patch: patch.setattr(attention, "attend", attend)


hidden_before = attend_with(lambda scores, hidden: scores.masked_fill(hidden, -1e9).softmax(-1))
hidden_after = attend_with(lambda scores, hidden: scores.softmax(-1).masked_fill(hidden, 0.0))
hidden_as_zero = attend_with(lambda scores, hidden: scores.masked_fill(hidden, 0.0).softmax(-1))


def layer_norm_with(correction: int) -> Patch:
    """Layer norm whose variance divides by n - correction."""

    def forward(self, x):
        variance = x.var(-1, correction=correction, keepdim=True)
        y = (x - x.mean(-1, keepdim=True)) / (variance + self.eps).sqrt()
        return y * self.weight + self.bias

    return lambda patch: patch.setattr(norms.LayerNorm, "forward", forward)


def rms_norm_with(centred: bool = False, outside: bool = False) -> Patch:
    def forward(self, x):
        x = x - x.mean(-1, keepdim=True) if centred else x
        square = x.square().mean(-1, keepdim=True)
        root = square.sqrt() + self.eps if outside else (square + self.eps).sqrt()
        return x / root * self.weight

    return lambda patch: patch.setattr(norms.RMSNorm, "forward", forward)


def parallel_with(read: Callable[..., Tensor]) -> Patch:
    """A parallel block whose feed-forward reads read(block, x, n, attention's output)."""

    def forward(self, x, told, cache):
        n = self.norm(x)
        y = self.attention(n, told, cache)
        return x + y + self.feedforward(read(self, x, n, y), told)

    return lambda patch: patch.setattr(blocks.ParallelBlock, "forward", forward)


def residual_with(of: Callable[[Tensor, Tensor], Tensor]) -> Patch:
    """ChatGLM's block with the residual taken from of(stream, normed stream)."""

    def forward(self, x, told, cache):
        u = self.attention_norm(x)
        x = self.scale * of(x, u) + self.attention(u, told, cache)
        u = self.feedforward_norm(x)
        return self.scale * of(x, u) + self.feedforward(u, told)

    return lambda patch: patch.setattr(blocks.NormedResidualBlock, "forward", forward)


def grouped_with(repeat: Callable[[Tensor, int], Tensor]) -> Patch:
    """Keys and values repeated for each query head."""
    right = attention.attend

    def attend(q, k, v, choice, *rest):
        times = choice.n_heads // choice.n_kv_heads
        choice = replace(choice, n_kv_heads=choice.n_heads)
        return right(q, repeat(k, times), repeat(v, times), choice, *rest)

    return lambda patch: patch.setattr(attention, "attend", attend)


def experts_with(weigh: Callable[[Tensor], Tensor]) -> Patch:
    """Experts weighted by weigh(the probabilities of the chosen)."""

    def forward(self, x, told):
        rows = x.flatten(0, -2)
        p = self.router(rows).softmax(-1)
        chosen, which = p.topk(self.choice.n_active, dim=-1)
        factors, y = weigh(chosen), []
        for row, expert, factor in zip(rows, which, factors, strict=True):
            gates, ups = (self.up[expert] @ row).chunk(2, dim=-1)
            said = torch.einsum("edf,ef->ed", self.down[expert], self.activation(gates) * ups)
            y.append(factor @ said)
        return torch.stack(y).view(x.shape)

    return lambda patch: patch.setattr(experts.Experts, "forward", forward)


def on_distances(columns: Callable[[Tensor, int], Tensor]) -> Patch:
    """XLNet's scores by distance: columns(query's place - key's place, number of keys)."""

    def at_distances(scores, outlook, keys):
        queries = torch.arange(scores.shape[2])[None]
        start = keys - (scores.shape[3] - 1 - keys)
        places = queries + outlook.first + start if outlook.places is None else outlook.places
        chosen = columns(places[:, :, None] - torch.arange(keys), keys)
        return scores.gather(3, chosen[:, None].expand(*scores.shape[:3], keys))

    return lambda patch: patch.setattr(relative, "_at_distances", at_distances)
