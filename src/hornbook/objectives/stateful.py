"""Causal language modelling that goes on where the row before ended: carried states."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hornbook.batches.batch import Batch
from hornbook.batches.lanes import Lanes
from hornbook.batches.rows import Rows
from hornbook.errors import TrainingError
from hornbook.models.parts.cache import StateCache
from hornbook.objectives.at_targets import loss_at_targets
from hornbook.objectives.causal import Causal
from hornbook.objectives.loss import Loss


class Stateful(Causal):
    """loss = -Σ_t log p(x_{t+1} | x_1 .. x_t), over all that the lane has read so far.

    Every lane's states are kept from update to update, without gradient: truncated
    back-propagation through time over the tokens of a row (Williams and Peng 1990; Mikolov et al.
    2010). A lane that begins anew begins with zeros. Rows may come in any micro-batches; each knows
    its lane.
    """

    name = "stateful"

    def __init__(self, lanes: Lanes, z_loss: float = 0.0) -> None:
        super().__init__(same_document=False, z_loss=z_loss)
        self.lanes = lanes
        self.memory: dict[str, Tensor] = {}

    def prepare(
        self, rows: Rows, sample_numbers: NDArray[np.int64]
    ) -> dict[str, NDArray[np.generic]]:
        """As the causal objective's, and each row's `lane` and whether it `begins` there, [n]."""
        return {
            **super().prepare(rows, sample_numbers),
            "lane": sample_numbers % self.lanes.lanes,
            "begins": self.lanes.begins(sample_numbers),
        }

    def loss(self, network: Any, batch: Batch) -> Loss:
        """Sum of -log p over the batch's targets; the lanes' states then stand after them."""
        lane, begins = batch.extra["lane"], batch.extra["begins"]
        cache = StateCache(network.spec.n_layers, len(lane), self._taken(network, lane, begins))
        hidden = network.predict_next(batch.tokens, mask=batch.mask, cache=cache)
        self._keep(cache, lane)
        return loss_at_targets(network, hidden, batch, self.z_loss)

    def state(self) -> dict[str, Tensor]:
        """The states of all lanes, [lanes, width] each, to be saved with a checkpoint."""
        return dict(self.memory)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from saved states. Raises TrainingError where they are of other lanes."""
        if any(len(tensor) != self.lanes.lanes for tensor in state.values()):
            raise TrainingError(
                "The saved states belong to another batch_size than this training has; start the "
                "stage again, or give the batch_size it was saved with."
            )
        self.memory = {name: tensor.clone() for name, tensor in state.items()}

    def _taken(self, network: Any, lane: Tensor, begins: Tensor) -> list[list[Tensor]]:
        """By layer, the states that these rows go on from."""
        layers: list[list[Tensor]] = [[] for _ in range(network.spec.n_layers)]
        for name in sorted(self.memory):
            kept = self.memory[name].to(lane.device)[lane]
            layers[int(name.split(".")[0])].append(kept.masked_fill(begins[:, None], 0.0))
        return layers

    @torch.no_grad()
    def _keep(self, cache: StateCache, lane: Tensor) -> None:
        """Put the rows' states back in their lanes; what is not finite is forgotten."""
        for layer, states in enumerate(cache.states):
            for part, state in enumerate(states):
                name = f"{layer:03d}.{part}"
                if name not in self.memory:
                    shape = (self.lanes.lanes, state.shape[1])
                    self.memory[name] = torch.zeros(shape, device=state.device)
                after = torch.nan_to_num(state.float(), nan=0.0, posinf=0.0, neginf=0.0)
                self.memory[name] = self.memory[name].to(state.device).index_copy(0, lane, after)
