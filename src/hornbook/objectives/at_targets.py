"""The loss of the places that have a target, from a network's hidden states."""

from typing import Any

from torch import Tensor

from hornbook.batches.batch import Batch
from hornbook.models.stacks import Hidden
from hornbook.objectives.cross_entropy import cross_entropy
from hornbook.objectives.loss import Loss


def loss_at_targets(network: Any, hidden: Hidden, batch: Batch, z_loss: float) -> Loss:
    """Sum of -log p over the batch's targets, differentiable; "nll" is without anything added.

    The head sees only rows that have a target. A penalty that parts ask for, meant for the mean
    loss, is added once a target.
    """
    rows: Tensor = hidden.last.flatten(0, 1)
    targets = batch.targets.reshape(-1)
    if batch.target_count < len(targets):
        rows = rows.index_select(0, batch.target_index)
        targets = targets.index_select(0, batch.target_index)
    sums = cross_entropy(rows, network.output, targets, z_loss=z_loss)
    total = sums.total
    if hidden.penalty is not None:
        total = total + hidden.penalty * batch.target_count
    return Loss(total, batch.target_count, {"nll": sums.nll.detach()})
