"""More steps than before: the checkpoint of a shorter training that a longer one passes through.

Two trainings that differ in nothing but `steps` are the same up to a step if the schedule gives
every update before it the same rate: always where the rate stays constant, and during the warm-up
of those that fall, and if both read the same samples before it, which weights that move towards the
run's end do not. Then the shorter one's checkpoint is, to the bit, one of the longer one's own.
"""

from collections.abc import Callable

from hornbook.checkpoints.read import Checkpoint, checkpoints_in, read
from hornbook.errors import StorageError, VersionError
from hornbook.training.state import TrainingPlan


def furthest_shared(
    plan: TrainingPlan, refuse: Callable[[str], None]
) -> tuple[Checkpoint, str] | None:
    """The furthest good checkpoint of another training that this plan passes through, and whose.

    Damaged ones are passed over: at worst the training begins anew. refuse: is told why one that
    had the same rates is not taken.
    """
    found: list[tuple[Checkpoint, str]] = []
    for fingerprint, folder in plan.earlier.items():
        for path in checkpoints_in(folder):
            try:
                checkpoint = read(path)
            except (StorageError, VersionError):
                continue
            if not _had_the_same_rates(plan, checkpoint):
                continue
            if fault := _other_samples(plan, checkpoint):
                refuse(fault)
            else:
                found.append((checkpoint, fingerprint))
    return max(found, key=lambda one: one[0].step, default=None)


def _had_the_same_rates(plan: TrainingPlan, checkpoint: Checkpoint) -> bool:
    """Whether this plan gives each update up to the checkpoint's step the rate it had there."""
    options, counters = plan.options, checkpoint.counters
    if not plan.lineage or counters.get("lineage") != plan.lineage:
        return False
    if checkpoint.step >= options.steps:
        return False
    other = options.model_copy(update={"steps": int(counters["steps"])})
    return all(options.rate_at(step) == other.rate_at(step) for step in range(checkpoint.step))


def _other_samples(plan: TrainingPlan, checkpoint: Checkpoint) -> str:
    """Why the checkpoint read samples that this plan does not; "" where it read the same."""
    steps = int(checkpoint.counters["steps"])
    other = plan.options.model_copy(update={"steps": steps})
    fixed = plan.options.samples_free_of_steps(), other.samples_free_of_steps()
    if all(count is None or checkpoint.counters["samples"] <= count for count in fixed):
        return ""
    return (
        f"the training for {steps} steps had moved its weights towards final_weights by step "
        f"{checkpoint.step}, earlier than one for {plan.options.steps} steps does"
    )
