"""Attention as a module: one fused projection, heads, and the kernel that suits the call."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import spec
from hornbook.models.parts.block_attention import block_attention
from hornbook.models.parts.cache import KeysValues
from hornbook.models.parts.linear import Linear
from hornbook.models.parts.visibility import Visibility


class Attention(nn.Module):
    """y = W_o concat_h(softmax(Q_h K_h^T / sqrt(d_head) + mask) V_h) + b_o.

    One map `qkv` makes [Q | K | V] in that order: n_heads queries, n_kv_heads keys, n_kv_heads
    values of width d_head; query head h reads key-value head h // (n_heads / n_kv_heads). In
    training, dropout falls on the probabilities. Sources: Vaswani et al. 2017, section 3.2;
    shared key-value heads: Shazeer 2019, Ainslie et al. 2023.
    """

    def __init__(self, choice: spec.Attention, whole: spec.Spec) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads = choice.n_heads, choice.n_kv_heads
        self.d_head, self.dropout = choice.d_head, choice.dropout
        width = choice.n_heads * choice.d_head
        fused = width + 2 * choice.n_kv_heads * choice.d_head
        self.qkv = Linear(whole.d_model, fused, choice.bias)
        self.out = Linear(width, whole.d_model, choice.bias, residual=True)

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        visibility: Visibility,
        cache: KeysValues | None,
    ) -> Float[Tensor, "batch length d_model"]:
        """Let every position read those it sees."""
        qkv = self.qkv(x)
        dropout = self.dropout if self.training else 0.0
        if visibility.in_blocks:
            y = block_attention(qkv, self.n_heads, self.n_kv_heads, visibility.documents, dropout)
        else:
            y = self._whole(qkv, visibility, cache, dropout)
        mixed: Tensor = self.out(y)
        return mixed

    def _whole(
        self,
        qkv: Float[Tensor, "batch length fused"],
        visibility: Visibility,
        cache: KeysValues | None,
        dropout: float,
    ) -> Float[Tensor, "batch length heads_width"]:
        """torch's scaled_dot_product_attention over the cache and the new tokens."""
        heads, shared = self.n_heads, self.n_kv_heads
        split = qkv.view(*qkv.shape[:2], heads + 2 * shared, self.d_head).transpose(1, 2)
        q, k, v = torch.split(split, [heads, shared, shared], dim=1)
        if cache is not None:
            k, v = cache.append(k, v)
        y = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=visibility.allowed,
            dropout_p=dropout,
            is_causal=visibility.causal,
            enable_gqa=heads != shared,
        )
        return y.transpose(1, 2).flatten(2)
