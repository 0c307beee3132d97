"""A network of two streams: one holds contents, one predicts what it does not see (XLNet)."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor, nn

from hornbook.batches import masks
from hornbook.batches.masks import Mask
from hornbook.errors import InputError
from hornbook.models import spec as specs
from hornbook.models.choices import SinusoidalPositions
from hornbook.models.parts import make
from hornbook.models.parts.cache import Cache, empty_cache
from hornbook.models.parts.context import Context
from hornbook.models.parts.dropout import drop
from hornbook.models.parts.readings import CausalReading
from hornbook.models.parts.relative import Outlook
from hornbook.models.stacks import Hidden, Network, Tokens, lay_stack, layers, require_kind


@dataclass(frozen=True)
class Queries:
    """The places that are predicted, and what each may see.

    places [batch or 1, queries]: in the sequence, the cache included. mask: the query stream's
    rule, which is asked for `asked` [the same shape], or for the places themselves.
    """

    places: Int[Tensor, "batch queries"]
    mask: Mask
    asked: Int[Tensor, "batch queries"] | None = None


class TwoStreamNetwork(Network):
    """Content stream h: x_i and what h_i may see; query stream g: the place i, not its content.

    Both run through the same blocks; keys and values are always those of h. g starts as one
    learned vector, `query`. Without queries there is one stream, h, and it sees everything. The
    cache remembers the states of h, before each block: generation fills it, and so does training by
    segments, in which what is remembered has no gradient. Source: Yang et al. 2019, "XLNet",
    sections 2.3 and 2.4.
    """

    blocks: Any

    def __init__(self, spec: specs.Spec) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = make(spec.embedding, spec)
        self.roles = {"query": "embedding"}
        self.query = nn.Parameter(torch.empty(1, spec.d_model))
        lay_stack(self, spec.stack, spec)
        self.head = make(spec.head, spec)
        self.sinusoids = make(SinusoidalPositions("halves"), spec)

    def forward(
        self,
        tokens: Tokens,
        *,
        mask: Mask | None = None,
        positions: Tensor | None = None,
        segments: Tokens | None = None,
        cache: Cache | None = None,
        hidden_states: bool = False,
        queries: Queries | None = None,
        query_segments: Int[Tensor, "batch queries"] | None = None,
    ) -> Hidden:
        """Hidden states of the query stream where there are queries, else of the content stream.

        A mask speaks of places, the cache included, and is the content stream's. Remembered tokens
        count as segment 0. `states` are those of the content stream.
        """
        if positions is not None:
            raise InputError("This model knows distances only; call it without positions.")
        start, (batch, new) = 0 if cache is None else cache.length, tokens.shape
        if cache is not None:
            require_kind(cache, self.spec.stack)
            cache.require_room(batch, new)
        here = torch.arange(start, start + new, device=tokens.device)[None]
        distances = self._distances(start + new, new)
        all_segments = None if segments is None else F.pad(segments, (start, 0))
        content = Outlook(
            distances,
            allowed=_allowed(mask or masks.full(), here, start + new),
            other=_other(segments, all_segments),
        )
        h = self.embedding(tokens, here, None, self.dtype)
        g, view = None, content
        if queries is not None:
            g = self.query.expand(batch, queries.places.shape[1], -1).to(self.dtype)
            g = drop(g, self.spec.embedding.dropout, self.training)
            view = self._view(queries, distances, start, new, query_segments, all_segments)
        return self._run(h, g, content, view, cache, hidden_states)

    def _run(
        self,
        h: Tensor,
        g: Tensor | None,
        content: Outlook,
        view: Outlook,
        cache: Cache | None,
        hidden_states: bool,
    ) -> Hidden:
        context = Context(masks.full(), 0, torch.zeros(1, device=h.device), new=0)
        states = [h] if hidden_states else []
        for number, block in layers(self.blocks, self.spec.stack):
            layer = None if cache is None else cache.layer(number)
            keys_values = block.attention.keys_values(h, layer)
            y = block.attention(h, keys_values, content)
            if g is not None:
                z = block.attention(g, keys_values, view)
                g = block.finish(block.add(block.attention_norm, g, z), context)
            h = block.finish(block.add(block.attention_norm, h, y), context)
            if hidden_states:
                states.append(h)
        if cache is not None:
            cache.length += h.shape[1]
        last = drop(h if g is None else g, self.spec.stack.dropout, self.training)
        return Hidden(last, tuple(states))

    def place(
        self, tokens: Tokens, starts: Int[Tensor, " batch"] | None = None
    ) -> tuple[None, Mask]:
        """No positions, and left-to-right order; `starts` tokens at the left are padding."""
        return None, CausalReading(self.spec.reading).mask(tokens, starts)

    def predict_next(
        self,
        tokens: Tokens,
        *,
        mask: Mask | None = None,
        positions: Tensor | None = None,
        segments: Tokens | None = None,
        cache: Cache | None = None,
        hidden_states: bool = False,
        **rules: Any,
    ) -> Hidden:
        """Hidden states that predict the token after each, in left-to-right order.

        The query for the place after token i sees what token i's content sees: by default tokens up
        to i. Positions are not needed: documents in a row are told apart by the mask alone.
        """
        start = 0 if cache is None else cache.length
        places = torch.arange(start, start + tokens.shape[1], device=tokens.device)[None]
        mask = mask or masks.causal()
        hidden: Hidden = self(
            tokens,
            mask=mask,
            segments=segments,
            cache=cache,
            hidden_states=hidden_states,
            queries=Queries(places + 1, mask, asked=places),
            query_segments=segments,
            **rules,
        )
        return hidden

    def new_cache(self, batch: int, length: int, dtype: torch.dtype | None = None) -> Cache:
        """An empty memory of states for `batch` rows of up to `length` tokens."""
        shape = (1, batch, length, 1, self.spec.d_model)
        return empty_cache(self.spec.n_layers, shape, dtype or self.dtype, self.table.device)

    def _distances(self, every: int, new: int) -> Tensor:
        """Sinusoids of the distances every, every - 1, …, -new."""
        order = torch.arange(every, -new - 1, -1, device=self.table.device)
        table: Tensor = self.sinusoids(order, self.dtype)
        return drop(table, self.spec.embedding.dropout, self.training)

    def _view(
        self,
        queries: Queries,
        distances: Tensor,
        start: int,
        new: int,
        query_segments: Tensor | None,
        all_segments: Tensor | None,
    ) -> Outlook:
        """What the query stream sees."""
        places = queries.places
        one_by_one = places.shape == (1, new) and bool((places.diff() == 1).all())
        asked = places if queries.asked is None else queries.asked
        return Outlook(
            distances,
            first=int(places[0, 0]) - start if one_by_one else 0,
            places=None if one_by_one else places,
            allowed=_allowed(queries.mask, asked, start + new),
            other=_other(query_segments, all_segments),
        )


def _allowed(mask: Mask, places: Tensor, every: int) -> Bool[Tensor, "batch 1 queries all"] | None:
    """The rule as booleans; None where everything is seen."""
    if mask.is_full:
        return None
    keys = torch.arange(every, device=places.device)
    rows = torch.arange(max(mask.batch, len(places)), device=places.device)[:, None, None]
    rows = rows if mask.batch > 1 else torch.zeros_like(rows)
    seen = mask.visible(rows, places[:, :, None], keys[None, None])
    return seen.expand(len(rows), places.shape[1], every).unsqueeze(1)


def _other(
    segments: Tensor | None, all_segments: Tensor | None
) -> Bool[Tensor, "batch 1 queries all"] | None:
    """Where query and key belong to different segments."""
    if segments is None or all_segments is None:
        return None
    return (segments[:, :, None] != all_segments[:, None, :])[:, None]
