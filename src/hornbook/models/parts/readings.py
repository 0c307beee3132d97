"""What a network assumes about positions and visibility when it is told nothing.

Each reading has `positions(tokens, starts)` and `mask(tokens, starts)`: starts [batch] is how many
tokens at the left of each row are padding, None where there is none. Whoever calls with a cache
gives the whole rows and takes the end of what comes back.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from hornbook.batches import masks
from hornbook.batches.masks import Mask
from hornbook.models import choices

Rows = Int[Tensor, "batch length"]
Starts = Int[Tensor, " batch"] | None


class CausalReading:
    """Every token sees itself and what is before it; positions count from each row's beginning."""

    def __init__(self, choice: choices.Reading) -> None:
        self.choice = choice

    def positions(self, tokens: Rows, starts: Starts = None) -> Int[Tensor, "... batch length"]:
        """0, 1, … from the first token that is not padding."""
        places = torch.arange(tokens.shape[1], device=tokens.device)[None]
        return places if starts is None else (places - starts[:, None]).clamp(min=0)

    def mask(self, tokens: Rows, starts: Starts = None) -> Mask:
        """The past, without padding."""
        if starts is None:
            return masks.causal()
        places = torch.arange(tokens.shape[1], device=tokens.device)
        own = (places >= starts[:, None]).long()
        return masks.causal() & masks.same_document(own)


class FullReading(CausalReading):
    """Every token sees every token that is not padding."""

    def mask(self, tokens: Rows, starts: Starts = None) -> Mask:
        """Everything, without padding."""
        if starts is None:
            return masks.full()
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return masks.present(places >= starts[:, None])


class UnpaddedReading(FullReading):
    """As full; positions count tokens that are not `pad_id`, and those that are stand at -1."""

    choice: choices.UnpaddedReading

    def positions(self, tokens: Rows, starts: Starts = None) -> Int[Tensor, "... batch length"]:
        """The number of tokens before, read off the ids (Liu et al. 2019's released code)."""
        there = (tokens != self.choice.pad_id).long()
        return there.cumsum(1) * there - 1


class BlankReading(CausalReading):
    """What is before the start token is seen by all; positions are (place, place in the block).

    Source: Du et al. 2022, "GLM", sections 2.1 and 2.2, with one blank: the generation that
    follows [gMASK] or [MASK]. Rows without a start token are read causally; without a blank before
    it, places go on counting.
    """

    choice: choices.BlankReading

    def positions(self, tokens: Rows, starts: Starts = None) -> Int[Tensor, "2 batch length"]:
        """Before the start token (i, 0); from there on (place of the blank, 1, 2, …)."""
        places = super().positions(tokens, starts).expand(tokens.shape)
        there, begun = self._there(tokens, starts), self._begun(tokens, starts)
        first = places
        for token in reversed(self.choice.blank_ids):
            found = (tokens == token) & there & ~begun
            blank = places.gather(1, found.long().argmax(1, keepdim=True))
            first = torch.where(begun & found.any(1, keepdim=True), blank, first)
        return torch.stack([first, begun.long().cumsum(1)])

    def mask(self, tokens: Rows, starts: Starts = None) -> Mask:
        """A prefix up to the start token, then causal, without padding."""
        lengths = (~self._begun(tokens, starts)).long().sum(1)
        lengths = torch.where(lengths == tokens.shape[1], 0, lengths)
        mask = masks.prefix(lengths) if bool(lengths.any()) else masks.causal()
        if starts is None:
            return mask
        return mask & masks.same_document(self._there(tokens, starts).long())

    def _there(self, tokens: Rows, starts: Starts) -> Tensor:
        """Which tokens are not padding."""
        places = torch.arange(tokens.shape[1], device=tokens.device)[None]
        return places >= (0 if starts is None else starts[:, None])

    def _begun(self, tokens: Rows, starts: Starts) -> Tensor:
        """Which tokens stand at the first start token or after it."""
        here = (tokens == self.choice.start_id) & self._there(tokens, starts)
        return here.long().cumsum(1) > 0
