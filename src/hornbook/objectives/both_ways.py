"""Language modelling from both ends: every token predicts the next, and the one before."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hornbook.batches import masks
from hornbook.batches.batch import IGNORED, Batch
from hornbook.batches.rows import Rows
from hornbook.errors import InputError
from hornbook.models.recurrences import TwoWayReading
from hornbook.objectives.at_targets import loss_at_targets
from hornbook.objectives.loss import Loss


class BothWays:
    """loss = -Σ_t log p(x_{t+1} | x_1 .. x_t) - Σ_t log p(x_{t-1} | x_T .. x_t), without padding.

    A row of T + 1 tokens is read whole and gives T targets to each direction, so that both learn
    from the same text. Each prediction counts as a target, and each byte as often as it is
    predicted: the mean loss, the metric "nll" and bits per byte are means of both directions.

    Args:
        same_document: each direction begins anew with every document. In a stream a document's last
            token still predicts the next one's first, and a first token the last of the one before.
        z_loss: weight of log² Z, which keeps logits from drifting; 0 leaves it out.

    Source: Peters et al. 2018, section 3.1, the last equation.
    """

    name = "both_ways"

    def __init__(self, same_document: bool = False, z_loss: float = 0.0) -> None:
        self.same_document = same_document
        self.z_loss = z_loss

    def prepare(
        self, rows: Rows, sample_numbers: NDArray[np.int64]
    ) -> dict[str, NDArray[np.generic]]:
        """Arrays by name: tokens [n, T + 1]; targets [n, 2 (T + 1)], -100 ignored.

        The first half of the targets are the tokens after, the second those before.
        """
        tokens, there = rows.tokens, rows.documents >= 0
        after, before = np.full((2, *tokens.shape), IGNORED, dtype=tokens.dtype)
        both = there[:, :-1] & rows.follows[:, 1:]
        after[:, :-1] = np.where(both, tokens[:, 1:], IGNORED)
        before[:, 1:] = np.where(both, tokens[:, :-1], IGNORED)
        arrays: dict[str, NDArray[np.generic]] = {
            "tokens": tokens,
            "targets": np.concatenate([after, before], axis=1),
        }
        if self.same_document:
            return {**arrays, "documents": rows.documents}
        return arrays if there.all() else {**arrays, "there": there}

    def mask(self, tensors: Mapping[str, Tensor]) -> masks.Mask:
        """The whole row or one's own document, without padding."""
        if self.same_document:
            return masks.same_document(tensors["documents"])
        return masks.present(tensors["there"]) if "there" in tensors else masks.full()

    def loss(self, network: Any, batch: Batch) -> Loss:
        """Sum of -log p over the targets of both directions, differentiable.

        Raises InputError for a network of one direction.
        """
        if not isinstance(network.spec.reading, TwoWayReading):
            raise InputError(
                f"A model of the family {network.spec.family} does not read from both ends; train "
                "bilm with the objective both_ways, others with one of their own."
            )
        hidden = network(batch.tokens, mask=batch.mask, segments=batch.segments)
        forth_then_back = torch.cat(hidden.last.chunk(2, dim=-1), dim=1)
        return loss_at_targets(network, replace(hidden, last=forth_then_back), batch, self.z_loss)
