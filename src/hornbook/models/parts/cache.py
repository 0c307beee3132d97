"""What a network remembers between calls: keys and values, preallocated."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hornbook.errors import InputError


@dataclass(frozen=True)
class KeysValues:
    """One layer's memory, [batch, n_kv_heads, capacity, d_head] each, filled up to `start`."""

    keys: Float[Tensor, "batch n_kv_heads capacity d_head"]
    values: Float[Tensor, "batch n_kv_heads capacity d_head"]
    start: int

    def append(
        self,
        keys: Float[Tensor, "batch n_kv_heads new d_head"],
        values: Float[Tensor, "batch n_kv_heads new d_head"],
    ) -> tuple[Tensor, Tensor]:
        """Write the new keys and values at `start`; return all so far, as views."""
        end = self.start + keys.shape[2]
        self.keys[:, :, self.start : end] = keys
        self.values[:, :, self.start : end] = values
        return self.keys[:, :, :end], self.values[:, :, :end]


class Cache:
    """Keys and values of all layers; generation writes into it and nothing grows.

    `length` tokens are held of at most `capacity`. Setting `length` back forgets what came after.
    """

    def __init__(
        self,
        n_layers: int,
        shape: tuple[int, int, int, int],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.layers = torch.zeros((n_layers, 2, *shape), dtype=dtype, device=device)
        self.length = 0

    @property
    def capacity(self) -> int:
        """Tokens there is room for."""
        return self.layers.shape[4]

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

    def layer(self, number: int) -> KeysValues:
        """One layer's memory as it stands now."""
        keys, values = self.layers[number]
        return KeysValues(keys, values, self.length)
