"""Reading the token store: rows, batches, and going on in the middle of 10^9 tokens.

    python benchmarks/loader.py                              a minute; 1 GB of sparse files

Rows: `gather` of 32 rows of 1,025 ids against slicing the same rows out of np.asarray(memmap), in
turns, median and quartiles. Batches: the demo's (16 rows of 256, two sources at 0.4 and 0.6), as
tokens a second, against a training step that takes --step-milliseconds for the same batch (see
train_cpu.py). Resuming: from opening the store to the first batch, at sample 0 and in the middle of
--tokens in files without a block on disk, in fresh objects; caches of the system are warm.
"""

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.batches.loader import Batches
from hornbook.batches.order import Order
from hornbook.batches.plans import StreamPlan
from hornbook.objectives.causal import Causal
from hornbook.recipe.fingerprint import file_digest
from hornbook.store.manifest import MANIFEST, FileRecord, Manifest, Shard, write_manifest
from hornbook.store.reader import TokenArray
from hornbook.store.separators import Separators

VOCAB_SIZE = 4096
SHARD_TOKENS = 1 << 25
WEIGHTS = {"code": 0.4, "docs": 0.6}
ROWS, LENGTH = 16, 256


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, default=1_000_000_000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--step-milliseconds", type=float, default=50.0)
    options = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        small = sparse_store(Path(folder) / "small", 20_000_000)
        compare_rows(TokenArray(small), options.rounds)
        time_batches(small, options.rounds, options.step_milliseconds / 1000)
        large = sparse_store(Path(folder) / "large", options.tokens)
        time_resuming(large, options.tokens // LENGTH // 2 // ROWS * ROWS)
    print(f"load average {os.getloadavg()[0]:.2f}")


def sparse_store(directory: Path, tokens: int, document_tokens: int = 500) -> Path:
    """Write a source whose ids are all 0 and take no room on the disk."""
    directory.mkdir()
    shards = []
    known: dict[int, str] = {}  # files of one size have one checksum
    for number, first in enumerate(range(0, tokens, SHARD_TOKENS)):
        count = min(SHARD_TOKENS, tokens - first)
        path = directory / f"tokens-{number:05d}.bin"
        with path.open("wb") as file:
            file.truncate(2 * count)
        checksum = known.setdefault(count, "") or file_digest(path)
        known[count] = checksum
        starts = directory / f"documents-{number:05d}.bin"
        np.arange(first, first + count, document_tokens, dtype="<u8").tofile(starts)
        documents = starts.stat().st_size // 8
        shards.append(
            Shard(
                tokens=count,
                documents=documents,
                bytes=count,
                token_file=FileRecord(path.name, 2 * count, checksum),
                start_file=FileRecord(starts.name, 8 * documents, file_digest(starts)),
            )
        )
    manifest = Manifest("0" * 32, VOCAB_SIZE, Separators(None, 0))
    write_manifest(directory / MANIFEST, dataclasses.replace(manifest, shards=tuple(shards)))
    return directory


def batches_of(directory: Path) -> Batches:
    """The demo's batches, its two sources standing in the same files."""
    plans = {source: StreamPlan(TokenArray(directory), LENGTH, source) for source in WEIGHTS}
    order = Order({source: len(plan) for source, plan in plans.items()}, WEIGHTS, seed=1)
    return Batches(order, plans, Causal().prepare, np.ones(VOCAB_SIZE, dtype=np.int32))


def compare_rows(array: TokenArray, rounds: int, rows: int = 32, width: int = 1025) -> None:
    """Print microseconds for the same rows, read in three ways."""
    starts = np.random.default_rng(0).integers(0, array.tokens - width, rows)
    path = array.directory / array.manifest.shards[0].token_file.name
    mapped = np.memmap(path, dtype=array.manifest.dtype, mode="r")
    plain = np.asarray(mapped)
    ways: dict[str, Callable[[], Any]] = {
        "gather": lambda: array.gather(starts, width),
        "slicing np.asarray(memmap)": lambda: sliced(plain, starts, width),
        "slicing np.memmap": lambda: sliced(mapped, starts, width),
    }
    assert np.array_equal(ways["gather"](), ways["slicing np.asarray(memmap)"]())
    found = interleaved(ways, rounds)
    base = found["slicing np.asarray(memmap)"]
    for name, seconds in found.items():
        low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75]) * 1e6
        print(
            f"{rows} rows of {width}, {name}: {middle:.1f} us ({low:.1f} to {high:.1f}), "
            f"{np.median(seconds / base):.2f} of slicing np.asarray(memmap)"
        )


def sliced(ids: NDArray[Any], starts: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Rows one by one into an array made before."""
    rows = np.empty((len(starts), width), dtype=np.int64)
    for row, start in zip(rows, starts, strict=True):
        row[:] = ids[start : start + width]
    return rows


def interleaved(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, NDArray[Any]]:
    """Seconds [rounds] of each way, taken in turns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            found[name].append(time.perf_counter() - began)
    return {name: np.array(seconds) for name, seconds in found.items()}


def time_batches(directory: Path, rounds: int, step_seconds: float) -> None:
    """Print how fast one thread makes the demo's batches, in the order of a run."""
    batches = batches_of(directory)
    seconds = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        batches.update(number * ROWS, ROWS)
        seconds.append(time.perf_counter() - began)
    low, middle, high = np.quantile(seconds[1:], [0.25, 0.5, 0.75])
    print(
        f"batches of {ROWS} rows of {LENGTH}: {middle * 1e6:.0f} us "
        f"({low * 1e6:.0f} to {high * 1e6:.0f}), {ROWS * LENGTH / middle / 1e6:.1f} M tokens/s, "
        f"{step_seconds / middle:.0f} times as fast as a step of {step_seconds * 1000:.0f} ms"
    )


def time_resuming(directory: Path, middle: int) -> None:
    """Print the time from nothing to the first batch, at the beginning and in the middle."""
    for sample in (0, middle, 0, middle):
        began = time.perf_counter()
        batches = batches_of(directory)
        arrays: list[Any] = [vars(plan)["array"] for plan in batches.plans]
        opened = time.perf_counter()
        batches.update(sample, ROWS)
        done = time.perf_counter()
        verified = sum(len(array._mapped) for array in arrays)
        files = sum(len(array.manifest.shards) for array in arrays)
        print(
            f"{arrays[0].tokens:,} tokens a source, resuming at sample {sample:,}: "
            f"opened in {(opened - began) * 1e3:.0f} ms, first batch after another "
            f"{(done - opened) * 1e3:.0f} ms, in which {verified} of {files} files were verified"
        )


if __name__ == "__main__":
    main()
