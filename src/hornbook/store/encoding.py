"""Documents to ids as they lie on disk: by threads, a task of a megabyte at a time, in order.

Threads are enough: the libraries that encode let go of the interpreter while they do. A task holds
many documents, because handing over a small text takes as long as encoding it; what is left in
Python is done once a task, in numpy. Results are taken in turn and only a few are made ahead, so
memory stays flat, the bytes are the same for any number of threads, and what a thread raises comes
out where its documents would have.

Each thread has a copy of the tokenizer. Nothing of it need be safe to share then; and tiktoken's
regular expressions, whose working memory only the first thread that used them gets without a lock,
cost a tenth less.
"""

import copy
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64, UInt16, UInt32
from numpy import ndarray

from hornbook.errors import StorageError
from hornbook.store.separators import Separators
from hornbook.tokenizers.tokenizer import Tokenizer

TASK_BYTES = 1 << 20
"""Text after which a task is full."""
AHEAD = 2
"""Tasks that may be done or waiting, beyond one a thread."""

Ids = Int64[ndarray, " tokens"]
StoredIds = UInt16[ndarray, " tokens"] | UInt32[ndarray, " tokens"]
Batches = Iterable[pa.RecordBatch]


@dataclass(frozen=True)
class Encoded:
    """Consecutive documents, separators in place.

    ids: all of them, in the type that is stored. ends [documents]: how many ids there are up to
    each document's end. sizes [documents]: bytes of each text's UTF-8.
    """

    ids: StoredIds
    ends: Int64[ndarray, " documents"]
    sizes: Int64[ndarray, " documents"]


class Encoders:
    """What encodes tasks: threads that have a copy of the tokenizer each, or this thread alone.

    They serve one source after another and end when the `with` block does.
    """

    def __init__(self, tokenizer: Tokenizer, workers: int = 1) -> None:
        self.tokenizer = tokenizer
        self._workers = workers
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="hornbook-store")

    def __enter__(self) -> "Encoders":
        return self

    def __exit__(self, *raised: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def ahead(
        self, batches: Batches, separators: Separators, dtype: np.dtype[Any]
    ) -> Generator[Encoded]:
        """Encode batches with the columns `id` and `text`; closing the iterator drops the rest.

        Raises what `encode_task` raises, and StorageError where more than one worker is asked of a
        tokenizer that cannot be copied.
        """
        encode = partial(encode_task, separators=separators, dtype=dtype)
        if self._workers == 1:
            yield from (encode(task, self.tokenizer) for task in tasks(batches))
            return
        waiting: deque[Future[Encoded]] = deque()
        try:
            for task in tasks(batches):
                waiting.append(self._pool.submit(lambda task: encode(task, self._copy()), task))
                if len(waiting) >= self._workers + AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _copy(self) -> Tokenizer:
        """This thread's."""
        if not hasattr(self._own, "tokenizer"):
            self._own.tokenizer = _copied(self.tokenizer)
        copied: Tokenizer = self._own.tokenizer
        return copied


def _copied(tokenizer: Tokenizer) -> Tokenizer:
    try:
        return copy.deepcopy(tokenizer)
    except Exception as error:  # what a class of anyone's raises
        raise StorageError(
            f"{type(tokenizer).__qualname__} cannot be copied for each thread ({error}): set "
            "store.workers to 1, or give the class a __deepcopy__."
        ) from error


def tasks(batches: Batches) -> Iterator[pa.Table]:
    """The documents anew in portions that end with the document that fills TASK_BYTES."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for whole in batches:
        batch = whole.select(["id", "text"])
        ends = np.cumsum(_sizes(batch.column("text")))
        start = 0
        while start < len(ends):
            before = int(ends[start - 1]) if start else 0
            full = int(np.searchsorted(ends, before + TASK_BYTES - held))
            stop = min(full + 1, len(ends))
            waiting.append(batch.slice(start, stop - start))
            held += int(ends[stop - 1]) - before
            start = stop
            if held >= TASK_BYTES:
                yield pa.Table.from_batches(waiting)
                waiting, held = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def encode_task(
    task: pa.Table, tokenizer: Tokenizer, separators: Separators, dtype: np.dtype[Any]
) -> Encoded:
    """Encode some documents and put separators around each.

    Raises StorageError for an id that the vocabulary has not, and, where the tokenizer promises to
    lose nothing, for a document whose tokens have other bytes than its text.
    """
    texts: list[str] = [str(text) for text in task.column("text").to_pylist()]
    sizes = _sizes(task.column("text"))
    documents = tokenizer.encode_batch(texts)
    begin = np.array(separators.leading, dtype=np.int64)
    end = np.array(separators.trailing, dtype=np.int64)
    ids = np.concatenate([part for document in documents for part in (begin, document, end)])
    _require_known(ids, tokenizer)
    counts = np.fromiter(map(len, documents), dtype=np.int64, count=len(texts)) + separators.count
    ends = np.cumsum(counts)
    if tokenizer.lossless:
        found = _text_bytes(documents, ids, ends - counts, tokenizer)
        _require_equal(found, _expected_bytes(texts, sizes, tokenizer.normalize), task)
    return Encoded(ids.astype(dtype), ends, sizes)


def _sizes(texts: Any) -> Int64[ndarray, " documents"]:
    return np.asarray(pc.binary_length(texts), dtype=np.int64)


def _require_known(ids: Ids, tokenizer: Tokenizer) -> None:
    """Only ids of the vocabulary fit the stored type; another would become a different one."""
    unknown = ids[(ids < 0) | (ids >= tokenizer.vocab_size)]
    if len(unknown):
        raise StorageError(
            f"The tokenizer gave the id {unknown[0]}, and its vocabulary has "
            f"{tokenizer.vocab_size}, so it cannot be stored: mend or train the tokenizer again."
        )


def _text_bytes(
    documents: Sequence[Ids],
    ids: Ids,
    starts: Int64[ndarray, " documents"],
    tokenizer: Tokenizer,
) -> Int64[ndarray, " documents"]:
    """Bytes of text behind each document's ids; separators stand for none."""
    if tokenizer.edge_space:
        return np.array([tokenizer.byte_count(document) for document in documents], dtype=np.int64)
    sums = np.concatenate([[0], np.cumsum(tokenizer.byte_lengths[ids], dtype=np.int64)])
    found: Int64[ndarray, " documents"] = np.diff(sums[np.append(starts, len(ids))])
    return found


def _expected_bytes(
    texts: Sequence[str], sizes: Int64[ndarray, " documents"], normalize: Callable[[str], str]
) -> Int64[ndarray, " documents"]:
    """Bytes of each text as the tokenizer sees it: of the text itself where nothing is changed."""
    seen = map(normalize, texts)
    return np.array(
        [
            size if changed is text else len(changed.encode())
            for text, changed, size in zip(texts, seen, sizes.tolist(), strict=True)
        ],
        dtype=np.int64,
    )


def _require_equal(
    found: Int64[ndarray, " documents"], expected: Int64[ndarray, " documents"], task: pa.Table
) -> None:
    wrong = np.flatnonzero(found != expected)
    if len(wrong):
        row = int(wrong[0])
        raise StorageError(
            f"The tokens of document {task.column('id')[row].as_py()} stand for {found[row]} "
            f"bytes, its text has {expected[row]}: the tokenizer loses text it promises to keep; "
            "train it again, and report this as a bug if it comes back."
        )
