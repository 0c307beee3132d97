"""What a recipe will cost on this machine before it runs: arithmetic, memory, disk, time."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hornbook.errors import RecipeError, SpecError
from hornbook.models.count import flops_per_token, parameters, training_memory
from hornbook.runs.atomic import readable_bytes
from hornbook.stages.networks import CHECKPOINTS
from hornbook.training.compute import resolve_compute
from hornbook.training.measure import (
    free_gpu_memory,
    matrix_product_rate,
    physical_memory,
    update_seconds,
)

USUAL_UTILISATION = 0.5  # of the machine's matrix products, by our own step at middling widths
LONGEST_TRIAL_SECONDS = 5.0
CHECKPOINT_COPIES = 3  # two are kept, and the next is written beside them
BYTES_A_PARAMETER_SAVED = 12  # float32 weights and AdamW's two averages


class Sections(Protocol):
    """What is needed of a recipe."""

    def __getitem__(self, section: str) -> Any:
        """Return a section's options."""


@dataclass(frozen=True)
class Forecast:
    """Figures of one recipe on one machine; `faults` say why it cannot fit."""

    parameters: Mapping[str, int]
    flops_per_token: int
    memory: Mapping[str, int]
    tokens: int
    disk_bytes: int
    seconds: float
    seconds_measured: bool
    why: str
    faults: tuple[str, ...]


def forecast(recipe: Sections, directory: Path, *, measure: bool = True) -> Forecast:
    """Work out what pre-training by this recipe takes; refusals are among the faults.

    Time is measured on real updates where one takes seconds at most; for larger models it is
    reckoned from the machine's rate of matrix products.
    """
    options, compute = recipe["pretraining"], resolve_compute(recipe["compute"])
    spec = recipe["model"].spec(recipe["tokenizer"].vocab_size)
    rows, length = options.batch_size, options.sequence_length
    if length > spec.max_length:
        raise SpecError(
            f"pretraining.sequence_length = {length} is longer than model.max_length = "
            f"{spec.max_length}; lower the one or raise the other."
        )
    counts = parameters(spec)
    flops = flops_per_token(spec, length)
    memory = training_memory(spec, options.micro_batch_size or rows, length, compute.precision)
    disk = counts["total"] * BYTES_A_PARAMETER_SAVED * CHECKPOINT_COPIES
    faults = (
        *memory_faults(memory["total"], compute.device),
        *_disk_faults(max(0, disk - _saved_bytes(directory)), directory),
    )
    step, measured = 0.0, False
    if measure and not faults:
        rate = matrix_product_rate(compute.device, compute.precision, compute.threads)
        step = rows * length * flops / (rate * USUAL_UTILISATION)
        measured = step < LONGEST_TRIAL_SECONDS
        if measured:
            micro = options.micro_batch_size
            step = update_seconds(spec, rows, length, compute, 2.0, micro_batch_size=micro)
    return Forecast(
        counts,
        flops,
        memory,
        options.steps * rows * length,
        disk,
        options.steps * step,
        measured,
        compute.why,
        faults,
    )


def require_fit(recipe: Sections, directory: Path) -> None:
    """Refuse a pre-training that cannot fit into memory or on the disk, before anything runs.

    Raises:
        RecipeError: what does not fit, by how much, and what to lower.
    """
    found = forecast(recipe, directory, measure=False)
    if found.faults:
        raise RecipeError("\n".join(found.faults))


def memory_faults(needed: int, device: str) -> tuple[str, ...]:
    """Compare with the machine's memory, or with what is free on its GPU."""
    if device.startswith("cuda"):
        there, place, state = free_gpu_memory(device), "the GPU", " free"
    else:
        there, place, state = physical_memory(), "this machine", ""
    if needed <= there:
        return ()
    return (
        f"training would need about {needed / 1e9:.1f} GB of memory and {place} has "
        f"{there / 1e9:.1f} GB{state}: lower model.d_model, model.n_layers, "
        "pretraining.micro_batch_size or pretraining.sequence_length.",
    )


def _disk_faults(needed: int, directory: Path) -> tuple[str, ...]:
    """Compare with what is free where the run is, or will be."""
    free = shutil.disk_usage(_nearest(directory)).free
    if needed <= free:
        return ()
    return (
        f"checkpoints would need about {readable_bytes(needed)} more and {directory} has "
        f"{readable_bytes(free)} free: free some space, name another --directory, or lower "
        "model.d_model or model.n_layers.",
    )


def _saved_bytes(directory: Path) -> int:
    """Return the bytes of the checkpoints in a run's directory, or in that of its pre-training.

    They are pruned as new ones come, so their room is there for the new ones.
    """
    folders = (directory / CHECKPOINTS, *directory.glob(f"pretraining*/{CHECKPOINTS}"))
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


def _nearest(path: Path) -> Path:
    """Return the path, or the closest folder above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())
