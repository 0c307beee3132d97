"""Plain masked language modelling: some tokens are hidden, and predicted from all others."""

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


class Masked:
    """loss = -Σ log p(x_i | the tokens that are not hidden), over the hidden places i.

    Every hidden token is replaced by `mask_id`; none is left or exchanged, as BERT also does. Each
    row hides max(1, round(rate T)) of its T tokens, chosen by a generator of its own, keyed by
    (seed, sample number).

    Source: Devlin et al. 2019, section 3.1, task 1, without its exceptions.
    """

    name = "masked"

    def __init__(self, mask_id: int, rate: float = 0.15, seed: int = 0) -> None:
        self.mask_id, self.rate, self.seed = mask_id, rate, seed

    def prepare(
        self, rows: Rows, sample_numbers: NDArray[np.int64]
    ) -> dict[str, NDArray[np.generic]]:
        """Arrays [n, T] by name: tokens with some hidden, and those as targets."""
        tokens, there = rows.tokens[:, :-1], rows.documents[:, :-1] >= 0
        hidden = np.zeros(tokens.shape, dtype=bool)
        for row, number in enumerate(sample_numbers):
            places = np.flatnonzero(there[row])
            if not len(places):
                continue
            count = max(1, round(self.rate * len(places)))
            drawn = np.random.Generator(np.random.Philox(key=[self.seed, int(number)]))
            hidden[row, drawn.choice(places, count, replace=False)] = True
        arrays: dict[str, NDArray[np.generic]] = {
            "tokens": np.where(hidden, self.mask_id, tokens),
            "targets": np.where(hidden, tokens, IGNORED),
        }
        return arrays if there.all() else {**arrays, "there": there}

    def mask(self, tensors: Mapping[str, Tensor]) -> masks.Mask | None:
        """Everything is seen but padding."""
        return masks.present(tensors["there"]) if "there" in tensors else masks.full()

    def loss(self, network: Any, batch: Batch) -> Loss:
        """Sum of -log p over the hidden tokens; the head sees only their rows."""
        hidden = network(
            batch.tokens, mask=batch.mask, positions=batch.positions, segments=batch.segments
        )
        return loss_at_targets(network, hidden, batch, z_loss=0.0)
