"""Networks: embedding, blocks, final norm; tokens in, hidden states out."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hornbook.batches import masks
from hornbook.models import spec as choices
from hornbook.models.parts import make
from hornbook.models.parts.cache import Cache
from hornbook.models.parts.heads import OutputHead
from hornbook.models.parts.visibility import see

DEFAULT_MASKS: dict[str, Callable[[], masks.Mask]] = {"causal": masks.causal}


@dataclass(frozen=True)
class Hidden:
    """What a network returns.

    `last` is the stream after the final norm. `states`, if asked for: the embeddings, then the
    stream after each block, the last of them after the final norm; otherwise empty.
    """

    last: Float[Tensor, "batch length d_model"]
    states: tuple[Tensor, ...] = ()


class Network(nn.Module):
    """One stack of blocks over one sequence: h = norm(block_L(... block_1(embedding(x)))).

    The stream runs in the dtype of the final norm. Names of parameters: `embedding.tokens.weight`,
    `embedding.positions.weight`, `blocks.N.…`, `final_norm.…`.
    """

    def __init__(self, spec: choices.Spec) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = make(spec.embedding, spec)
        self.blocks = nn.ModuleList(make(spec.block, spec) for _ in range(spec.n_layers))
        self.final_norm = make(spec.final_norm, spec.d_model)
        self.head = make(spec.head, spec)

    def forward(
        self,
        tokens: Int[Tensor, "batch length"],
        *,
        mask: masks.Mask | None = None,
        positions: Int[Tensor, "batch length"] | None = None,
        segments: Int[Tensor, "batch length"] | None = None,
        cache: Cache | None = None,
        hidden_states: bool = False,
    ) -> Hidden:
        """Hidden states of `tokens`, which follow those that `cache` holds.

        Without a mask the family's own is used. Without positions they count on from the cache's
        length. A mask speaks of places in the sequence, the cache included; positions are only what
        the position vectors are looked up by.
        """
        start = 0 if cache is None else cache.length
        batch, length = tokens.shape
        if cache is not None:
            cache.require_room(batch, length)
        if positions is None:
            positions = torch.arange(start, start + length, device=tokens.device)[None]
        visibility = see(mask or DEFAULT_MASKS[self.spec.mask](), start, length, tokens.device)
        x = self.embedding(tokens, positions, self.final_norm.weight.dtype)
        states = [x] if hidden_states else []
        for number, block in enumerate(self.blocks):
            x = block(x, visibility, None if cache is None else cache.layer(number))
            if hidden_states:
                states.append(x)
        last = self.final_norm(x)
        if cache is not None:
            cache.length += length
        return Hidden(last, (*states[:-1], last) if hidden_states else ())

    @property
    def output(self) -> OutputHead:
        """The head, for whoever forms losses or logits."""
        head: OutputHead = self.head(self.embedding.tokens.weight)
        return head

    def logits(self, hidden: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocab_size"]:
        """Scores of every token at these hidden states; for a few positions, not for a batch."""
        return self.output.logits(hidden)

    def new_cache(self, batch: int, length: int, dtype: torch.dtype | None = None) -> Cache:
        """An empty cache for `batch` rows of up to `length` tokens."""
        attention, table = self.spec.block.attention, self.embedding.tokens.weight
        shape = (batch, attention.n_kv_heads, length, attention.d_head)
        return Cache(self.spec.n_layers, shape, dtype or table.dtype, table.device)

    def expected_first_loss(self) -> float:
        """The loss in nats a token that fresh weights give: ln V + d_model std^2 / 2.

        The final norm makes hidden states of length sqrt(d_model); against rows drawn from
        N(0, std^2) logits are N(0, d_model std^2), whose log-sum-exp over V of them is that sum.
        """
        return choices.expected_first_loss(self.spec)
