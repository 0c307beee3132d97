"""More steps than before: the checkpoint of a shorter training that a longer one passes through.

Two trainings that differ in nothing but `steps` are the same up to a step if the schedule gives
every update before it the same rate: always where the rate stays constant, and during the warm-up
of those that fall. Then the shorter one's checkpoint is, to the bit, one of the longer one's own.
"""

from hornbook.checkpoints.read import Checkpoint, checkpoints_in, read
from hornbook.errors import StorageError, VersionError
from hornbook.training.state import TrainingPlan


def furthest_shared(plan: TrainingPlan) -> tuple[Checkpoint, str] | None:
    """The furthest good checkpoint of another training that this plan passes through, and whose.

    Damaged ones are passed over: at worst the training begins anew.
    """
    found: list[tuple[Checkpoint, str]] = []
    for fingerprint, folder in plan.earlier.items():
        for path in checkpoints_in(folder):
            try:
                checkpoint = read(path)
            except (StorageError, VersionError):
                continue
            if _passes_through(plan, checkpoint):
                found.append((checkpoint, fingerprint))
    return max(found, key=lambda one: one[0].step, default=None)


def _passes_through(plan: TrainingPlan, checkpoint: Checkpoint) -> bool:
    """Whether this plan's first updates, up to the checkpoint's step, were the checkpoint's."""
    options, counters = plan.options, checkpoint.counters
    if not plan.lineage or counters.get("lineage") != plan.lineage:
        return False
    if checkpoint.step >= options.steps:
        return False
    other = options.model_copy(update={"steps": int(counters["steps"])})
    return all(options.rate_at(step) == other.rate_at(step) for step in range(checkpoint.step))
