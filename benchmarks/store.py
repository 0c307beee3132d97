"""Filling the token store: MB of text a second with one thread and with two, end to end.

    python benchmarks/store.py                       64 MB, five rounds, about two minutes
    python benchmarks/store.py --without-gigatoken --workers 1 2 4

The text is Python's own library, again and again with its lines in another order; the tokenizer is
byte-level BPE trained on it. A round writes the whole store once for each number of threads, in
turns, so that a disturbance falls on all alike; ratios are of the same round. The files must be the
same bytes. What the machine itself allows stands beside: processes that share nothing, as many as
the most threads, each with one thread and its share of the text. Measure on quiet cores only: CPU
seconds and the load average tell.
"""

import argparse
import multiprocessing
import os
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa

from hornbook.runs.checksums import digest, measure
from hornbook.runs.signals import StopSignal
from hornbook.store.encoding import Encoders
from hornbook.store.writer import Writing, write_source
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE

BATCH_BYTES = 4_000_000


class WithoutGigatoken(ByteBPE):
    _gigatoken = None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--without-gigatoken", action="store_true", help="by tiktoken alone")
    options = parser.parse_args()
    library = library_texts()
    kind = WithoutGigatoken if options.without_gigatoken else ByteBPE
    tokenizer = kind.train(library[::5], options.vocabulary)
    batches = list(varied(library, options.megabytes * 1_000_000))
    size = sum(batch.column("text").nbytes for batch in batches) / 1e6
    engine = "tiktoken" if tokenizer._gigatoken is None else "gigatoken"
    print(f"{size:.0f} MB by {engine}, vocabulary {options.vocabulary}, load average {load()}")
    speeds: dict[int, list[float]] = {workers: [] for workers in options.workers}
    alone: list[float] = []
    written = set()
    for number in range(options.rounds):
        for workers in options.workers:
            seconds, cpu, stored = filled(batches, tokenizer, workers)
            written.add(stored)
            speeds[workers].append(size / seconds)
            print(
                f"round {number + 1}, {workers} threads: {size / seconds:5.1f} MB/s, "
                f"{size / cpu:5.1f} MB a CPU second, load average {load()}",
                flush=True,
            )
        alone.append(size / apart(batches, tokenizer, max(options.workers)))
    assert len(written) == 1, "other bytes"
    base = speeds[options.workers[0]]
    named = {f"{workers} threads": found for workers, found in speeds.items()}
    for name, found in {**named, f"{max(options.workers)} processes": alone}.items():
        ratios = [one / other for one, other in zip(found, base, strict=True)]
        print(
            f"{name}: median {median(found):.1f} MB/s ({min(found):.1f} to {max(found):.1f}), "
            f"ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def library_texts() -> list[str]:
    """Every module of Python's library that is readable text."""
    folder = Path(sysconfig.get_path("stdlib"))
    paths = [path for path in sorted(folder.rglob("*.py")) if "site-packages" not in path.parts]
    return [path.read_text(encoding="utf-8", errors="ignore") for path in paths]


def varied(texts: list[str], size: int) -> Iterator[pa.RecordBatch]:
    """Batches of about 4 MB until there are `size` bytes, lines in another order each time."""
    generator = np.random.default_rng(0)
    done = held = 0
    waiting: list[str] = []
    while done < size:
        for text in texts:
            lines = text.splitlines(keepends=True)
            waiting.append("".join([lines[place] for place in generator.permutation(len(lines))]))
            held += len(text)
            if held >= BATCH_BYTES:
                names = pa.array([str(number) for number in range(len(waiting))])
                yield pa.record_batch({"id": names, "text": pa.array(waiting, pa.large_string())})
                done, held, waiting = done + held, 0, []
                if done >= size:
                    return


def filled(
    batches: list[pa.RecordBatch], tokenizer: ByteBPE, workers: int
) -> tuple[float, float, str]:
    """Seconds by the clock and of the CPU, and a digest of what was written."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "source"
        began, cpu = time.perf_counter(), time.process_time()
        with Encoders(tokenizer, workers) as encoders:
            write_source(
                batches,
                encoders,
                directory,
                Writing(shard_tokens=1 << 25),
                advance=lambda size: None,
                stop=StopSignal(),
            )
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        return seconds, cpu, digest(measure(directory))


def apart(batches: list[pa.RecordBatch], tokenizer: ByteBPE, processes: int) -> float:
    """Seconds by the clock until every process has written its share."""
    shares = [batches[number::processes] for number in range(processes)]
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=filled, args=(share, tokenizer, 1)) for share in shares]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not any(worker.exitcode for worker in workers), "a process failed"
    return time.perf_counter() - began


def load() -> str:
    """Processes that want to run, averaged over the last minute."""
    return f"{os.getloadavg()[0]:.2f} on {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
