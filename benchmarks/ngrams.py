"""Counting n-grams of order 5 and making modified Kneser-Ney of them: tokens a second and memory.

    python benchmarks/ngrams.py                                 10^7 tokens, three vocabularies
    python benchmarks/ngrams.py --tokens 100000000 --vocabularies 4096

The text is Zipf's law with repeats: six of ten spans of 5 to 39 tokens are copies of earlier text,
so that about half of all 5-grams are new, as in language. Each vocabulary has a process of its own.
"counted" is counts of all orders; "discounts" adds continuation counts and discounts; "model" adds
probabilities and weights. Bytes are the most that the process held above the text, a token. What
the machine sorts and copies, now, is printed before and after, and CPU seconds beside those of the
clock: on quiet cores the clock shows little more than these divided by the threads.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.models.ngrams.counts import available_cores, count_ngrams
from hornbook.models.ngrams.estimate import estimate
from hornbook.models.ngrams.kneser_ney import adjusted_counts, estimate_discounts

BLOCK = 1_000_000
COPIED = 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[4096, 8192, 50257])
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options, np.load(options.child))))
        return
    print_machine()
    print(f"\n{options.tokens} tokens, order {options.order}, {options.threads} threads")
    heads = "".join(f"{name:>23}" for name in ("counted", "discounts", "model"))
    print(f"{'V':>7}{'n-grams':>11}{heads}{'bytes a token':>16}")
    print(f"{'':>18}{'   Mtok/s      s  CPU s' * 3}{'counts':>9}{'model':>7}")
    for vocab_size in options.vocabularies:
        print(row(options.tokens, in_process_of_its_own(options, vocab_size)), flush=True)
    print()
    print_machine()


def in_process_of_its_own(options: argparse.Namespace, vocab_size: int) -> dict[str, Any]:
    """Write the text, measure in a fresh process, and return what it found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens.npy"
        np.save(path, zipf_text(options.tokens, vocab_size))
        settings = {"order": options.order, "threads": options.threads, "vocabularies": vocab_size}
        arguments = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, __file__, "--child", str(path), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found | {"vocab_size": vocab_size}


def measure(options: argparse.Namespace, tokens: NDArray[np.integer]) -> dict[str, Any]:
    """Seconds by clock and CPU since the beginning, and bytes, after each phase."""
    (vocab_size,) = options.vocabularies
    before = peak_bytes()
    wall, cpu = time.perf_counter(), time.process_time()

    def now() -> tuple[float, float]:
        return time.perf_counter() - wall, time.process_time() - cpu

    counts = count_ngrams([tokens], vocab_size, options.order, threads=options.threads)
    found: dict[str, Any] = {"counted": now(), "counts_bytes": peak_bytes() - before}
    for order in range(1, options.order + 1):
        estimate_discounts(adjusted_counts(counts, order))
    found["discounts"] = now()
    model = estimate(counts)
    found["model"] = now()
    found["model_bytes"] = peak_bytes() - before
    found["ngrams"] = sum(len(level.tokens) for level in model.levels)
    return found


def row(tokens: int, found: dict[str, Any]) -> str:
    """One line of the table."""
    phases = "".join(
        f"{tokens / wall / 1e6:9.2f}{wall:7.1f}{cpu:7.1f}"
        for wall, cpu in (found[name] for name in ("counted", "discounts", "model"))
    )
    sizes = f"{found['counts_bytes'] / tokens:9.1f}{found['model_bytes'] / tokens:7.1f}"
    return f"{found['vocab_size']:>7}{found['ngrams']:>11}{phases}{sizes}"


def zipf_text(tokens: int, vocab_size: int) -> NDArray[np.integer]:
    """Ids with the frequencies of Zipf's law, in which spans come back."""
    random = np.random.default_rng(0)
    shares = np.cumsum(1 / np.arange(1, vocab_size + 1))
    ids = random.permutation(vocab_size)
    text = np.empty(tokens, dtype=np.min_scalar_type(vocab_size))
    for start in range(0, tokens, BLOCK):
        count = min(BLOCK, tokens - start)
        ranks = np.searchsorted(shares, random.random(count) * shares[-1])
        block = ids[np.minimum(ranks, vocab_size - 1)]
        lengths = random.integers(5, 40, count // 5 + 1)
        spans = np.repeat(np.arange(len(lengths)), lengths)[:count]
        begins = np.cumsum(lengths) - lengths
        if start:
            sources = random.integers(0, start - 40, len(lengths))
            copied = (random.random(len(lengths)) < COPIED)[spans]
            places = (sources[spans] + np.arange(count) - begins[spans])[copied]
            block[copied] = text[places]
        text[start : start + count] = block
    return text


def peak_bytes() -> int:
    """The most memory that this process has held so far; what Linux counts since it began."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def print_machine() -> None:
    """What one core sorts and copies at, now."""
    values = np.random.default_rng(0).integers(0, 1 << 60, 10_000_000)
    began = time.perf_counter()
    values.copy()
    copied = time.perf_counter()
    cpu = time.process_time()
    np.sort(values)
    cpu, done = time.process_time() - cpu, time.perf_counter()
    print(
        f"one core: sorts {len(values) / (done - copied) / 1e6:.1f} M numbers of 64 bits a second "
        f"({len(values) / cpu / 1e6:.1f} M a CPU second), "
        f"copies {values.nbytes / (copied - began) / 1e9:.1f} GB/s"
    )


if __name__ == "__main__":
    main()
