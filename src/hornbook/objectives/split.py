"""A text cut in two: the encoder reads the beginning, the decoder continues it."""

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


class Split:
    """loss = -Σ_t log p(x_t | x_1 .. x_{t-1}), over the second half of each row.

    The first half of a row's tokens is the source, the second the target; the decoder reads the
    target shifted by one, begun with `start_id`.

    Source: Raffel et al. 2020, sections 3.2.3 and 3.3.1 ("prefix language modeling"), where
    the place of the cut is drawn at random; here it is the middle.
    """

    name = "split"

    def __init__(self, start_id: int) -> None:
        self.start_id = start_id

    def prepare(
        self, rows: Rows, sample_numbers: NDArray[np.int64]
    ) -> dict[str, NDArray[np.generic]]:
        """Arrays by name: source_tokens [n, T // 2]; tokens and targets, the rest of the row."""
        half = (rows.tokens.shape[1] - 1) // 2
        target = rows.tokens[:, half:]
        start = np.full((len(target), 1), self.start_id, dtype=target.dtype)
        return {
            "source_tokens": rows.tokens[:, :half],
            "tokens": np.concatenate([start, target[:, :-1]], axis=1),
            "targets": np.where(rows.documents[:, half:] >= 0, target, IGNORED),
        }

    def mask(self, tensors: Mapping[str, Tensor]) -> masks.Mask | None:
        """The target is read causally."""
        return masks.causal()

    def loss(self, network: Any, batch: Batch) -> Loss:
        """Sum of -log p over the target."""
        hidden = network(batch.source, batch.tokens, mask=batch.mask)
        return loss_at_targets(network, hidden, batch, z_loss=0.0)
