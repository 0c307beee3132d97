"""Cached greedy decoding of GPT-2, against transformers' `generate()`, on the CPU.

    python benchmarks/decode.py                      6x384, batch 1 and 8
    python benchmarks/decode.py --layers 12 --width 768 --new 32

Theirs is float32, sdpa, with its cache; ours float32 and bfloat16, with weights packed as every
generation of 32 tokens or more packs them (packing is counted). All run in turn in one process,
with memory kept for both, as `hornbook chat` keeps it; ratios are paired by round. In float32 both
must choose the same tokens. Measure on quiet cores: the rate of matrix products before and after is
printed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
import transformers

from hornbook.checkpoints.hf import write_hf
from hornbook.generation.generate import generate
from hornbook.models.build import build_network, convert, empty_network, fill
from hornbook.models.families import spec_for
from hornbook.training.measure import matrix_product_rate
from hornbook.training.memory import prepare_process


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--prompt", type=int, default=16)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    prepare_process(options.threads)
    print_machine(options.threads)
    for batch in options.batches:
        compare(options, batch)
    print_machine(options.threads)


def compare(options: argparse.Namespace, batch: int) -> None:
    """Time all variants in turn and print a row each."""
    variants, prompts = contestants(options, batch)
    made = {name: run() for name, run in variants.items()}  # warm, and to be compared
    same = made["transformers float32"] == made["hornbook float32"]
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(options.rounds):
        for name, run in variants.items():
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
    base = times["transformers float32"]
    print(f"\nbatch {batch}: ids of float32 {'equal' if same else 'DIFFER'}")
    print(f"{'':24s}{'tokens/s':>10s}{'ratio':>8s}   quartiles of the paired ratios")
    for name, own in times.items():
        ratios = sorted(theirs / mine for theirs, mine in zip(base, own, strict=True))
        low, middle, high = statistics.quantiles(ratios, n=4)
        rate = len(prompts) * options.new / statistics.median(own)
        print(f"{name:24s}{rate:10.1f}{middle:8.2f}   {low:.2f} .. {high:.2f}")


def contestants(
    options: argparse.Namespace, batch: int
) -> tuple[dict[str, Callable[[], list[list[int]]]], list[list[int]]]:
    """What runs, by name, and the prompts they continue."""
    spec = spec_for(
        "gpt2",
        n_layers=options.layers,
        d_model=options.width,
        vocab_size=options.vocabulary,
        max_length=options.prompt + options.new,
        dropout=0.0,
    )
    network = build_network(spec, seed=1).eval()
    low = empty_network(spec).eval()
    fill(low, network.state_dict())
    convert(low, torch.bfloat16)
    with tempfile.TemporaryDirectory() as folder:
        write_hf(folder, spec, network.state_dict())
        theirs = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, options.vocabulary, (batch, options.prompt), generator=generator)

    def peer() -> list[list[int]]:
        with torch.inference_mode():
            ids = theirs.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=options.new,
                do_sample=False,
                pad_token_id=0,
            )
        made: list[list[int]] = ids[:, options.prompt :].tolist()
        return made

    def ours(model: object) -> Callable[[], list[list[int]]]:
        return lambda: [row.ids for row in generate(model, tokens.tolist(), options.new)]

    variants = {
        "transformers float32": peer,
        "hornbook float32": ours(network),
        "hornbook bfloat16": ours(low),
    }
    return variants, tokens.tolist()


def print_machine(threads: int) -> None:
    """What the machine multiplies at, now."""
    rates = (
        f"{name} {matrix_product_rate('cpu', name, threads) / 1e9:.0f} GF/s"
        for name in ("float32", "bfloat16")
    )
    print(f"{threads} threads, matrix products: {', '.join(rates)}")


if __name__ == "__main__":
    main()
