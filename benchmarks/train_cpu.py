"""Speed and memory of our training step on the CPU, against transformers and a plain PyTorch GPT.

    python benchmarks/train_cpu.py                     all shapes, about half an hour on two cores
    python benchmarks/train_cpu.py --quick             the smallest shape, a minute
    python benchmarks/train_cpu.py --shapes M --modes speed --precisions bf16 --compiled

Two ways of measuring. "speed": all variants in one process, A, B, C, A, B, C, memory kept for all,
so that a disturbance falls on all alike; ratios are paired by round. "alone": one process a
variant, alternated, with the default allocator and with memory kept; gives peak memory too. Measure
on quiet cores only: the rate of matrix products between rounds is printed and must not fall.
"""

import json
import os
import platform
import sys
from collections import defaultdict
from typing import Any

from training_report import (
    Variant,
    alone_table,
    arguments,
    heading,
    measure,
    speed_table,
    variants,
)

SHAPES = {
    "S": {
        "n_layers": 4,
        "d_model": 128,
        "n_heads": 4,
        "vocab_size": 4096,
        "length": 256,
        "rows": 16,
    },
    "M": {
        "n_layers": 6,
        "d_model": 384,
        "n_heads": 6,
        "vocab_size": 8192,
        "length": 256,
        "rows": 16,
    },
    "L": {
        "n_layers": 12,
        "d_model": 768,
        "n_heads": 12,
        "vocab_size": 50257,
        "length": 512,
        "rows": 4,
    },
}
ROUNDS = {"S": 15, "M": 7, "L": 5}
STEPS = {"S": 4, "M": 1, "L": 1}  # steps a round
PROCESSES = {"S": 3, "M": 2, "L": 1}  # processes a variant and allocator, when alone


def main() -> None:
    options = arguments(__doc__ or "", SHAPES, SHAPES).parse_args()
    if options.quick:
        options.shapes, options.rounds = options.shapes[:1], options.rounds or 2
    threads = physical_cores()
    command = ["python", *sys.argv]
    print(heading(command, f"{processor()}, {os.cpu_count()} CPUs", threads))
    raw: dict[str, Any] = {}
    for name in options.shapes:
        job = {"shape": SHAPES[name], "threads": threads, "device": "cpu", "steps": STEPS[name]}
        job["rounds"] = options.rounds or ROUNDS[name]
        if "speed" in options.modes:
            chosen = job | {"mode": "speed", "keep_memory": True, "variants": variants(options)}
            raw[f"{name} speed"] = found = measure(chosen)
            print("\n" + speed_table(name, SHAPES[name], found, flops_per_token(SHAPES[name])))
            print("Memory was kept for all.")
        if "alone" in options.modes:
            repeats = 1 if options.quick else PROCESSES[name]
            table = one_process_each(job, variants(options), repeats)
            raw[f"{name} alone"] = [[*key, value] for key, value in table.items()]
            print("\n" + alone_table(name, SHAPES[name], table))
        sys.stdout.flush()
    if options.json:
        options.json.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")


def one_process_each(
    job: dict[str, Any], chosen: list[Variant], repeats: int
) -> dict[Variant, dict[str, list[Any]]]:
    """Each variant with each allocator in its own process, in turn, `repeats` times."""
    table: dict[Variant, dict[str, list[Any]]] = {v: defaultdict(list) for v in chosen}
    for _ in range(repeats):
        for setting, kept in (("default", False), ("kept", True)):
            for variant in chosen:
                alone = job | {"mode": "alone", "keep_memory": kept, "variants": [variant]}
                table[variant][setting].append(measure(alone))
    return table


def flops_per_token(shape: dict[str, int]) -> float:
    """6 (12 L d² + V d) + 6 L d T: forward and backward, the causal half of attention."""
    d, layers = shape["d_model"], shape["n_layers"]
    return 6 * (12 * layers * d * d + shape["vocab_size"] * d) + 6 * layers * d * shape["length"]


def physical_cores() -> int:
    """Physical cores of this machine."""
    import psutil

    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def processor() -> str:
    """The processor's name where the system tells it."""
    import psutil

    memory = f"{psutil.virtual_memory().total / 1e9:.0f} GB"
    return f"{platform.processor() or platform.machine()} ({platform.system()}), {memory}"


if __name__ == "__main__":
    main()
