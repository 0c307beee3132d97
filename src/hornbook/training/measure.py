"""What this machine can do: its memory, and how fast it multiplies matrices."""

import os
import statistics
import time

import torch

SIDE = 1024  # a product of this size runs at the peak on CPUs, and is over in milliseconds
GPU_SIDE = 8192


def physical_memory() -> int:
    """Return the machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def matrix_product_rate(device: str, precision: str, threads: int, seconds: float = 0.5) -> float:
    """Measure the median rate of square matrix products, in floating-point operations a second.

    Nothing that trains can be faster than this, so it is printed beside every speed.
    """
    torch.set_num_threads(threads)
    side = GPU_SIDE if device.startswith("cuda") else SIDE
    dtype: torch.dtype = getattr(torch, precision)
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    rates: list[float] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(rates) < 4:
        begun = time.perf_counter()
        torch.mm(left, right, out=out)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        rates.append(2 * side**3 / (time.perf_counter() - begun))
    return statistics.median(rates[1:])
