"""Pairs: the encoder reads the source, the decoder learns to write the target."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hornbook.batches import masks
from hornbook.batches.batch import IGNORED, Batch
from hornbook.batches.pairs import PairRows
from hornbook.objectives.at_targets import loss_at_targets
from hornbook.objectives.loss import Loss


class Pairs:
    """loss = -Σ_t log p(y_t | y_1 .. y_{t-1}, x), over a target y with its end, given a source x.

    The decoder is told what came before, right or not yet learnt ("teacher forcing"): it reads the
    target shifted by one, begun with `start_id`. Padding of the source is seen by nobody, padding
    of the target carries no loss.

    Args:
        start_id: what every decoder begins with; `spec.reading.start_id`.
        z_loss: weight of log² Z, which keeps logits from drifting; 0 leaves it out.

    Sources: Sutskever et al. 2014, section 2, equation 1, and section 3.2; Williams and Zipser
    1989, section 4.1 (teacher forcing).
    """

    name = "pairs"

    def __init__(self, start_id: int, z_loss: float = 0.0) -> None:
        self.start_id = start_id
        self.z_loss = z_loss

    def prepare(
        self, rows: PairRows, sample_numbers: NDArray[np.int64]
    ) -> dict[str, NDArray[np.generic]]:
        """Arrays by name: source_tokens [n, S], source_lengths [n]; tokens, targets [n, T]."""
        start = np.full((len(rows.target), 1), self.start_id, dtype=np.int64)
        there = np.arange(rows.target.shape[1]) < rows.target_lengths[:, None]
        return {
            "source_tokens": rows.source,
            "source_lengths": rows.source_lengths,
            "tokens": np.concatenate([start, rows.target[:, :-1]], axis=1),
            "targets": np.where(there, rows.target, IGNORED),
        }

    def mask(self, tensors: Mapping[str, Tensor]) -> masks.Mask | None:
        """The target is read causally."""
        return masks.causal()

    def loss(self, network: Any, batch: Batch) -> Loss:
        """Sum of -log p over the targets, differentiable; "nll" is without the z-loss."""
        hidden = network(batch.source, batch.tokens, mask=batch.mask)
        return loss_at_targets(network, hidden, batch, self.z_loss)
