"""A tokenizer, and a way to write a small store."""

from pathlib import Path

import pytest
from stored_texts import TEXTS, Write, batches

from hornbook.runs.events import EventLog
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.store import encoding
from hornbook.store.build import build_store
from hornbook.store.options import StoreOptions
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.tokenizer import Tokenizer


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of a few documents, so that small texts make many."""
    monkeypatch.setattr(encoding, "TASK_BYTES", 100)


@pytest.fixture(scope="session")
def tokenizer() -> ByteBPE:
    return ByteBPE.train(TEXTS["train", "web"], 270)


@pytest.fixture
def write(tmp_path: Path, tokenizer: ByteBPE) -> Write:
    def write_store(
        directory: Path = tmp_path / "store",
        using: Tokenizer = tokenizer,
        shard_tokens: int = 200,
        texts: dict[tuple[str, str], list[str]] = TEXTS,
        rows: int = 7,
        stop: StopSignal | None = None,
        workers: int = 1,
        separator: str = "end",
        sources: tuple[str, ...] = ("web", "books"),
    ) -> dict:
        return build_store(
            StoreOptions(shard_tokens=shard_tokens, workers=workers, separator=separator),
            lambda split, source: batches(texts[split, source], rows),
            sources,
            using,
            directory,
            events=EventLog(tmp_path / "events.jsonl").bind("store", "0" * 32),
            progress=Progress(quiet=True),
            stop=stop or StopSignal(),
        )

    return write_store
