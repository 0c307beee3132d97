"""The loop: take a batch, step, record, and what is due besides (evaluate, sample, save).

It knows no family, no stage and no source of batches; pre-training and tuning differ in the plan
they give it. Nothing random outlives a step and the order of data is a function of the sample
number, so weights, the optimiser's state and a few counters are all that a checkpoint needs.
"""

from collections.abc import Iterator
from typing import Any

from hornbook.batches.batch import Batch
from hornbook.checkpoints.read import newest, read
from hornbook.checkpoints.write import prune, write
from hornbook.models.spec import spec_to_dict
from hornbook.optimizers import OPTIMIZERS
from hornbook.recipe.plugins import find
from hornbook.runs.events import Events
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.training.continuation import furthest_shared
from hornbook.training.memory import prepare_process
from hornbook.training.precision import Masters
from hornbook.training.record import Record
from hornbook.training.state import Training, TrainingPlan, Watcher
from hornbook.training.step import Update, seed_step, update

FIRST_LOSS_TOLERANCE = 0.25  # nats
MEMORY = "memory."


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
    steps = plan.options.steps
    watchers = (*plan.watchers, Watcher("save", plan.options.checkpoint_interval_steps, save))
    with progress.task("training", steps, "steps") as task:
        task.advance(training.step)
        record = Record(training)
        for batch in plan.batches.follow(_schedule(training), plan.options.loader_workers):
            result, rate = advance(training, batch)
            record.add(batch, result, rate)
            task.advance()
            task.show(**record.shown)
            for watcher in watchers:
                if watcher.is_due(training.step, steps):
                    watcher.run(training)
            if stop.requested:
                save(training)
                stop.check()
            record.restart_clock()
    training.masters.hand_back()
    prune(read(plan.checkpoints / f"step-{training.step:08d}"), keep=1)
    return record.summary()


def begin(plan: TrainingPlan, events: Events, progress: Progress) -> Training:
    """Set up masters and optimiser, and restore the newest good checkpoint if there is one."""
    options = plan.options
    plan.network.to(plan.compute.device)
    masters = Masters(plan.network, plan.compute.dtype, options.weight_decay)
    optimizer = find(options.optimizer, OPTIMIZERS)(
        masters.groups, beta1=options.beta1, beta2=options.beta2, epsilon=options.epsilon
    )
    training = Training(plan, masters, optimizer, events, progress)

    def report(fault: str) -> None:
        events.write("incident", what="damaged checkpoint", why=fault)
        progress.say(f"warning: a damaged checkpoint is passed over: {fault}")

    def refuse(fault: str) -> None:
        events.write("decision", what="an earlier checkpoint is not continued", why=fault)

    found = newest(plan.checkpoints, report)
    why = "there is a checkpoint"
    if found is None and (shared := furthest_shared(plan, refuse)):
        found, whose = shared
        events.repeat(whose, found.step)
        why = f"training for {found.counters['steps']} steps was the same up to there: checkpoint"
    if found is not None:
        masters.load_weights(found.weights())
        saved = found.training()
        remembered = {name: saved.pop(name) for name in list(saved) if name.startswith(MEMORY)}
        optimizer.load_state(saved)
        if plan.memory is not None:
            plan.memory.load_state({n.removeprefix(MEMORY): t for n, t in remembered.items()})
        training.restore(found.counters)
        events.write("decision", what="resume", why=f"{why} of step {found.step}")
        progress.say(f"training goes on after step {found.step} of {options.steps}")
    return training


def advance(training: Training, batch: Batch) -> tuple[Update, float]:
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
    training.count_sources(batch)
    if result.rejected:
        training.events.write(
            "incident", step=training.step, what="update rejected", why=result.rejected
        )
    elif training.step == 1 and plan.expected_first_loss is not None:
        _check_first_loss(training, result.loss, plan.expected_first_loss)
    return result, rate


def save(training: Training) -> None:
    """Write a checkpoint of now, unless the one of this step has just been written."""
    if training.saved_step == training.step:
        return
    counters = training.counters() | {"spec": spec_to_dict(training.network.spec)}
    weights, state = training.masters.weights(), dict(training.optimizer.state())
    if training.plan.memory is not None:
        state |= {MEMORY + name: kept for name, kept in training.plan.memory.state().items()}
    write(training.plan.checkpoints, training.step, weights, state, counters)
    training.saved_step = training.step


def _schedule(training: Training) -> Iterator[tuple[int, int]]:
    """(first sample, count) of every update to come."""
    size = training.plan.options.batch_size
    return ((step * size, size) for step in range(training.step, training.plan.options.steps))


def _check_first_loss(training: Training, loss: float, expected: float) -> None:
    """Warn where a fresh network does not begin where its initialisation says it must."""
    if abs(loss - expected) <= FIRST_LOSS_TOLERANCE:
        return
    why = f"the first loss is {loss:.3f}, the initialisation predicts {expected:.3f}"
    training.events.write("incident", step=1, what="first loss", why=why)
    training.progress.say(f"warning: {why}; the model or the data is not what it should be")
