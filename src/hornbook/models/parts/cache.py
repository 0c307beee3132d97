"""What a network remembers between calls, preallocated."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hornbook.errors import InputError


class LayerCache(NamedTuple):
    """One layer's memory, filled up to `start`.

    kept: keys and values, or the states themselves, [batch, capacity, groups, width] each.
    source: keys and values of the encoder's states, once they have been made. state: what a
    recurrent layer carries on, [batch, width] each; empty before the first token.
    """

    kept: tuple[Float[Tensor, "batch capacity groups width"], ...]
    start: int
    source: list[Tensor]
    state: list[Tensor]

    def append(
        self, *new: Float[Tensor, "batch new groups width"]
    ) -> tuple[Float[Tensor, "batch all groups width"], ...]:
        """Write what is new at `start`; return all so far, as views."""
        end = self.start + new[0].shape[1]
        for kept, own in zip(self.kept, new, strict=True):
            kept[:, self.start : end] = own
        return tuple([kept[:, :end] for kept in self.kept])


@dataclass
class Cache:
    """The memory of all layers; generation writes into it and nothing grows.

    layers [n_layers, parts, batch, capacity, groups, width]: two parts (keys, values) of n_kv_heads
    groups and width d_head; or, for a network that remembers states (XLNet), one part of one group
    and width d_model. `length` tokens are held of at most `capacity`. Setting `length` back forgets
    what came after.
    """

    layers: Float[Tensor, "n_layers parts batch capacity groups width"]
    length: int = 0
    source: list[list[Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = [[] for _ in self.layers]
        # Single views: what iterating over a tensor gives may not be written to under autograd.
        n_layers, parts = self.layers.shape[:2]
        self.parts = [
            tuple(self.layers[layer, part] for part in range(parts)) for layer in range(n_layers)
        ]

    @property
    def capacity(self) -> int:
        """Tokens there is room for."""
        return self.layers.shape[3]

    def require_room(self, batch: int, new: int) -> None:
        """Raise InputError where `new` tokens of `batch` rows do not fit."""
        if batch != self.layers.shape[2]:
            raise InputError(
                f"The cache was made for {self.layers.shape[2]} rows and got {batch}; "
                "make a new one for this batch."
            )
        if self.length + new > self.capacity:
            raise InputError(
                f"The cache has room for {self.capacity} tokens, holds {self.length} and got {new} "
                "more; make a longer one, or start again from the last tokens."
            )

    def begin(self) -> None:
        """Forget a source that was read before, where no token of a target is held."""
        if self.length == 0:
            for kept in self.source:
                kept.clear()

    def keep_last(self, tokens: int) -> None:
        """Forget all but the last `tokens`, which move to the front (XLNet's memory)."""
        gone = max(0, self.length - tokens)
        kept = self.layers[:, :, :, gone : self.length].clone()
        self.length -= gone
        self.layers[:, :, :, : self.length] = kept

    def layer(self, number: int) -> LayerCache:
        """One layer's memory as it stands now."""
        return LayerCache(self.parts[number], self.length, self.source[number], [])

    def reorder(self, rows: Int[Tensor, " batch"]) -> None:
        """Let row i continue what row `rows[i]` has read (beam search)."""
        filled = self.layers[:, :, :, : self.length]
        filled.copy_(filled.index_select(2, rows))
        for kept in self.source:
            kept[:] = [tensor.index_select(0, rows) for tensor in kept]


def empty_cache(
    n_layers: int, shape: tuple[int, int, int, int, int], dtype: torch.dtype, device: torch.device
) -> Cache:
    """A cache of `shape` (parts, batch, capacity, groups, width) a layer."""
    return Cache(torch.zeros((n_layers, *shape), dtype=dtype, device=device))


class StateCache(Cache):
    """What recurrent layers carry from token to token: no room is needed, however many there are.

    states: by layer, the tensors [batch, width] that it begins its next token with; each call puts
    new ones in their place, so that gradients reach back through them until they are detached.
    initial: the same before the first token, empty where states begin as zeros. Setting `length`
    back to 0 begins anew; to anything else it cannot be set back.
    """

    def __init__(self, n_layers: int, batch: int, initial: Sequence[Sequence[Tensor]] = ()) -> None:
        super().__init__(torch.empty(n_layers, 0, batch, 0, 0, 0))
        if len(initial) not in (0, n_layers):
            raise InputError(
                f"There are states of {len(initial)} layers for {n_layers}; give each its own, or "
                "none at all."
            )
        self.initial = initial or [[] for _ in range(n_layers)]
        self.states: list[list[Tensor]] = [list(first) for first in self.initial]
        self.read = 0

    def require_room(self, batch: int, new: int) -> None:
        """Raise InputError where the states are of other rows, or stand elsewhere than `length`."""
        rows = {len(tensor) for state in self.states for tensor in state} or {self.layers.shape[2]}
        if rows != {batch}:
            raise InputError(
                f"The state was made for {' and '.join(map(str, sorted(rows)))} rows and got "
                f"{batch}; make a new one for this batch."
            )
        if self.length not in (0, self.read):
            raise InputError(
                f"The state stands after {self.read} tokens and cannot go back to {self.length}; "
                "set its length to 0 and read again."
            )
        self.read = self.length + new

    def begin(self) -> None:
        """Take up the initial states, where no token is held."""
        super().begin()
        if len(self.states) != len(self.source):
            raise InputError(
                f"The cache holds states of {len(self.states)} layers for {len(self.source)}; make "
                "a new one."
            )
        if self.length == 0:
            for state, first in zip(self.states, self.initial, strict=True):
                state[:] = first

    def layer(self, number: int) -> LayerCache:
        """One layer's memory as it stands now."""
        return LayerCache((), self.length, self.source[number], self.states[number])

    def reorder(self, rows: Int[Tensor, " batch"]) -> None:
        """Let row i continue what row `rows[i]` has read (beam search)."""
        for kept in (*self.states, *self.source):
            kept[:] = [tensor.index_select(0, rows) for tensor in kept]
