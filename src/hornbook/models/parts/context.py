"""What a call tells every block besides the stream: who sees whom, turns, biases, the source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hornbook.batches import masks
from hornbook.batches.masks import Mask
from hornbook.errors import InputError
from hornbook.models import choices
from hornbook.models.parts import make
from hornbook.models.parts.pieces import Pieces, labels_of, pieces_of

LONGEST_IN_BLOCKS = 2048


@dataclass(frozen=True)
class Visibility:
    """A mask for `new` queries over `start + new` keys.

    `causal`: query i sees keys 0 .. i, told to the kernel as a flag. `documents`: causal, and only
    keys of its own document. `allowed`: the rule as booleans, True where the query sees the key.
    All unset: every key is seen. `in_blocks`: training on the CPU, where our own attention is the
    faster one (up to 2048 tokens: it keeps the probabilities).
    """

    causal: bool = False
    documents: Int[Tensor, "batch length"] | None = None
    allowed: Bool[Tensor, "batch 1 new all"] | None = None
    in_blocks: bool = False


def see(mask: Mask, start: int, new: int, device: torch.device) -> Visibility:
    """The cheapest form of `mask` for queries start .. start + new - 1 over all keys so far."""
    in_blocks = start == 0 and _in_blocks(new, device)
    if mask.is_full or (mask.is_causal and new == 1):
        return Visibility(in_blocks=in_blocks)
    if mask.is_causal and start == 0:
        return Visibility(causal=True, in_blocks=in_blocks)
    if in_blocks and mask.documents is not None:
        return Visibility(causal=True, documents=mask.documents, in_blocks=True)
    every = torch.arange(start + new, device=device)
    allowed = mask.allowed(every[start:], every).unsqueeze(1)
    causal = mask.within_causal and start == 0
    return Visibility(causal=causal, allowed=allowed, in_blocks=in_blocks)


def _in_blocks(keys: int, device: torch.device) -> bool:
    """Whether our own attention is the faster one."""
    return device.type == "cpu" and torch.is_grad_enabled() and keys <= LONGEST_IN_BLOCKS


class Source:
    """What an encoder returned, and who of the target may read it.

    final: by layer of a recurrent encoder, the states it ended with.
    """

    def __init__(
        self,
        states: Float[Tensor, "batch source width"],
        mask: Mask | None,
        final: Sequence[Sequence[Tensor]] = (),
    ) -> None:
        self.states, self.final = states, final
        self.mask = mask or masks.full()
        if not self.mask.is_of_keys:
            raise InputError(
                "A source's mask hides padding alone (masks.padding, masks.present): a decoder "
                "sees all that is left, whatever the encoder's tokens see of each other."
            )

    def visibility(self) -> Visibility:
        """The source as queries see it: the rule speaks of keys alone, so all see the same."""
        length, device = self.states.shape[1], self.states.device
        in_blocks = _in_blocks(length, device)
        if self.mask.is_full:
            return Visibility(in_blocks=in_blocks)
        keys = torch.arange(length, device=device)
        allowed = self.mask.allowed(keys[:1], keys).unsqueeze(1)
        return Visibility(allowed=allowed, in_blocks=in_blocks)


class Context:
    """One call's rules, made once and read by every layer.

    start: tokens that the cache holds; new: tokens of this call, in each of `batch` rows. bias:
    added to all scores, [1, n_heads, new, start + new]. source: what an encoder returned.
    penalties: what parts ask to be added to the mean loss. alignments: how much of each place of
    the source was read, from parts that tell.
    """

    def __init__(
        self,
        mask: Mask,
        start: int,
        positions: Int[Tensor, "... batch new"],
        *,
        new: int,
        batch: int = 1,
        bias: Float[Tensor, "1 n_heads new all"] | None = None,
        source: Source | None = None,
    ) -> None:
        self.mask, self.start, self.positions = mask, start, positions
        self.batch, self.new = batch, new
        self.bias, self.source = bias, source
        self.penalties: list[Tensor] = []
        self.alignments: list[Tensor] = []
        self._seen: dict[int, Visibility] = {}
        self._tables: dict[object, tuple[Any, Tensor]] = {}
        self._source_seen: Visibility | None = None
        self._labels: tuple[Tensor | None] | None = None
        self._pieces: tuple[Pieces | None] | None = None

    def visibility(self, band: int = 0) -> Visibility:
        """The mask as a layer with this band sees it; bands are architecture and always added."""
        if band not in self._seen:
            mask = self.mask & masks.band(band) if band else self.mask
            self._seen[band] = see(mask, self.start, self.new, self.positions.device)
        return self._seen[band]

    def source_visibility(self) -> Visibility:
        """The source as this call's queries see it."""
        assert self.source is not None
        if self._source_seen is None:
            self._source_seen = self.source.visibility()
        return self._source_seen

    def labels(self) -> Int[Tensor, "batch all"] | None:
        """Documents and padding, as layers without attention know them (`pieces.py`)."""
        if self._labels is None:
            shape = (self.batch, self.new)
            self._labels = (labels_of(self.mask, self.start, shape, self.positions.device),)
        return self._labels[0]

    def pieces(self) -> Pieces | None:
        """How the new tokens are cut into what is read by itself; None: each row is one piece."""
        if self._pieces is None:
            self._pieces = (pieces_of(self.labels(), self.start, self.new),)
        return self._pieces[0]

    def rotate(
        self,
        choice: choices.Rotary | choices.BlockRotary,
        x: Float[Tensor, "batch new heads d_head"],
    ) -> Float[Tensor, "batch new heads d_head"]:
        """Turn queries or keys by this call's positions."""
        key = (choice, x.dtype, x.shape[-1])
        if key not in self._tables:
            rotary = make(choice, x.shape[-1])
            self._tables[key] = (rotary, rotary.table(self.positions, x.dtype))
        rotary, table = self._tables[key]
        turned: Tensor = rotary.rotate(x, table)
        return turned
