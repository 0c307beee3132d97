"""Documents to store, and a look at every file below a directory."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.store.writer import Writing, write_store
from hornbook.tokenizers.kinds.byte import ByteTokenizer

Write = Callable[..., dict]

TEXTS = {
    ("train", "web"): [f"Document {n}: " + "it is so. " * (n % 7) for n in range(60)],
    ("train", "books"): ["床前明月光，疑是地上霜。😀\x00", "", "a<|endoftext|>b\n"],
    ("validation", "web"): ["held out text", "and more of it"],
    ("validation", "books"): [],
}


def batches(texts: list[str], rows: int = 7) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(texts), rows):
        chosen = texts[start : start + rows]
        names = [f"id-{start + index}" for index in range(len(chosen))]
        yield pa.record_batch({"id": pa.array(names), "text": pa.array(chosen, pa.large_string())})


def write_two_sources(directory: Path, workers: int = 1) -> None:
    """Sources a and b, twelve documents each, about two shards in four documents."""

    def stream(source: str) -> Iterator[pa.RecordBatch]:
        return batches([f"{source} {number} " * 5 for number in range(12)], rows=4)

    write_store(
        {"train": {"a": stream("a"), "b": stream("b")}, "validation": {"a": stream("v")}},
        ByteTokenizer(),
        directory,
        Writing(shard_tokens=70, workers=workers),
        progress=Progress(quiet=True),
        stop=StopSignal(),
    )


def files(directory: Path) -> dict[str, bytes]:
    """Every file below a directory with its bytes."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
