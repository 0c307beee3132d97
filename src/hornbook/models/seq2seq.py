"""Encoder-decoders of recurrent layers: the decoder begins with what the encoder ended with."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hornbook.batches.batch import Source as Given
from hornbook.batches.masks import Mask, full
from hornbook.errors import InputError
from hornbook.models.encoder_decoder import EncoderDecoder
from hornbook.models.parts.cache import Cache, StateCache
from hornbook.models.parts.context import Source
from hornbook.models.recurrences import RecurrentSourceReading
from hornbook.models.stacks import Hidden, Tokens


class RecurrentEncoderDecoder(EncoderDecoder):
    """As an encoder-decoder of blocks with attention; states take the place of positions.

    The encoder's states after its last token are those that the decoder begins with, layer by
    layer; a decoder that looks at the source reads all states of the encoder's last layer besides.
    Sources: Sutskever et al. 2014, section 2; Bahdanau et al. 2015; Luong et al. 2015.
    """

    def encode(
        self, source: Tokens | Given, hidden_states: bool = False
    ) -> tuple[Source, tuple[Tensor, ...]]:
        """What the decoder reads of a source, and the encoder's states if asked for."""
        given = source if isinstance(source, Given) else Given(source)
        tokens, mask = given.tokens, given.mask or full()
        if tokens.shape[1] > self.spec.max_length:
            raise InputError(
                f"A source of {tokens.shape[1]} tokens is longer than the {self.spec.max_length} "
                "that this model looks at; shorten it, or build it with a larger max_length."
            )
        reading = self.spec.reading
        if isinstance(reading, RecurrentSourceReading) and reading.reverse:
            tokens = tokens.gather(1, reversed_places(mask, tokens))
        places = self.reading.positions(tokens)
        x = self.source_embedding(tokens, places, None, self.dtype)
        memory = StateCache(self.encoder.choice.n_layers, len(tokens))
        hidden = self.encoder(x, mask, places, cache=memory, hidden_states=hidden_states)
        return Source(hidden.last, mask, memory.states), hidden.states

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
        """Hidden states of a target over an encoded source; a cache carries the states."""
        if mask is not None and not (mask.is_causal or mask.is_full):
            raise InputError(
                "This decoder writes one text in each row; its target has no mask but a causal one."
            )
        if cache is None:
            cache = self.new_cache(len(target), target.shape[1])
        if cache.length == 0 and isinstance(cache, StateCache):
            cache.initial = self._begun(source)
            cache.begin()
        return super().decode(
            source,
            target,
            mask=mask,
            positions=positions,
            segments=segments,
            cache=cache,
            hidden_states=hidden_states,
            source_states=source_states,
        )

    @torch.no_grad()
    def alignment(
        self, source: Tokens | Given, target: Tokens
    ) -> Float[Tensor, "batch target source"]:
        """How much of each place of the source is read to write what follows each of `target`.

        Raises InputError for a decoder that never looks at the source.
        """
        training = self.training
        self.eval()
        try:
            hidden = self(source, target)
        finally:
            self.train(training)
        if not hidden.alignments:
            raise InputError(
                f"A model of the family {self.spec.family} begins with the source's last state and "
                "looks at nothing else of it; take one with attention, such as bahdanau or luong."
            )
        last: Tensor = hidden.alignments[-1]
        return last

    def _begun(self, source: Source) -> list[list[Tensor]]:
        """By block of the decoder, the encoder's last states of as many layers as it has."""
        final, begun = list(source.final), []
        for number in range(self.spec.n_layers):
            taken = getattr(self.spec.stack.layer(number), "n_states", 1)
            begun.append([tensor for state in final[:taken] for tensor in state])
            final = final[taken:]
        return begun


def reversed_places(mask: Mask, tokens: Tokens) -> Tokens:
    """Which token stands at each place when those that are there are read from their end."""
    keys = torch.arange(tokens.shape[1], device=tokens.device)
    there = mask.allowed(keys[:1], keys)[:, 0].expand(tokens.shape)
    rank = there.long().cumsum(1) - 1
    by_rank = torch.zeros_like(tokens).scatter(
        1, torch.where(there, rank, keys[-1]), torch.where(there, keys, 0)
    )
    from_end = (there.sum(1, keepdim=True) - 1 - rank).clamp(min=0)
    return torch.where(there, by_rank.gather(1, from_end), keys)
