"""What this machine can do: its memory, its matrix products, and real updates of a model."""

import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from hornbook.batches.batch import Batch, assemble
from hornbook.models.build import build_network
from hornbook.models.spec import Spec
from hornbook.objectives.causal import Causal
from hornbook.optimizers.adamw import AdamW
from hornbook.training.compute import Compute
from hornbook.training.guard import Guard
from hornbook.training.memory import prepare_process
from hornbook.training.precision import Masters
from hornbook.training.step import update

SIDE = 1024  # a product of this size runs at the peak on CPUs, and is over in milliseconds
GPU_SIDE = 8192


def physical_memory() -> int:
    """Return the machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def free_gpu_memory(device: str) -> int:
    """Return the bytes free on a GPU, with those that torch keeps there and does not use."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free: int = torch.cuda.mem_get_info(device)[0]
    return free + kept


def matrix_product_rate(device: str, precision: str, threads: int, seconds: float = 0.5) -> float:
    """Measure the median rate of square matrix products, in floating-point operations a second.

    Nothing that trains can be faster than this, so it is printed beside every speed.
    """
    torch.set_num_threads(threads)
    side = GPU_SIDE if device.startswith("cuda") else SIDE
    dtype: torch.dtype = getattr(torch, precision)
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)

    def product() -> None:
        torch.mm(left, right, out=out)

    return 2 * side**3 / _median_seconds(product, device, seconds)


def update_seconds(
    spec: Spec,
    rows: int,
    length: int,
    compute: Compute,
    seconds: float,
    micro_batch_size: int = 0,
) -> float:
    """Measure the median time of one update of this model, on random tokens, in seconds.

    It is computed `micro_batch_size` rows at a time (0: all at once), so it needs no more memory
    than the training it stands for.

    At least two updates are made beyond the first, which is slow, so a large model takes longer
    than `seconds`.
    """
    prepare_process(compute.threads)
    network = build_network(spec).to(compute.device)
    masters = Masters(network, compute.dtype, weight_decay=0.1)
    optimizer = AdamW(masters.groups, beta1=0.9, beta2=0.95, epsilon=1e-8)
    batch, objective, guard = random_batch(spec, rows, length), Causal(), Guard()

    def one_update() -> None:
        update(
            network,
            objective,
            batch,
            masters,
            optimizer,
            micro_batch_size=micro_batch_size,
            learning_rate=1e-4,
            clip_norm=1.0,
            examine=guard.examine,
        )

    return _median_seconds(one_update, compute.device, seconds)


def random_batch(spec: Spec, rows: int, length: int) -> Batch:
    """Make a batch of random tokens, each predicting the next."""
    tokens = np.random.default_rng(0).integers(0, spec.vocab_size, (rows, length + 1))
    arrays = {"tokens": tokens[:, :-1], "targets": tokens[:, 1:]}
    return assemble(arrays, Causal.name, np.ones(spec.vocab_size, dtype=np.int32))


def _median_seconds(work: Callable[[], None], device: str, seconds: float) -> float:
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(times) < 3:
        begun = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])
