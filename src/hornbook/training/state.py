"""What a training is: its plan, which does not change, and its state, which each step does."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from hornbook.batches.batch import Batch
from hornbook.models.stacks import Network
from hornbook.runs.events import Events
from hornbook.runs.progress import Progress
from hornbook.training.compute import Compute
from hornbook.training.guard import Guard
from hornbook.training.options import TrainingOptions
from hornbook.training.precision import Masters
from hornbook.training.step import Objective, Optimizer


class BatchSource(Protocol):
    """Batches by sample number; see `hornbook.batches.loader`."""

    def follow(self, schedule: Iterator[tuple[int, int]], workers: int = 0) -> Iterator[Batch]:
        """The batches of (first sample, count), in order."""


class Memory(Protocol):
    """What a training carries from update to update besides weights."""

    def state(self) -> Mapping[str, Tensor]:
        """What to save, by name."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what was saved."""


@dataclass(frozen=True)
class Watcher:
    """Something to do besides: `run` after every `interval_steps` updates and after the last.

    With 0 it runs after the last only.
    """

    name: str
    interval_steps: int
    run: Callable[["Training"], None]

    def is_due(self, step: int, last: int) -> bool:
        """Whether to run now that `step` updates are done."""
        return step == last or (self.interval_steps > 0 and step % self.interval_steps == 0)


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """All that a training needs to know.

    network: fresh or pre-trained, fp32. objective: its loss. batches: what it learns from.
    checkpoints: the folder that holds them; the newest good one there is continued.
    watchers: run in this order, before saving. expected_first_loss: nats a token that a fresh
    network must have, or None. lineage: what trainings share that differ only in their steps;
    earlier: where checkpoints of such may lie (short fingerprint -> folder). memory: what the
    objective carries from update to update, if anything.
    """

    network: Network
    objective: Objective
    batches: BatchSource
    options: TrainingOptions
    compute: Compute
    seed: int
    checkpoints: Path
    watchers: tuple[Watcher, ...] = ()
    expected_first_loss: float | None = None
    lineage: str = ""
    earlier: Mapping[str, Path] = field(default_factory=dict)
    memory: Memory | None = None


@dataclass(eq=False)
class Training:
    """A training under way; watchers are given it."""

    plan: TrainingPlan
    masters: Masters
    optimizer: Optimizer
    events: Events
    progress: Progress
    guard: Guard = field(default_factory=Guard)
    step: int = 0
    tokens: int = 0
    targets: int = 0
    by_source: dict[int, list[int]] = field(default_factory=dict)  # see `count_sources`
    bits_per_byte: dict[str, float] = field(default_factory=dict)  # of the last evaluation
    saved_step: int = -1

    @property
    def network(self) -> Network:
        """The network, computing with the weights of now."""
        return self.plan.network

    @property
    def samples(self) -> int:
        """Samples taken so far; the next batch begins with this number."""
        return self.step * self.plan.options.batch_size

    def count_sources(self, batch: Batch) -> None:
        """Add a batch to `by_source`: source number -> samples, tokens, targets, bytes of text."""
        for source, counts in batch.by_source().items():
            before = self.by_source.get(source, [0] * len(counts))
            self.by_source[source] = [a + b for a, b in zip(before, counts, strict=True)]

    def learning_rate(self) -> float:
        """The rate of the next update."""
        return self.plan.options.rate_at(self.step)

    def counters(self) -> dict[str, Any]:
        """What a checkpoint keeps besides tensors; the same for a run that was stopped midway."""
        return {
            "step": self.step,
            "steps": self.plan.options.steps,
            "lineage": self.plan.lineage,
            "samples": self.samples,
            "tokens": self.tokens,
            "targets": self.targets,
            "by_source": {str(source): self.by_source[source] for source in sorted(self.by_source)},
            "rejected_in_a_row": self.guard.in_a_row,
            "bits_per_byte": self.bits_per_byte,
        }

    def restore(self, counters: Mapping[str, Any]) -> None:
        """Continue the counts of a checkpoint."""
        self.step = self.saved_step = int(counters["step"])
        self.tokens = int(counters["tokens"])
        self.targets = int(counters["targets"])
        self.by_source = {int(source): c for source, c in counters["by_source"].items()}
        self.guard = Guard(int(counters["rejected_in_a_row"]))
        self.bits_per_byte = dict(counters["bits_per_byte"])
