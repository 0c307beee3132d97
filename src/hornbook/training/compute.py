"""Device, precision and threads: what "auto" means on this machine, and why."""

import os
from dataclasses import dataclass

import torch

from hornbook.errors import RecipeError
from hornbook.training.options import ComputeOptions

# What torch takes by itself, read before anyone changes it: one thread a physical core.
PHYSICAL_CORES = torch.get_num_threads()


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Compute:
    """Resolved choices: `precision` is "float32" or "bfloat16"; `why` is one line of reasons.

    Precision changes results and stays with a run; device and threads may change when it moves.
    """

    device: str
    precision: str
    threads: int
    why: str = ""

    @property
    def dtype(self) -> torch.dtype:
        """The type that matrix products run in."""
        return DTYPES[self.precision]


def resolve_compute(options: ComputeOptions, recorded_precision: str | None = None) -> Compute:
    """Choose what the options leave open; a precision that the run recorded is kept.

    Raises:
        RecipeError: the device named is not there.
    """
    device, device_reason = _device(options.device)
    precision, precision_reason = _precision(options.precision, recorded_precision, device)
    threads = usable_cores() if options.threads == "auto" else options.threads
    threads_reason = "physical cores" if options.threads == "auto" else "as asked"
    why = (
        f"device {device} ({device_reason}), precision {precision} ({precision_reason}), "
        f"{threads} thread{'s' if threads != 1 else ''} ({threads_reason})"
    )
    return Compute(device, precision, threads, why)


def bf16_is_fast(device: str) -> bool:
    """Whether this machine multiplies bf16 faster: AVX512_BF16 or AMX, or the GPU can."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu":
        return False
    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, test, bool)() for test in tests)


def usable_cores() -> int:
    """Physical cores, or fewer where this process may only run on some."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return max(1, min(PHYSICAL_CORES, len(affinity(0)))) if affinity else PHYSICAL_CORES


def _device(asked: str) -> tuple[str, str]:
    """A device that is there, and why it was chosen."""
    if asked == "auto":
        found = torch.cuda.is_available()
        return ("cuda", "a CUDA device is there") if found else ("cpu", "no CUDA device")
    try:
        kind = torch.device(asked)
    except RuntimeError as error:
        raise RecipeError(
            f'compute.device = "{asked}" is no device; take "cpu" or "cuda".'
        ) from error
    there = kind.type == "cpu" or (
        kind.type == "cuda"
        and torch.cuda.is_available()
        and (kind.index or 0) < torch.cuda.device_count()
    )
    if not there:
        raise RecipeError(
            f'compute.device = "{asked}" is not on this machine; take "cpu", or "auto" to use what '
            "there is."
        )
    return asked, "as asked"


def _precision(asked: str, recorded: str | None, device: str) -> tuple[str, str]:
    """A precision, and why."""
    if asked != "auto":
        return asked, "as asked"
    if recorded in DTYPES:
        return str(recorded), "as this run began"
    name = "the GPU" if device.startswith("cuda") else "this CPU"
    if bf16_is_fast(device):
        return "bfloat16", f"{name} multiplies bf16 faster"
    return "float32", f"{name} has no fast bf16"
