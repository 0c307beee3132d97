"""Threads change nothing: not the order, not the bytes, not what is raised and where."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_texts import TEXTS, Write, batches, files

from hornbook.errors import Interrupted, StorageError, TokenizerError
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.store import encoding, open_store
from hornbook.store.build import worker_count
from hornbook.store.encoding import Encoders, tasks
from hornbook.store.options import StoreOptions
from hornbook.store.separators import Separators
from hornbook.store.writer import Writing, write_store
from hornbook.tokenizers.kinds.byte import ByteTokenizer

NONE_BEFORE = Separators(None, 256)


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers_writes_the_same_bytes(
    write: Write, tmp_path: Path, workers: int
) -> None:
    write(tmp_path / "one")
    write(tmp_path / "many", workers=workers)
    assert files(tmp_path / "one") == files(tmp_path / "many")


def test_any_size_of_tasks_writes_the_same_bytes(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "small")
    monkeypatch.setattr(encoding, "TASK_BYTES", 10**6)
    write(tmp_path / "large")
    assert files(tmp_path / "small") == files(tmp_path / "large")


@settings(deadline=None, max_examples=100)
@given(
    lengths=st.lists(st.integers(0, 12), max_size=30),
    rows=st.integers(1, 9),
    size=st.integers(1, 30),
)
def test_tasks_are_the_documents_in_order_and_none_is_small(
    lengths: list[int], rows: int, size: int
) -> None:
    texts = [chr(97 + number % 26) * length for number, length in enumerate(lengths)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "TASK_BYTES", size)
        found = [task.column("text").to_pylist() for task in tasks(batches(texts, rows))]
    assert [text for task in found for text in task] == texts
    for task in found[:-1]:
        assert sum(map(len, task)) >= size
        assert sum(map(len, task[:-1])) < size  # the last document filled it
    assert all(found)


class Waiting(ByteTokenizer):
    """Lets no task end before three of them are under way, and knows who was asked by whom."""

    def __init__(self, together: threading.Barrier, seen: list[tuple[int, int]]) -> None:
        super().__init__()
        self.together, self.seen = together, seen

    def __deepcopy__(self, memo: object) -> "Waiting":
        return Waiting(self.together, self.seen)

    def encode_batch(self, texts):
        self.together.wait(timeout=30)
        self.seen.append((threading.get_ident(), id(self)))
        return super().encode_batch(texts)


def test_workers_encode_at_the_same_time_each_by_its_own_copy() -> None:
    texts, seen = ["x" * 100] * 6, []
    mine = Waiting(threading.Barrier(3), seen)
    with Encoders(mine, 3) as encoders:
        for _ in range(2):  # the copies are made once for all sources
            encoded = encoders.ahead(batches(texts, 1), NONE_BEFORE, np.dtype("<u2"))
            assert [len(task.ids) for task in encoded] == [101] * 6
    assert len(seen) == 12
    pairs = set(seen)
    assert len(pairs) == len({thread for thread, _ in pairs}) == len({own for _, own in pairs}) == 3
    assert id(mine) not in {own for _, own in pairs}


class Uncopied(ByteTokenizer):
    """Holds what cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_a_tokenizer_that_cannot_be_copied_is_for_one_thread(write: Write, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"Uncopied cannot be copied .* set store.workers to 1"):
        write(using=Uncopied(), workers=2)
    write(tmp_path / "one", using=Uncopied(), workers=1)
    write(tmp_path / "plain", using=ByteTokenizer())
    assert files(tmp_path / "one") == files(tmp_path / "plain")


class Faulty(ByteTokenizer):
    """Cannot encode what holds the word `wrong`."""

    def encode(self, text):
        if "wrong" in text:
            raise TokenizerError("wrong text")
        return super().encode(text)


def test_what_a_worker_raises_comes_out_in_its_turn(write: Write, tmp_path: Path) -> None:
    good = [f"{number} " * 60 for number in range(10)]
    texts = {("train", "web"): [*good, "wrong " * 20, *good], ("validation", "web"): []}
    with pytest.raises(TokenizerError, match="wrong text"):
        write(using=Faulty(), texts=texts, workers=3, sources=("web",))
    kept = sorted(path.name for path in (tmp_path / "store/train/web").glob("tokens-*"))
    assert kept == [f"tokens-{number:05d}.bin" for number in range(5)]  # two documents each
    assert not [thread for thread in threading.enumerate() if "hornbook-store" in thread.name]


class Stopped(StopSignal):
    """Is asked for after some checks, and knows who was at work then."""

    left = 3

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Interrupted(2)


def test_a_stop_is_heard_and_no_thread_is_left(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "whole")
    with pytest.raises(Interrupted):
        write(stop=Stopped(), workers=2)
    assert not [thread for thread in threading.enumerate() if "hornbook-store" in thread.name]
    write(workers=2)
    assert files(tmp_path / "store") == files(tmp_path / "whole")


class Shifted(ByteTokenizer):
    """Gives ids that are not in its vocabulary."""

    def __init__(self, by: int) -> None:
        super().__init__()
        self.by = by

    def encode(self, text):
        return super().encode(text) + self.by


@pytest.mark.parametrize("by", [65_536, 256 - 100 + 4, -101])
def test_an_id_outside_the_vocabulary_is_never_stored(write: Write, by: int) -> None:
    tokenizer = Shifted(by)
    tokenizer.lossless = False
    texts = {("train", "web"): ["d"], ("validation", "web"): []}
    with pytest.raises(StorageError, match=f"gave the id {100 + by}, and its vocabulary has 260"):
        write(using=tokenizer, texts=texts, sources=("web",))


class Numbered(ByteTokenizer):
    """Text is numbers between spaces, and they are its ids; the last id of `size` ends it."""

    lossless = False

    def __init__(self, size: int) -> None:
        super().__init__({"<|endoftext|>": size - 1})

    def encode(self, text):
        return np.array([int(word) for word in text.split()], dtype=np.int64)


@settings(deadline=None, max_examples=20)
@given(
    size=st.sampled_from([65_535, 65_536, 65_537]),
    ids=st.lists(st.integers(0, 65_536), max_size=50),
    separator=st.sampled_from(["start", "end", "both"]),
)
def test_no_id_overflows_its_type(
    tmp_path_factory: pytest.TempPathFactory, size: int, ids: list[int], separator: str
) -> None:
    """Written and read back, ids are what they were, at sizes around what two bytes hold."""
    numbers = [min(number, size - 2) for number in ids]
    directory = tmp_path_factory.mktemp("ids")
    texts = [" ".join(map(str, numbers)), str(size - 2)]
    write_store(
        {"train": {"a": batches(texts)}},
        Numbered(size),
        directory,
        Writing(shard_tokens=30, separator=separator),
        progress=Progress(quiet=True),
        stop=StopSignal(),
    )
    array = open_store(directory).splits["train"]["a"]
    assert array.manifest.dtype == np.dtype("<u2" if size <= 65_536 else "<u4")
    before = [size - 1] * (separator != "end")
    after = [size - 1] * (separator != "start")
    expected = [*before, *numbers, *after, *before, size - 2, *after]
    assert array.read(0, array.tokens).tolist() == expected


def test_auto_is_one_worker_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert worker_count(StoreOptions()) == 3
    assert worker_count(StoreOptions(workers=7)) == 7
    assert "workers" not in StoreOptions(workers=7).hashed()


class Spaced(ByteTokenizer):
    """Drops double spaces, adds one before the text: `normalize` and `edge_space` say so."""

    edge_space = "before"
    marked = True

    def normalize(self, text):
        return " ".join(text.split())

    def encode(self, text):
        return super().encode(" " + self.normalize(text) if self.marked else text)


def test_what_a_kind_changes_is_no_loss(write: Write, tmp_path: Path) -> None:
    texts = {("train", "web"): ["a  b", "", "  long   text ", *TEXTS["train", "web"]]}
    texts["validation", "web"] = []
    counts = write(using=Spaced(), texts=texts, sources=("web",))["train"]["web"]
    assert counts["bytes"] == sum(len(text) for text in texts["train", "web"])
    array = open_store(tmp_path / "store").splits["train"]["web"]
    assert array.read(0, 5).tolist() == [*b" a b", 256]


def test_loss_beyond_what_a_kind_says_is_caught(write: Write) -> None:
    tokenizer = Spaced()
    tokenizer.marked = False
    texts = {("train", "web"): ["good", "a  b"], ("validation", "web"): []}
    with pytest.raises(StorageError, match=r"document id-1 stand for 4 bytes, its text has 3"):
        write(using=tokenizer, texts=texts, sources=("web",))
