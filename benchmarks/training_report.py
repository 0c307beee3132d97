"""Run the measurements of training speed as processes, and write them as Markdown tables.

Imports nothing heavy: see measure_training.py.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("measure_training.py")
ENOUGH = 0.8  # a round whose matrix-product rate fell below this share of the best was disturbed
Variant = tuple[str, str]


def arguments(
    description: str, shapes: Iterable[str], default_shapes: Iterable[str]
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--shapes", nargs="+", choices=list(shapes), default=list(default_shapes))
    parser.add_argument("--precisions", nargs="+", choices=["fp32", "bf16"])
    parser.add_argument("--modes", nargs="+", choices=["speed", "alone"])
    parser.add_argument("--rounds", type=int, default=0, help="0: by shape")
    parser.add_argument("--compiled", action="store_true", help="also the plain GPT, compiled")
    parser.add_argument("--quick", action="store_true", help="the first shape, two short rounds")
    parser.add_argument("--json", type=Path, help="also write all measurements here")
    parser.set_defaults(precisions=["fp32", "bf16"], modes=["speed", "alone"])
    return parser


def variants(options: argparse.Namespace) -> list[Variant]:
    names = ["ours", "transformers", "plain"] + ["compiled"] * options.compiled
    return [(name, precision) for precision in options.precisions for name in names]


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run one measurement in a process of its own."""
    threads = {"OMP_NUM_THREADS": str(job["threads"])}
    started = time.monotonic()
    finished = subprocess.run(
        [sys.executable, str(CHILD), json.dumps(job)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | threads | {"TOKENIZERS_PARALLELISM": "false"},
    )
    if finished.returncode:
        sys.exit(f"{job['mode']} of {job['variants']} ended with {finished.returncode}")
    print(f"  measured in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return json.loads(finished.stdout.splitlines()[-1])


def heading(command: Sequence[str], machine: str, threads: int) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    lines = [
        f"date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"command: `{' '.join(command)}`",
        f"machine: {machine}; {threads} threads; {packages}; Python {platform.python_version()}",
        "all: the same fresh weights and tokens, dropout 0, AdamW fused (0.9, 0.95), decay 0.1, "
        "clip 1; not compiled but where named",
        "transformers: GPT2LMHeadModel, sdpa, use_cache=False, bf16 by autocast",
        "plain: nanoGPT's kind, flash sdpa, whole logits, padded vocabulary, bf16 by autocast",
        "ours: fp32 masters in one flat buffer, bf16 shadow, block attention, head and loss in "
        "chunks",
    ]
    return "\n".join(f"- {line}" for line in lines)


def describe(name: str, shape: Mapping[str, int]) -> str:
    return (
        f"{shape['n_layers']}×{shape['d_model']} ({shape['n_heads']} heads), vocabulary "
        f"{shape['vocab_size']}, context {shape['length']}, batch {shape['rows']}"
    )


def speed_table(
    name: str, shape: Mapping[str, int], found: Mapping[str, Any], flops_per_token: float
) -> str:
    """Tokens a second, share of the matrix-product peak, and ours over each, paired by round."""
    tokens = shape["rows"] * shape["length"]
    seconds = {(n, p): values for n, p, values in found["seconds"]}
    losses = {(n, p): values for n, p, values in found["losses"]}
    peaks = {precision: max(rates) for precision, rates in found["rates"].items()}
    lines = [
        f"### {name}: {describe(name, shape)}: speed, interleaved in one process",
        "",
        "| variant | tokens/s | GFLOP/s | share of peak | ours / this, same precision | "
        "ours bf16 / this | first losses |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (variant, precision), values in seconds.items():
        speed = tokens / statistics.median(values)
        done = speed * flops_per_token
        lines.append(
            f"| {variant} {precision} | {speed:,.0f} | {done / 1e9:,.0f} "
            f"| {done / peaks[precision]:.0%} | {paired(values, seconds.get(('ours', precision)))} "
            f"| {paired(values, seconds.get(('ours', 'bf16')))} "
            f"| {' '.join(f'{loss:.4f}' for loss in losses[variant, precision])} |"
        )
    lines.append("")
    for precision, rates in found["rates"].items():
        lowest = min(rates) / max(rates)
        note = "" if lowest >= ENOUGH else ": **cores were not quiet, measure again**"
        lines.append(
            f"Matrix products in {precision}: {peaks[precision] / 1e9:,.0f} GFLOP/s at best, "
            f"{lowest:.0%} of that at worst between rounds{note}."
        )
    return "\n".join(lines)


def paired(values: Sequence[float], ours: Sequence[float] | None) -> str:
    """Median of this variant's time over ours, round by round, with the lowest and highest."""
    if ours is None:
        return ""
    ratios = [value / mine for value, mine in zip(values, ours, strict=True)]
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"


def alone_table(
    name: str, shape: Mapping[str, int], found: Mapping[Variant, Mapping[str, list[Any]]]
) -> str:
    """Milliseconds a step and peak memory over imports, one process a variant."""
    settings = list(next(iter(found.values())))
    lines = [
        f"### {name}: {describe(name, shape)}: one process a variant, alternated",
        "",
        "| variant | " + " | ".join(f"{s}: ms a step | {s}: peak MB" for s in settings) + " |",
        "| --- |" + " --- | --- |" * len(settings),
    ]
    for (variant, precision), by_setting in found.items():
        cells = []
        for runs in by_setting.values():
            cells.append(spread([1e3 * run["seconds"] for run in runs]))
            cells.append(spread([run["bytes"] / 1e6 for run in runs]))
        lines.append(f"| {variant} {precision} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_memory_ratios(found, settings)])


def _memory_ratios(
    found: Mapping[Variant, Mapping[str, list[Any]]], settings: Sequence[str]
) -> list[str]:
    """Our peak and time against each other variant of the same precision, as medians."""
    lines = []
    for (variant, precision), theirs in found.items():
        mine = found.get(("ours", precision))
        if variant == "ours" or mine is None:
            continue
        parts = []
        for setting in settings:
            memory, seconds = (
                statistics.median(run[what] for run in mine[setting])
                / statistics.median(run[what] for run in theirs[setting])
                for what in ("bytes", "seconds")
            )
            parts.append(f"{setting}: peak {memory:.2f}, speed {1 / seconds:.2f}")
        # As users run them: our training keeps memory by itself, theirs has default malloc.
        own, other = (
            statistics.median(run["seconds"] for run in runs)
            for runs in (mine[settings[-1]], theirs[settings[0]])
        )
        if len(settings) > 1:
            parts.append(f"ours {settings[-1]} against its {settings[0]}: speed {other / own:.2f}")
        lines.append(f"- ours {precision} over {variant} {precision}: " + "; ".join(parts))
    return lines


def spread(values: Sequence[float]) -> str:
    middle = f"{statistics.median(values):,.0f}"
    return middle if len(values) < 2 else f"{middle} [{min(values):,.0f}, {max(values):,.0f}]"
