"""Networks of two stacks: an encoder reads a source, a decoder continues a target."""

from dataclasses import replace

import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from hornbook.batches.batch import Source as Given
from hornbook.batches.masks import Mask, causal, full
from hornbook.models import spec as specs
from hornbook.models.parts import make
from hornbook.models.parts.cache import Cache
from hornbook.models.parts.context import Source
from hornbook.models.parts.readings import CausalReading
from hornbook.models.stacks import Hidden, Network, Stack, Tokens


class EncoderDecoder(Network):
    """h = decoder(embedding(target), encoder(source_embedding(source))), over one token table.

    Names of parameters: `embedding.tokens.weight`, `embedding.…` (the target's), and
    `source_embedding.…`, `encoder.blocks.N.…`, `decoder.blocks.N.…`. Source: Vaswani et al. 2017,
    section 3.1.
    """

    def __init__(self, spec: specs.Spec) -> None:
        super().__init__()
        assert spec.encoder is not None
        self.spec = spec
        self.embedding = make(spec.embedding, spec)
        self.source_embedding = make(spec.embedding, spec, self.embedding.tokens)
        self.encoder = Stack(spec.encoder, spec)
        self.decoder = Stack(spec.stack, spec)
        self.head = make(spec.head, spec)
        self.reading = CausalReading(spec.reading)

    def forward(
        self,
        source: Tokens | Given,
        target: Tokens,
        *,
        mask: Mask | None = None,
        positions: Int[Tensor, "batch length"] | None = None,
        segments: Tokens | None = None,
        cache: Cache | None = None,
        hidden_states: bool = False,
    ) -> Hidden:
        """Hidden states of `target`, which is what the decoder reads: already shifted.

        source: tokens, or with positions and a mask (padding) of their own. The keywords are the
        target's; without a mask it is read causally. Each call reads the source anew: whoever goes
        on with a cache calls `encode` once and then `decode`.
        """
        encoded, states = self.encode(source, hidden_states)
        return self.decode(
            encoded,
            target,
            mask=mask,
            positions=positions,
            segments=segments,
            cache=cache,
            hidden_states=hidden_states,
            source_states=states,
        )

    def encode(
        self, source: Tokens | Given, hidden_states: bool = False
    ) -> tuple[Source, tuple[Tensor, ...]]:
        """What the decoder reads of a source, and the encoder's states if asked for."""
        given = source if isinstance(source, Given) else Given(source)
        mask = given.mask or full()
        positions = self.reading.positions(given.tokens)
        positions = positions if given.positions is None else given.positions
        x = self.source_embedding(given.tokens, positions, None, self.dtype)
        hidden = self.encoder(x, mask, positions, hidden_states=hidden_states)
        return Source(hidden.last, mask), hidden.states

    def decode(
        self,
        source: Source,
        target: Tokens,
        *,
        mask: Mask | None = None,
        positions: Int[Tensor, "batch length"] | None = None,
        segments: Tokens | None = None,
        cache: Cache | None = None,
        hidden_states: bool = False,
        source_states: tuple[Tensor, ...] = (),
    ) -> Hidden:
        """Hidden states of a target over an encoded source; a cache keeps both."""
        start = 0 if cache is None else cache.length
        if positions is None:
            positions = self.reading.positions(F.pad(target, (start, 0)))[..., start:]
        x = self.embedding(target, positions, segments, self.dtype)
        hidden: Hidden = self.decoder(
            x,
            mask or causal(),
            positions,
            source=source,
            cache=cache,
            hidden_states=hidden_states,
        )
        return replace(hidden, source_states=source_states)
