"""How well a network predicts fixed text: nats a token, bits a byte."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hornbook.batches.batch import Batch, assemble
from hornbook.batches.plans import Plan, evaluation_rows
from hornbook.objectives.causal import Causal
from hornbook.objectives.loss import Loss


class Scored(Protocol):
    """An objective whose "nll" is the likelihood of the targets' bytes."""

    def loss(self, network: nn.Module, batch: Batch) -> Loss:
        """Sum over targets."""


@dataclass(frozen=True)
class Likelihood:
    """A sum over text: `nll` in nats over `targets` tokens that stand for `bytes` bytes."""

    nll: float
    targets: int
    bytes: int

    @property
    def loss(self) -> float:
        """Nats a target token; depends on the tokenizer."""
        return self.nll / self.targets if self.targets else math.nan

    @property
    def bits_per_byte(self) -> float:
        """Bits a byte of text; comparable between tokenizers."""
        return self.nll / math.log(2) / self.bytes if self.bytes else math.nan


def likelihood(network: nn.Module, objective: Scored, batches: Iterable[Batch]) -> Likelihood:
    """Score batches, wherever they lie, on the network's device, without dropout or gradients.

    The network's training mode is as it was afterwards. Equation: -Σ log p(target), summed in
    double precision over batches.
    """
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    nll, targets, read = 0.0, 0, 0
    try:
        with torch.no_grad():
            for batch in batches:
                nll += float(objective.loss(network, batch.to(device)).metrics["nll"])
                targets += batch.target_count
                read += batch.byte_count
    finally:
        network.train(training)
    return Likelihood(nll, targets, read)


def fixed_batches(
    plan: Plan,
    rows: int,
    batch_rows: int,
    objective: Causal,
    byte_lengths: NDArray[np.integer],
) -> Iterator[Batch]:
    """`rows` rows evenly spaced over a plan, the same at every call: a fixed evaluation set."""
    positions = evaluation_rows(plan, rows)
    for start in range(0, len(positions), batch_rows):
        numbers = positions[start : start + batch_rows]
        arrays = objective.prepare(plan.rows(numbers), numbers)
        yield assemble(arrays, objective.name, byte_lengths, objective.mask)
