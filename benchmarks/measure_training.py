"""One measurement of training speed in a process of its own; prints one JSON object.

Called by train_cpu.py and train_gpu.py, which stay light so that the peak of memory that the system
reports for this process is its own.
"""

import importlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from contestants import CONTESTANTS, Shape
from hornbook.training.measure import matrix_product_rate
from hornbook.training.memory import keep_memory

WARM_STEPS = 3
RATE_SECONDS = 0.5
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}


def main(job: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(job["threads"])

    if job["keep_memory"]:
        keep_memory()
    shape = Shape(**job["shape"])
    return {"speed": interleaved, "alone": alone}[job["mode"]](job, shape)


def interleaved(job: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """All variants in one process, A, B, C, A, B, C; seconds of each round by variant."""
    steps = {tuple(variant): make(variant, shape, job["device"]) for variant in job["variants"]}
    rates = {p: [rate(job, p)] for p in {precision for _, precision in steps}}
    losses = {key: [float(step(n)) for n in range(WARM_STEPS)] for key, step in steps.items()}
    seconds: dict[Any, list[float]] = {key: [] for key in steps}
    number = WARM_STEPS
    for _ in range(job["rounds"]):
        for key, step in steps.items():
            seconds[key].append(timed(step, number, job["steps"], job["device"]))
        number += job["steps"]
        for precision, found in rates.items():
            found.append(rate(job, precision))
    return {
        "seconds": [[*key, values] for key, values in seconds.items()],
        "losses": [[*key, values] for key, values in losses.items()],
        "rates": rates,
    }


def alone(job: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """One variant as a user runs it: median seconds of a step, and peak memory over the imports."""
    device = job["device"]
    if job["variants"][0][0] == "transformers":
        importlib.import_module("transformers")  # so that importing it is not counted
    before = peak_bytes(device)
    step = make(job["variants"][0], shape, device)
    for number in range(WARM_STEPS):
        step(number)
    seconds = [timed(step, WARM_STEPS + n, 1, device) for n in range(job["rounds"] * job["steps"])]
    return {"seconds": statistics.median(seconds), "bytes": peak_bytes(device) - before}


def make(variant: list[str], shape: Shape, device: str) -> Callable[[int], Any]:
    name, precision = variant
    return CONTESTANTS[name](shape, precision, device)


def timed(step: Callable[[int], Any], first: int, count: int, device: str) -> float:
    """Seconds a step, over `count` of them."""
    wait(device)
    started = time.perf_counter()
    for number in range(first, first + count):
        step(number)
    wait(device)
    return (time.perf_counter() - started) / count


def rate(job: dict[str, Any], precision: str) -> float:
    """What the machine multiplies right now, in operations a second."""
    return matrix_product_rate(job["device"], PRECISIONS[precision], job["threads"], RATE_SECONDS)


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def peak_bytes(device: str) -> int:
    """Peak resident memory of this process; on a GPU, peak of what its tensors took."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
