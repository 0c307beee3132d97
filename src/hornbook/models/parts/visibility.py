"""Who sees whom in this call: a mask brought into its cheapest form, once for all layers."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hornbook.batches.masks import Mask

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
    in_blocks = (
        device.type == "cpu" and torch.is_grad_enabled() and start == 0 and new <= LONGEST_IN_BLOCKS
    )
    if mask.is_causal and new == 1:
        return Visibility()
    if mask.is_causal and start == 0:
        return Visibility(causal=True, in_blocks=in_blocks)
    if in_blocks and mask.documents is not None:
        return Visibility(documents=mask.documents, in_blocks=True)
    every = torch.arange(start + new, device=device)
    return Visibility(allowed=mask.allowed(every[start:], every).unsqueeze(1))
