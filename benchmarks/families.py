"""Forward and backward pass of every family, against transformers or plain torch, on the CPU.

    python benchmarks/families.py --json ratios.json          all, about 25 minutes on two cores
    python benchmarks/families.py --families bert t5 --dtype bf16 --rounds 5
    python benchmarks/families.py --table ratios.json         the table of what was measured

Both sides have the same weights and the same batch, run in one process in turn (ours, theirs, ours,
theirs), with memory kept for both; no optimiser. Ours goes through the flat masters that training
uses: rounding to bf16 and adding up gradients in fp32 are counted. Theirs in bf16 is autocast. A
JSON file grows by what is measured and is never emptied, so that families can be measured one by
one. Measure on quiet cores only: rates of matrix products before and after are printed.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hornbook.batches import masks
from hornbook.checkpoints.hf import read_hf
from hornbook.models.build import empty_network, fill
from hornbook.models.two_stream import Queries
from hornbook.objectives.cross_entropy import cross_entropy
from hornbook.training.measure import matrix_product_rate
from hornbook.training.memory import prepare_process
from hornbook.training.precision import Masters
from peers import PEERS, Peer, Task, build
from recurrent_peers import PLAIN_PEERS, PlainPeer, same_weights

ALL: dict[str, Peer | PlainPeer] = {**PLAIN_PEERS, **PEERS}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
NAMES = {"fp32": "float32", "bf16": "bfloat16"}
WARM = 2
RESAMPLES = 2000
Step = Callable[[], Tensor]


def main() -> None:
    options = arguments().parse_args()
    if options.child:
        print(json.dumps(measure(options.families[0], options)))
        return
    if options.table:
        print(table(json.loads(options.table.read_text(encoding="utf-8"))))
        return
    path, found = options.json, {}
    if path and path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
    measured = {}
    for family in options.families:
        for dtype in options.dtype:
            one = in_process_of_its_own(family, dtype, options)
            measured[f"{family} {dtype}"] = one
            print(row(f"{family} {dtype}", one), flush=True)
            if path:
                text = json.dumps(found | measured, indent=1)
                path.write_text(text + "\n", encoding="utf-8")
    print("\n" + table(measured))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--families", nargs="+", choices=list(ALL), default=list(ALL))
    parser.add_argument("--dtype", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa", help="theirs")
    parser.add_argument("--json", type=Path, help="add what is measured to this file")
    parser.add_argument("--table", type=Path, help="print the table of such a file, and end")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser


def in_process_of_its_own(family: str, dtype: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", "--families", family, "--dtype", dtype]
    command += ["--rounds", str(options.rounds), "--threads", str(options.threads)]
    command += ["--attention", options.attention]
    threads = {"OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False, env=os.environ | threads
    )
    if done.returncode:
        sys.exit(f"{family} in {dtype} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(family: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of both sides by round, their losses, and rates of matrix products around them."""
    prepare_process(options.threads)
    dtype, peer = options.dtype[0], ALL[family]
    if isinstance(peer, PlainPeer):
        torch.manual_seed(0)
        model: Any = peer.make().train()
        spec, weights = same_weights(peer, family, model)
    else:
        model = build(peer, options.attention)
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            spec, weights = read_hf(folder)
    task = peer.task(model.config.vocab_size)
    steps = {"ours": ours(spec, weights, task, dtype), "theirs": theirs(model, task, dtype)}
    found: dict[str, Any] = {"loss": {}, "seconds": {name: [] for name in steps}}
    for name, step in steps.items():
        found["loss"][name] = [float(step()) for _ in range(WARM)][-1]
    rates = [matrix_product_rate("cpu", NAMES[dtype], options.threads)]
    for _ in range(options.rounds):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            found["seconds"][name].append(time.perf_counter() - begun)
    rates.append(matrix_product_rate("cpu", NAMES[dtype], options.threads))
    return found | {"rates": rates, "attention": model.config._attn_implementation}


def theirs(model: Any, task: Task, dtype: str) -> Step:
    def step() -> Tensor:
        model.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            loss: Tensor = model(**task.theirs).loss
        torch.autograd.backward(loss)
        return loss.detach()

    return step


def ours(spec: Any, weights: dict[str, Tensor], task: Task, dtype: str) -> Step:
    network: Any = empty_network(spec)
    fill(network, weights)
    network.train()
    masters = Masters(network, DTYPES[dtype], weight_decay=0.1)

    def step() -> Tensor:
        masters.clear()
        masters.refresh()
        hidden = hidden_states(network, task).flatten(0, 1)
        hidden = hidden.index_select(0, task.places)
        loss = cross_entropy(hidden, network.output, task.targets).total / len(task.targets)
        torch.autograd.backward(loss)
        masters.collect()
        return loss.detach()

    return step


def hidden_states(network: Any, task: Task) -> Tensor:
    if task.source is not None:
        return network(task.source, task.tokens).last
    if task.order is not None:
        assert task.predicted is not None
        order = masks.permutation(task.order)
        queries = Queries(task.predicted, order & masks.others())
        return network(task.tokens, mask=order, queries=queries).last
    return network(task.tokens).last


HEAD = (
    "| family | class, attention | ours ms | theirs ms | theirs / ours [95 %] | losses | "
    "GFLOP/s |\n| --- | --- | --- | --- | --- | --- | --- |"
)


def table(found: dict[str, Any]) -> str:
    return "\n".join([HEAD, *(row(name, one) for name, one in found.items())])


def row(name: str, one: dict[str, Any]) -> str:
    mine, other = one["seconds"]["ours"], one["seconds"]["theirs"]
    ratios = [b / a for a, b in zip(mine, other, strict=True)]
    low, high = interval(ratios)
    peer = ALL[name.split()[0]]
    losses = " ".join(f"{one['loss'][side]:.4f}" for side in ("ours", "theirs"))
    rates = " ".join(f"{rate / 1e9:.0f}" for rate in one["rates"])
    return (
        f"| {name} | {peer.model}, {one['attention']} | {1e3 * statistics.median(mine):.0f} "
        f"| {1e3 * statistics.median(other):.0f} | {statistics.median(ratios):.2f} "
        f"[{low:.2f}, {high:.2f}] | {losses} | {rates} |"
    )


def interval(values: list[float]) -> tuple[float, float]:
    """The middle 95 % of medians of resampled rounds."""
    draw = random.Random(0)
    medians = sorted(
        statistics.median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES)
    )
    return medians[RESAMPLES // 40], medians[-RESAMPLES // 40]


if __name__ == "__main__":
    main()
