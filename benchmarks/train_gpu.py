"""Speed and memory of our training step on one GPU, against transformers and a plain PyTorch GPT.

    python benchmarks/train_gpu.py
    python benchmarks/train_gpu.py --quick --compiled

Measures as train_cpu.py does: all variants in one process, in turn, and each in its own process for
the peak of its tensors' memory. Attention of all is sdpa (flash in bf16). Without a CUDA device it
says so and ends.
"""

import json
import os
import sys
from typing import Any

from train_cpu import flops_per_token, physical_cores
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
    "M": {
        "n_layers": 6,
        "d_model": 384,
        "n_heads": 6,
        "vocab_size": 8192,
        "length": 256,
        "rows": 256,
    },
    "L": {
        "n_layers": 12,
        "d_model": 768,
        "n_heads": 12,
        "vocab_size": 50257,
        "length": 1024,
        "rows": 16,
    },
}
ROUNDS, STEPS = 10, 10


def main() -> None:
    import torch

    options = arguments(__doc__ or "", SHAPES, SHAPES).parse_args()
    if not torch.cuda.is_available():
        print("No CUDA device here: nothing was measured. Run this on a machine with a GPU.")
        return
    if options.quick:
        options.shapes, options.rounds = options.shapes[:1], options.rounds or 2
    threads = physical_cores()
    machine = f"{torch.cuda.get_device_name()}, {os.cpu_count()} CPUs"
    print(heading(["python", *sys.argv], machine, threads))
    raw: dict[str, Any] = {}
    for name in options.shapes:
        job = {"shape": SHAPES[name], "threads": threads, "device": "cuda", "steps": STEPS}
        job |= {"rounds": options.rounds or ROUNDS, "keep_memory": False}
        if "speed" in options.modes:
            raw[f"{name} speed"] = found = measure(
                job | {"mode": "speed", "variants": variants(options)}
            )
            print("\n" + speed_table(name, SHAPES[name], found, flops_per_token(SHAPES[name])))
        if "alone" in options.modes:
            table: dict[Variant, dict[str, list[Any]]] = {
                v: {"alone": [measure(job | {"mode": "alone", "variants": [v]})]}
                for v in variants(options)
            }
            raw[f"{name} alone"] = [[*key, value] for key, value in table.items()]
            print("\n" + alone_table(name, SHAPES[name], table))
        sys.stdout.flush()
    if options.json:
        options.json.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
