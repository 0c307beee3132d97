"""Attention as a module: projections, heads, and the kernel that suits the call."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import choices
from hornbook.models.parts import make
from hornbook.models.parts.block_attention import Rules, block_attention
from hornbook.models.parts.cache import LayerCache
from hornbook.models.parts.context import Context, Visibility
from hornbook.models.parts.linear import Linear
from hornbook.models.spec import Spec


class Attention(nn.Module):
    """y = W_o concat_h(softmax(scale Q_h K_h^T + mask) V_h) + b_o, scale = 1 / sqrt(d_head).

    One map `qkv` makes [Q | K | V] in that order: n_heads queries, n_kv_heads keys, n_kv_heads
    values of width d_head; query head h reads key-value head h // (n_heads / n_kv_heads). Before
    they meet, queries and keys may be normalised and turned. In training, dropout falls on the
    probabilities. Sources: Vaswani et al. 2017, section 3.2; one shared key-value head: Shazeer
    2019; groups of them: Ainslie et al. 2023; norms of heads: Henry et al. 2020; bands: Child et
    al. 2019, section 4.2 (their strides are left out).
    """

    def __init__(self, choice: choices.Attention, whole: Spec) -> None:
        super().__init__()
        self.choice = choice
        self.sizes = [choice.n_heads, choice.n_kv_heads, choice.n_kv_heads]
        rows = tuple(
            (role, heads * choice.d_head)
            for role, heads in zip(("query", "key", "value"), self.sizes, strict=True)
        )
        self.qkv = Linear(whole.d_model, rows, choice.bias)
        width = choice.n_heads * choice.d_head
        self.out = Linear(width, (("residual", whole.d_model),), choice.out_bias)
        if choice.head_norm is not None:
            self.query_norm = make(choice.head_norm, choice.d_head)
            self.key_norm = make(choice.head_norm, choice.d_head)

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        context: Context,
        cache: LayerCache | None,
    ) -> Float[Tensor, "batch length d_model"]:
        """Let every position read those it sees."""
        choice, qkv = self.choice, self.qkv(x)
        heads = qkv.view(*qkv.shape[:2], -1, choice.d_head)
        q, k, v = torch.split_with_sizes(heads, self.sizes, 2)
        if choice.head_norm is not None:
            q, k = self.query_norm(q).to(qkv.dtype), self.key_norm(k).to(qkv.dtype)
        if choice.rotation is not None:
            q, k = context.rotate(choice.rotation, q), context.rotate(choice.rotation, k)
        seen = context.visibility(choice.band)
        if cache is not None:
            k, v = cache.append(k, v)
        y = attend(q, k, v, choice, seen, context.bias, self.training)
        mixed: Tensor = self.out(y)
        return mixed


class CrossAttention(nn.Module):
    """As attention, but keys and values are made from the encoder's states.

    `query` makes Q from the target, `kv` makes [K | V] from the source; a cache keeps them. Source:
    Vaswani et al. 2017, section 3.2.3.
    """

    def __init__(self, choice: choices.CrossAttention, whole: Spec) -> None:
        super().__init__()
        self.choice = choice
        width, shared = choice.n_heads * choice.d_head, choice.n_kv_heads * choice.d_head
        self.query = Linear(whole.d_model, (("query", width),), choice.bias)
        self.kv = Linear(whole.d_model, (("key", shared), ("value", shared)), choice.bias)
        self.out = Linear(width, (("residual", whole.d_model),), choice.out_bias)

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        context: Context,
        cache: LayerCache | None,
    ) -> Float[Tensor, "batch length d_model"]:
        """Let every position of the target read the source."""
        assert context.source is not None
        q = self.query(x).unflatten(-1, (-1, self.choice.d_head))
        if cache is not None and cache.source:
            k, v = cache.source
        else:
            kv = self.kv(context.source.states).unflatten(-1, (-1, self.choice.d_head))
            k, v = kv.chunk(2, dim=2)
            if cache is not None:
                k, v = (part.to(cache.kept[0].dtype) for part in (k, v))
                cache.source.extend((k, v))
        y = attend(q, k, v, self.choice, context.source_visibility(), None, self.training)
        mixed: Tensor = self.out(y)
        return mixed


def attend(
    q: Float[Tensor, "batch queries n_heads d_head"],
    k: Float[Tensor, "batch keys n_kv_heads d_head"],
    v: Float[Tensor, "batch keys n_kv_heads d_head"],
    heads: choices.Heads,
    seen: Visibility,
    bias: Float[Tensor, "1 n_heads queries keys"] | None,
    training: bool,
) -> Float[Tensor, "batch queries heads_width"]:
    """softmax(scale Q K^T + bias + mask) V by the faster of two kernels, our blocks or torch's.

    In the dtype of K, which a cache may hold in a higher one than Q is computed in.
    """
    q = q.to(k.dtype)
    scale = heads.d_head**-0.5 if heads.scale is None else heads.scale
    dropout = heads.dropout if training else 0.0
    # Where every key is seen blocks save no work: torch's kernel is then faster in float32.
    plain = not seen.causal and bias is None and not dropout and q.dtype == torch.float32
    if seen.in_blocks and not plain:
        rules = Rules(scale, seen.causal, seen.documents, seen.allowed, dropout)
        return block_attention(q, k, v, rules, bias)
    mask = seen.allowed
    if bias is not None:
        mask = bias.to(q.dtype) if mask is None else bias.to(q.dtype).where(mask, float("-inf"))
        if seen.causal and seen.allowed is None:
            future = mask.new_full(mask.shape[-2:], float("-inf")).triu(1)
            mask = mask + future
    y = F.scaled_dot_product_attention(
        q.transpose(1, 2),
        k.transpose(1, 2),
        v.transpose(1, 2),
        attn_mask=mask,
        dropout_p=dropout,
        is_causal=seen.causal and mask is None,
        scale=scale,
        enable_gqa=heads.n_heads != heads.n_kv_heads,
    )
    return y.transpose(1, 2).flatten(2)
