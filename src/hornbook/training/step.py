"""One update of the weights: accumulate, clip, examine, optimise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from hornbook.batches.batch import Batch
from hornbook.objectives.loss import Loss
from hornbook.recipe.fingerprint import derive_seed
from hornbook.training.precision import Masters


class Objective(Protocol):
    """A sum over targets; see the room `objectives`."""

    def loss(self, network: nn.Module, batch: Batch) -> Loss:
        """The loss of one micro-batch."""


class Optimizer(Protocol):
    """What changes the masters; see the room `optimizers`."""

    def step(self, learning_rate: float) -> None:
        """One update from the gradients as they are."""

    def state(self) -> dict[str, Tensor]:
        """What to save, by name."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what was saved."""


@dataclass(frozen=True)
class Update:
    """What one update did: mean loss and count over its targets, gradient length before clipping.

    `rejected` says why the weights were left as they are, or is None.
    """

    loss: float
    targets: int
    gradient_norm: float
    rejected: str | None


def seed_step(seed: int, step: int) -> None:
    """Set torch's generators for one step, so that dropout depends on nothing that came before."""
    torch.manual_seed(derive_seed(seed, "step", step))


def update(
    network: nn.Module,
    objective: Objective,
    batch: Batch,
    masters: Masters,
    optimizer: Optimizer,
    *,
    micro_batch_size: int,
    learning_rate: float,
    clip_norm: float,
    examine: Callable[[float, float], str | None],
) -> Update:
    """Make one update from a batch, computed `micro_batch_size` rows at a time (0: all at once).

    The gradient is that of (sum of losses over all micro-batches) / (their targets in all), however
    the rows are cut: equal up to rounding. `examine(loss, gradient norm)` may reject it; a batch
    without targets is passed over.
    """
    if not batch.target_count:
        return Update(0.0, 0, 0.0, "the batch has no target")
    device = masters.values.device
    network.train()
    nll = torch.zeros((), device=device)
    for part in micro_batches(batch, micro_batch_size):
        if part.target_count:
            loss = objective.loss(network, part.to(device))
            torch.autograd.backward(loss.total / batch.target_count)
            masters.collect()
            nll += loss.metrics["nll"]
    mean = float(nll) / batch.target_count
    norm = masters.clip(clip_norm)
    try:
        rejected = examine(mean, norm)
        if rejected is None:
            optimizer.step(learning_rate)
            masters.refresh()
    finally:
        masters.clear()
    return Update(mean, batch.target_count, norm, rejected)


def micro_batches(batch: Batch, rows: int) -> Sequence[Batch]:
    """The batch cut into parts of at most `rows` rows; 0 leaves it whole."""
    count = len(batch.tokens)
    if not rows or rows >= count:
        return (batch,)
    return [batch.select(slice(start, start + rows)) for start in range(0, count, rows)]
