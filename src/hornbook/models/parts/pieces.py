"""Rows cut into the pieces that are read by themselves: documents, and what is not padding.

A recurrent layer reads a row from left to right. Where a mask parts it into documents, every piece
begins with a state of zeros, unless it continues what a cache has read; where tokens are padding,
they are left out. Pieces of all rows become the rows of one batch, so that fused kernels read them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from hornbook.batches.masks import Mask
from hornbook.errors import InputError

ABSENT = -1


@dataclass(frozen=True, eq=False)
class Pieces:
    """How rows are cut.

    at [tokens]: flat places of the tokens that are read; piece, offset [tokens]: where each stands;
    lengths [pieces], on the CPU. first [batch]: the piece that continues each row's state, or -1;
    last [batch]: the piece whose end is the row's state, or -1 where the row has no token.
    """

    shape: tuple[int, int]
    at: Int[Tensor, " tokens"]
    piece: Int[Tensor, " tokens"]
    offset: Int[Tensor, " tokens"]
    lengths: Int[Tensor, " pieces"]
    first: Int[Tensor, " batch"]
    last: Int[Tensor, " batch"]

    def gather(self, x: Float[Tensor, "batch length width"]) -> PackedSequence:
        """The pieces of a stream."""
        rows = x.new_zeros(len(self.lengths), int(self.lengths.max()), x.shape[2])
        rows = rows.index_put((self.piece, self.offset), x.flatten(0, 1)[self.at])
        return pack_padded_sequence(rows, self.lengths, batch_first=True, enforce_sorted=False)

    def scatter(self, packed: PackedSequence) -> Float[Tensor, "batch length width"]:
        """What was made of the pieces, back in its places; zeros where nothing was read."""
        rows, _ = pad_packed_sequence(packed, batch_first=True)
        flat = rows.new_zeros(self.shape[0] * self.shape[1], rows.shape[2])
        return flat.index_put((self.at,), rows[self.piece, self.offset]).view(*self.shape, -1)

    def nothing(self, end: Float[Tensor, "pieces width"]) -> Float[Tensor, "batch width"]:
        """The states of rows that have read nothing."""
        return end.new_zeros(self.shape[0], end.shape[1])

    def begin(self, state: Float[Tensor, "batch width"]) -> Float[Tensor, "pieces width"]:
        """The states that the pieces begin with, given those of the rows."""
        kept = torch.nonzero(self.first >= 0).flatten()
        begun = state.new_zeros(len(self.lengths), state.shape[1])
        return begun.index_put((self.first[kept],), state[kept])

    def end(
        self, state: Float[Tensor, "pieces width"], before: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch width"]:
        """The states of the rows after their last piece; what it was where there is none."""
        return torch.where((self.last >= 0)[:, None], state[self.last], before)


def labels_of(
    mask: Mask, start: int, shape: tuple[int, int], device: torch.device
) -> Int[Tensor, "batch all"] | None:
    """The number of each token's document, start + new of them; -1 of padding; None: one document.

    Raises InputError for a mask that says more than documents and padding: who reads in one
    direction cannot see what another rule shows.
    """
    if mask.is_full or mask.is_causal:
        return None
    rules = mask.parts if mask.rule == "all" else (mask,)
    documents = [rule.tensor for rule in rules if rule.rule == "same_document"]
    padding = [rule for rule in rules if rule.is_of_keys]
    causal = sum(rule.is_causal for rule in rules)
    if len(documents) > 1 or len(documents) + len(padding) + causal < len(rules):
        raise InputError(
            "This model reads one token after another; its masks are causal, full, of padding or "
            "of documents."
        )
    keys = torch.arange(start + shape[1], device=device)
    labels = keys.new_zeros(1, len(keys))
    for ids in documents:
        assert ids is not None
        labels = ids[:, : len(keys)]
    for rule in padding:
        labels = torch.where(rule.allowed(keys[:1], keys)[:, 0], labels, ABSENT)
    return labels.expand(shape[0], -1)


def pieces_of(labels: Int[Tensor, "batch all"] | None, start: int, new: int) -> Pieces | None:
    """How the last `new` tokens of rows are cut; None where every row is one piece.

    A row whose first new token belongs with the last one before it, padding left out, continues its
    state; so does one that has read none before.
    """
    if labels is None:
        return None
    own = labels[:, start:]
    before = _label_before(labels, start)
    if bool((own == before[:, None]).all()) and bool((own != ABSENT).all()):
        return None
    batch = len(labels)
    at = torch.nonzero(own.flatten() != ABSENT).flatten()
    if not len(at):
        raise InputError("No token of this batch is there: its mask hides all; leave it out.")
    row, label = at // new, own.flatten()[at]
    begins = torch.ones_like(at, dtype=torch.bool)
    begins[1:] = (row[1:] != row[:-1]) | (label[1:] != label[:-1])
    piece = begins.long().cumsum(0) - 1
    firsts = torch.nonzero(begins).flatten()
    lengths = torch.bincount(piece, minlength=len(firsts))
    none = at.new_full((batch,), -1)
    opening = none.scatter_reduce(0, row, piece, "amin", include_self=False)
    last = none.scatter_reduce(0, row, piece, "amax")
    goes_on = (opening >= 0) & (label[firsts[opening]] == before)
    offset = torch.arange(len(at), device=at.device) - firsts[piece]
    first = torch.where(goes_on, opening, none)
    return Pieces((batch, new), at, piece, offset, lengths.cpu(), first, last)


def _label_before(labels: Int[Tensor, "batch all"], start: int) -> Int[Tensor, " batch"]:
    """Of each row's last token before `start` that is no padding; of the first after, if none."""
    places = torch.arange(labels.shape[1], device=labels.device)
    near = torch.where(places < start, places, -1 - places)
    near = torch.where(labels == ABSENT, -1 - len(places), near)
    return labels.gather(1, near.argmax(1, keepdim=True))[:, 0]
