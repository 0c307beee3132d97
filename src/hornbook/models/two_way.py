"""A network of two directions: one stack reads on from the beginning, one back from the end."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hornbook.batches import masks
from hornbook.batches.masks import Mask
from hornbook.errors import InputError
from hornbook.models import spec as specs
from hornbook.models.parts import make
from hornbook.models.parts.cache import Cache
from hornbook.models.parts.pieces import labels_of
from hornbook.models.parts.readings import CausalReading
from hornbook.models.stacks import Hidden, Network, Stack, Tokens


class TwoWayNetwork(Network):
    """f_t has read x_1 .. x_t and predicts x_{t+1}; b_t has read x_T .. x_t and predicts x_{t-1}.

        log p(x_{t+1} | x_1 .. x_t) = head(f_t)        log p(x_{t-1} | x_t .. x_T) = head(b_t)

    Both stacks are made by one choice and have weights of their own; they share the token table and
    the output layer. `forward` reads both ways, for losses and for contextual vectors. The forward
    half is a language model by itself: `predict_next`, and so bits per byte, generation and its
    cache, run that half alone.

    Names of parameters: `embedding.tokens.weight`, `forwards.blocks.N.…`, `backwards.blocks.N.…`,
    `head.…`. Source: Peters et al. 2018, "Deep contextualized word representations", section 3.1,
    where x_t is made of a token's characters; here it is a row of the token table.
    """

    def __init__(self, spec: specs.Spec) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = make(spec.embedding, spec)
        self.forwards = Stack(spec.stack, spec)
        self.backwards = Stack(spec.stack, spec)
        self.head = make(spec.head, spec)
        self.reading = CausalReading(spec.reading)

    def forward(
        self,
        tokens: Tokens,
        *,
        mask: Mask | None = None,
        positions: Int[Tensor, "batch length"] | None = None,
        segments: Tokens | None = None,
        cache: Cache | None = None,
        hidden_states: bool = False,
    ) -> Hidden:
        """Both directions: `last` is [f_t ; b_t], of width 2 d_model.

        `states` are the contextual vectors of each layer j: h_0 = [x ; x], h_j = [f_j ; b_j]. A
        mask tells documents and padding apart; each direction reads in its own order, whether the
        mask is causal or not. Raises InputError for a cache: who reads from the end cannot go on.
        """
        if cache is not None:
            raise InputError(
                "This model's backward half begins at the end of a text; call it without a cache, "
                "or continue with its forward half, `predict_next`."
            )
        x = self._embed(tokens, positions, segments)
        order = torch.arange(tokens.shape[1], device=tokens.device)[None]
        labels = labels_of(mask or masks.full(), 0, (len(x), x.shape[1]), x.device)
        turned = None if labels is None else labels.flip(1)
        on = self.forwards(x, _of(labels), order, hidden_states=hidden_states)
        back = self.backwards(x.flip(1), _of(turned), order, hidden_states=hidden_states)
        return Hidden(
            torch.cat([on.last, back.last.flip(1)], dim=-1),
            tuple(
                torch.cat([f, b.flip(1)], dim=-1)
                for f, b in zip(on.states, back.states, strict=True)
            ),
        )

    def predict_next(
        self,
        tokens: Tokens,
        *,
        mask: Mask | None = None,
        positions: Int[Tensor, "batch length"] | None = None,
        segments: Tokens | None = None,
        **rules: Any,
    ) -> Hidden:
        """The forward half alone, of width d_model; arguments as in `forward`, and with a cache.

        New tokens follow those that the cache holds.
        """
        x = self._embed(tokens, positions, segments)
        order = torch.arange(tokens.shape[1], device=tokens.device)[None]
        hidden: Hidden = self.forwards(x, mask or masks.causal(), order, **rules)
        return hidden

    def logits(self, hidden: Float[Tensor, "... width"]) -> Float[Tensor, "... vocab_size"]:
        """Scores of the token after each, by the forward half of `hidden`, or by all there is.

        Takes what `forward` gives, and what `predict_next` gives.
        """
        return self.output.logits(hidden[..., : self.spec.d_model])

    def logits_before(
        self, hidden: Float[Tensor, "... both_halves"]
    ) -> Float[Tensor, "... vocab_size"]:
        """Scores of the token before each, by the backward half of what `forward` gives."""
        return self.output.logits(hidden[..., self.spec.d_model :])

    def place(
        self, tokens: Tokens, starts: Int[Tensor, " batch"] | None = None
    ) -> tuple[Int[Tensor, "... batch length"], Mask]:
        """Positions and mask of whole rows, of which `starts` tokens at the left are padding."""
        return self.reading.positions(tokens, starts), self.reading.mask(tokens, starts)

    def _embed(self, tokens: Tokens, positions: Tensor | None, segments: Tokens | None) -> Tensor:
        """The vectors that both directions read."""
        x: Tensor = self.embedding(tokens, positions, segments, self.dtype)
        return x


def _of(labels: Int[Tensor, "batch length"] | None) -> Mask:
    """A row read in one order, each document by itself and without padding."""
    return masks.causal() if labels is None else masks.causal() & masks.same_document(labels)
