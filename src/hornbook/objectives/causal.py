"""Causal language modelling: every token predicts the next."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hornbook.batches import masks
from hornbook.batches.batch import IGNORED, Batch
from hornbook.batches.rows import Rows
from hornbook.objectives.at_targets import loss_at_targets
from hornbook.objectives.loss import Loss


class Causal:
    """loss = -Σ_t log p(x_{t+1} | x_1 .. x_t), over every token but padding.

    A row of T + 1 tokens gives T inputs and T targets, shifted here and nowhere else. In a stream a
    document's last token (its end-of-text) predicts the next document's first, which is how texts
    begin; documents that were laid side by side predict nothing of each other.

    Args:
        same_document: positions see and are counted from their own document's start only.
        z_loss: weight of log² Z, which keeps logits from drifting; 0 leaves it out.

    Sources: Radford et al. 2019, section 2; Chowdhery et al. 2022, section 5.
    """

    name = "causal"

    def __init__(self, same_document: bool = False, z_loss: float = 0.0) -> None:
        self.same_document = same_document
        self.z_loss = z_loss

    def prepare(
        self, rows: Rows, sample_numbers: NDArray[np.int64]
    ) -> dict[str, NDArray[np.generic]]:
        """Arrays [n, T] by name: tokens, targets (-100 ignored), and documents where they count."""
        arrays: dict[str, NDArray[np.generic]] = {
            "tokens": rows.tokens[:, :-1],
            "targets": np.where(self.learnt(rows), rows.tokens, IGNORED)[:, 1:],
        }
        if self.same_document:
            arrays["documents"] = rows.documents[:, :-1]
            arrays["positions"] = rows.positions[:, :-1]
        return arrays

    def learnt(self, rows: Rows) -> NDArray[np.bool_]:
        """Which tokens [n, T + 1] carry loss when they are targets."""
        return rows.follows

    def mask(self, tensors: Mapping[str, Tensor]) -> masks.Mask:
        """Who may see whom: the past, or the past of the same document."""
        if not self.same_document:
            return masks.causal()
        return masks.causal() & masks.same_document(tensors["documents"])

    def loss(self, network: Any, batch: Batch) -> Loss:
        """Sum of -log p over the batch's targets, differentiable; "nll" is without the z-loss."""
        hidden = network.predict_next(
            batch.tokens, mask=batch.mask, positions=batch.positions, segments=batch.segments
        )
        return loss_at_targets(network, hidden, batch, self.z_loss)
