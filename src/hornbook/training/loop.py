"""The loop: take a batch, step, record, and what is due besides (evaluate, sample, save).

It knows no family, no stage and no source of batches; pre-training and tuning differ in the plan
they give it. Nothing random outlives a step and the order of data is a function of the sample
number, so weights, the optimiser's state and a few counters are all that a checkpoint needs.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from hornbook.batches.batch import Batch
from hornbook.checkpoints.read import newest, read
from hornbook.checkpoints.write import prune, write
from hornbook.optimizers import OPTIMIZERS
from hornbook.optimizers.schedules import SCHEDULES
from hornbook.runs.events import Events
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.runs.stage import resolve
from hornbook.training.compute import Compute
from hornbook.training.guard import Guard
from hornbook.training.memory import prepare_process
from hornbook.training.options import TrainingOptions
from hornbook.training.precision import Masters
from hornbook.training.step import Objective, Optimizer, Update, seed_step, update

FIRST_LOSS_TOLERANCE = 0.25  # nats


class BatchSource(Protocol):
    """Batches by sample number; see `hornbook.batches.loader`."""

    def follow(self, schedule: Iterator[tuple[int, int]], workers: int = 0) -> Iterator[Batch]:
        """The batches of (first sample, count), in order."""


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
    network must have, or None.
    """

    network: nn.Module
    objective: Objective
    batches: BatchSource
    options: TrainingOptions
    compute: Compute
    seed: int
    checkpoints: Path
    watchers: tuple[Watcher, ...] = ()
    expected_first_loss: float | None = None


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
    saved_step: int = -1

    @property
    def network(self) -> nn.Module:
        """The network, computing with the weights of now."""
        return self.plan.network

    @property
    def samples(self) -> int:
        """Samples taken so far; the next batch begins with this number."""
        return self.step * self.plan.options.batch_size

    def learning_rate(self) -> float:
        """The rate of the next update: peak times the schedule's factor."""
        options = self.plan.options
        factor = SCHEDULES[options.schedule](
            self.step, options.steps, options.warmup_steps, options.minimum_learning_rate_ratio
        )
        return options.learning_rate * factor


def train(
    plan: TrainingPlan, *, events: Events, progress: Progress, stop: StopSignal
) -> dict[str, Any]:
    """Train to the plan's last step, from its newest good checkpoint if there is one.

    Afterwards the network holds its fp32 weights, and `plan.checkpoints` one checkpoint, the last.
    Returns a small summary for the manifest.

    Raises:
        Interrupted: a signal asked to stop; a checkpoint of this moment was saved.
        TrainingError: too many updates in a row were not finite, or the checkpoint is of another
            model. StorageError: saving failed, or every checkpoint is damaged.
    """
    prepare_process(plan.compute.threads)
    training = begin(plan, events, progress)
    watchers = (*plan.watchers, Watcher("save", plan.options.checkpoint_interval_steps, save))
    record = Record(training)
    batches = plan.batches.follow(_schedule(training), plan.options.loader_workers)
    with progress.task("training", plan.options.steps, "steps") as task:
        task.advance(training.step)
        for batch in batches:
            record.add(batch, _advance(training, batch))
            task.advance()
            task.show(**record.shown)
            for watcher in watchers:
                if watcher.is_due(training.step, plan.options.steps):
                    watcher.run(training)
            record.restart_clock()
            if stop.requested:
                save(training)
                stop.check()
    training.masters.hand_back()
    prune(read(plan.checkpoints / f"step-{training.step:08d}"), keep=1)
    return record.summary()


def begin(plan: TrainingPlan, events: Events, progress: Progress) -> Training:
    """Set up masters and optimiser, and restore the newest good checkpoint if there is one."""
    options = plan.options
    plan.network.to(plan.compute.device)
    masters = Masters(plan.network, plan.compute.dtype, options.weight_decay)
    optimizer = resolve(OPTIMIZERS.get(options.optimizer, options.optimizer))(
        masters.groups, beta1=options.beta1, beta2=options.beta2, epsilon=options.epsilon
    )
    training = Training(plan, masters, optimizer, events, progress)

    def report(fault: str) -> None:
        events.write("incident", what="damaged checkpoint", why=fault)
        progress.say(f"warning: {fault}")

    found = newest(plan.checkpoints, report)
    if found is not None:
        masters.load_weights(found.weights())
        optimizer.load_state(found.training())
        _restore_counters(training, found.counters)
        events.write("decision", what="resume", why=f"checkpoint of step {found.step}")
        progress.say(f"resuming at step {found.step} of {options.steps}")
    return training


def save(training: Training) -> None:
    """Write a checkpoint of now, unless the one of this step has just been written."""
    if training.saved_step == training.step:
        return
    counters = {
        "step": training.step,
        "samples": training.samples,
        "tokens": training.tokens,
        "targets": training.targets,
        "rejected_in_a_row": training.guard.in_a_row,
    }
    write(
        training.plan.checkpoints,
        training.step,
        training.masters.weights(),
        training.optimizer.state(),
        counters,
    )
    training.saved_step = training.step


class Record:
    """What the updates since the last metric event did; writes the events."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.shown: dict[str, str | float] = {}
        self.last: dict[str, float] = {}
        self._nll, self._targets, self._tokens, self._seconds = 0.0, 0, 0, 0.0
        self.restart_clock()

    def restart_clock(self) -> None:
        """Count time from now, so that watchers do not count as training."""
        self._since = time.perf_counter()

    def add(self, batch: Batch, done: tuple[Update, float]) -> None:
        """Take in one update; write an event where one is due."""
        result, learning_rate = done
        training = self.training
        self._seconds += time.perf_counter() - self._since
        self._tokens += batch.tokens.numel()
        if result.rejected is None:
            self._nll += result.loss * result.targets
            self._targets += result.targets
        interval = training.plan.options.log_interval_steps
        last = training.step == training.plan.options.steps
        if (training.step % interval and training.step != 1 and not last) or not self._targets:
            return
        self.last = {
            "loss": self._nll / self._targets,
            "learning_rate": learning_rate,
            "gradient_norm": result.gradient_norm,
            "tokens_per_second": self._tokens / self._seconds,
        }
        training.events.write(
            "metric",
            step=training.step,
            tokens=training.tokens,
            samples=training.samples,
            **self.last,
        )
        self.shown = {
            "loss": f"{self.last['loss']:.3f}",
            "tokens/s": f"{self.last['tokens_per_second']:,.0f}",
            "learning rate": f"{learning_rate:.2e}",
        }
        self._nll, self._targets, self._tokens, self._seconds = 0.0, 0, 0, 0.0

    def summary(self) -> dict[str, Any]:
        """What the manifest says of the training."""
        training = self.training
        return {
            "steps": training.step,
            "samples": training.samples,
            "tokens": training.tokens,
            "parameters": sum(view.numel() for view in training.masters.weights().values()),
            **({"loss": self.last["loss"]} if self.last else {}),
        }


def _schedule(training: Training) -> Iterator[tuple[int, int]]:
    """(first sample, count) of every update to come."""
    size = training.plan.options.batch_size
    return ((step * size, size) for step in range(training.step, training.plan.options.steps))


def _advance(training: Training, batch: Batch) -> tuple[Update, float]:
    """One update and its learning rate; counts it, and writes down what was wrong with it."""
    plan = training.plan
    rate = training.learning_rate()
    seed_step(plan.seed, training.step)
    result = update(
        plan.network,
        plan.objective,
        batch,
        training.masters,
        training.optimizer,
        micro_batch_size=plan.options.micro_batch_size,
        learning_rate=rate,
        clip_norm=plan.options.clip_norm,
        examine=training.guard.examine,
    )
    training.step += 1
    training.tokens += batch.tokens.numel()
    training.targets += batch.target_count
    if result.rejected:
        training.events.write(
            "incident", step=training.step, what="update rejected", why=result.rejected
        )
    if training.step == 1 and plan.expected_first_loss is not None:
        _check_first_loss(training, result.loss, plan.expected_first_loss)
    return result, rate


def _check_first_loss(training: Training, loss: float, expected: float) -> None:
    """Warn where a fresh network does not begin where its initialisation says it must."""
    if abs(loss - expected) <= FIRST_LOSS_TOLERANCE:
        return
    why = f"the first loss is {loss:.3f}, the initialisation predicts {expected:.3f}"
    training.events.write("incident", step=1, what="first loss", why=why)
    training.progress.say(f"warning: {why}; the model or the data is not what it should be")


def _restore_counters(training: Training, counters: Mapping[str, Any]) -> None:
    """Continue the counts of a checkpoint."""
    training.step = training.saved_step = int(counters["step"])
    training.tokens = int(counters["tokens"])
    training.targets = int(counters["targets"])
    training.guard.in_a_row = int(counters["rejected_in_a_row"])
