"""What is written: the layout, the counts, the same bytes each time, and nothing wrong."""

import errno
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from stored_texts import TEXTS, Write, files

from hornbook.errors import InputError, Interrupted, StorageError
from hornbook.runs.events import read_events
from hornbook.runs.signals import StopSignal
from hornbook.store import encoding, open_store, writer
from hornbook.store.manifest import Manifest
from hornbook.store.writer import Writing
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE


def test_layout_and_manifest(write: Write, tokenizer: ByteBPE, tmp_path: Path) -> None:
    write(shard_tokens=10_000)
    written = files(tmp_path / "store")
    assert sorted(written) == sorted(
        f"{folder}/{name}"
        for folder in ("train/web", "train/books", "validation/web")
        for name in ("documents-00000.bin", "manifest.json", "tokens-00000.bin")
    )
    manifest = json.loads(written["train/books/manifest.json"])
    texts = TEXTS["train", "books"]
    ids = [number for text in texts for number in [*tokenizer.encode(text), 266]]
    assert np.frombuffer(written["train/books/tokens-00000.bin"], "<u2").tolist() == ids
    starts = np.frombuffer(written["train/books/documents-00000.bin"], "<u8").tolist()
    assert starts == [0, len(tokenizer.encode(texts[0])) + 1, len(tokenizer.encode(texts[0])) + 2]
    token_file = manifest["shards"][0].pop("token_file")
    start_file = manifest["shards"][0].pop("start_file")
    counts = {"tokens": len(ids), "documents": 3, "bytes": len("".join(texts).encode())}
    assert manifest == {
        "format": 2,
        "tokenizer": tokenizer.fingerprint,
        "vocab_size": 270,
        "begin_of_text": None,
        "end_of_text": 266,
        "dtype": "uint16",
        **counts,
        "shards": [counts],
    }
    for record in (token_file, start_file):
        data = written[f"train/books/{record['name']}"]
        assert (record["bytes"], record["xxh3"]) == (len(data), xxhash.xxh3_128_hexdigest(data))


def test_summary_and_events_count_text(write: Write, tokenizer: ByteBPE, tmp_path: Path) -> None:
    summary = write()
    texts = TEXTS["train", "web"]
    tokens = sum(len(ids) for ids in tokenizer.encode_batch(texts))
    size = sum(len(text.encode()) for text in texts)
    assert summary["train"]["web"] == {
        "tokens": tokens + len(texts),
        "documents": len(texts),
        "bytes": size,
        "bytes_per_token": round(size / tokens, 4),
    }
    assert set(summary["validation"]) == {"web"}
    events = read_events(tmp_path / "events.jsonl", kind="store").to_pylist()
    assert [(event["split"], event["source"]) for event in events] == [
        ("train", "web"),
        ("train", "books"),
        ("validation", "web"),
    ]


def test_shards_hold_whole_documents_and_the_same_tokens(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "whole", shard_tokens=10**6)
    write(tmp_path / "cut", shard_tokens=100)
    whole = open_store(tmp_path / "whole").splits["train"]["web"]
    cut = open_store(tmp_path / "cut").splits["train"]["web"]
    assert len(cut.manifest.shards) > 5
    assert cut.read(0, cut.tokens).tolist() == whole.read(0, whole.tokens).tolist()
    assert cut.document_starts.tolist() == whole.document_starts.tolist()
    end = 0
    for shard in cut.manifest.shards[:-1]:
        end += shard.tokens
        assert cut.read(end - 1, 1)[0] == cut.end_of_text
        assert shard.tokens >= 100


def test_the_same_bytes_for_any_batches_and_again(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", rows=1)
    write(tmp_path / "a")
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize(
    ("largest", "name"), [(65_535, "uint16"), (65_536, "uint32")], ids=["fits", "does not"]
)
def test_ids_take_two_bytes_where_every_id_fits(
    write: Write, tmp_path: Path, largest: int, name: str
) -> None:
    write(using=ByteTokenizer({"<|endoftext|>": largest}))
    array = open_store(tmp_path / "store").splits["validation"]["web"]
    assert array.manifest.dtype == np.dtype(name)
    assert array.read(0, 14).tolist() == [*b"held out text", largest]


class Lossy(ByteTokenizer):
    def encode(self, text):
        return super().encode(text.replace("7", ""))


def test_a_tokenizer_that_loses_text_is_caught(write: Write, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"document id-7 stand for 11 bytes, its text has 12"):
        write(using=Lossy())
    with pytest.raises(StorageError, match="holds no token store"):
        open_store(tmp_path / "store")


def test_a_tokenizer_that_says_it_loses_text_may(write: Write, tmp_path: Path) -> None:
    honest = Lossy()
    honest.lossless = False
    assert write(using=honest)["train"]["web"]["documents"] == 60


def test_no_text_to_train_on_is_the_users_error(write: Write) -> None:
    with pytest.raises(InputError, match="no text to train on"):
        write(texts={**TEXTS, ("train", "web"): [], ("train", "books"): []})


class StopAfter(StopSignal):
    def __init__(self, checks: int) -> None:
        super().__init__()
        self.left = checks

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Interrupted(2)


@pytest.mark.parametrize("checks", [0, 1, 4, 8, 9, 10])
def test_a_stop_keeps_finished_shards_and_continues(
    write: Write, tmp_path: Path, checks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "whole")
    with pytest.raises(Interrupted):
        write(stop=StopAfter(checks))
    before = {path: path.stat().st_ino for path in (tmp_path / "store").rglob("*.bin")}
    assert not list((tmp_path / "store").rglob(".*"))
    write()
    assert files(tmp_path / "store") == files(tmp_path / "whole")
    assert all(path.stat().st_ino == number for path, number in before.items())
    assert before or checks < 4


def test_what_was_altered_meanwhile_is_written_anew(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "whole")
    with pytest.raises(Interrupted):
        write(stop=StopAfter(5))
    path = tmp_path / "store/train/web/tokens-00000.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    write()
    assert files(tmp_path / "store") == files(tmp_path / "whole")


def test_another_tokenizers_leftovers_are_not_used(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "whole")
    with pytest.raises(Interrupted):
        write(stop=StopAfter(9), using=ByteTokenizer())
    write()
    assert files(tmp_path / "store") == files(tmp_path / "whole")


@pytest.mark.parametrize("call", range(6))
def test_a_full_disk_is_a_clear_error_and_loses_nothing(
    write: Write, tmp_path: Path, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "whole")
    calls = iter(range(100))
    flush = writer.os.fsync

    def full(descriptor: int) -> None:
        if next(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(writer.os, "fsync", full)
        with pytest.raises(StorageError, match="the disk is full; free some space"):
            write()
    write()
    assert files(tmp_path / "store") == files(tmp_path / "whole")


@pytest.mark.parametrize("workers", [1, 3])
def test_memory_stays_flat(tmp_path: Path, tokenizer: ByteBPE, workers: int) -> None:
    """Batches are asked for as they are needed, and few are ahead of what is written."""
    asked: list[int] = []

    def stream():
        for number in range(50):
            asked.append(number)
            yield pa.record_batch({"id": pa.array(["x"]), "text": pa.array(["word " * 100])})

    seen: list[int] = []
    with encoding.Encoders(tokenizer, workers) as encoders:
        manifest: Manifest = writer.write_source(
            stream(),
            encoders,
            tmp_path / "source",
            Writing(shard_tokens=1000),
            advance=lambda size: seen.append(len(asked)) if size else None,
            stop=StopSignal(),
        )
    assert manifest.documents == 50
    ahead = 0 if workers == 1 else workers + encoding.AHEAD - 1
    assert seen == [min(50, number + ahead) for number in range(1, 51)]
