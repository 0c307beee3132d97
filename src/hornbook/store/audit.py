"""Everything a stored source claims, proved from the bytes on disk and the corpus's text.

`audit_ids` reads every byte: checksums, ids of the vocabulary, one separator at each place where
one belongs and no special token anywhere else, and as many bytes of text as were counted.
`audit_text` turns the ids back into text and holds every document against the corpus, in order.
What differs first is named in one sentence.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from hornbook.errors import StorageError
from hornbook.store.encoding import Batches, tasks
from hornbook.store.manifest import REBUILD
from hornbook.store.reader import TokenArray
from hornbook.store.separators import Separators
from hornbook.tokenizers.tokenizer import Tokenizer

BLOCK = 1 << 22
"""Tokens counted at a time."""
EXCERPT = 40
"""Characters of text that a fault shows."""


def audit_ids(array: TokenArray, tokenizer: Tokenizer, advance: Callable[[int], None]) -> None:
    """Check every shard of a source; `advance` is told the tokens done.

    Raises StorageError at the first fault.
    """
    for number, shard in enumerate(array.manifest.shards):
        path = array.directory / shard.token_file.name
        ids = array.shard_ids(number)
        counts = _counted(ids, tokenizer.vocab_size, path, advance)
        starts = _starts(array, number)
        _require_separators(path, ids, starts, counts, array.manifest.separators, tokenizer)
        unchanged = type(tokenizer).normalize is Tokenizer.normalize and not tokenizer.edge_space
        if tokenizer.lossless and unchanged:
            found = int(counts @ tokenizer.byte_lengths.astype(np.int64))
            if found != shard.bytes:
                raise StorageError(
                    f"The tokens of {path} stand for {found} bytes of text, and its manifest says "
                    f"{shard.bytes}: {REBUILD}."
                )


def _counted(
    ids: ndarray[Any, Any], vocab_size: int, path: Path, advance: Callable[[int], None]
) -> Int64[ndarray, " vocab_size"]:
    """How often each id occurs."""
    counts = np.zeros(vocab_size, dtype=np.int64)
    for start in range(0, len(ids), BLOCK):
        block = ids[start : start + BLOCK]
        largest = int(block.max())
        if largest >= vocab_size:
            raise StorageError(
                f"{path} holds the id {largest}, and the tokenizer has {vocab_size}: {REBUILD}."
            )
        counts += np.bincount(block, minlength=vocab_size)
        advance(len(block))
    return counts


def _starts(array: TokenArray, number: int) -> Int64[ndarray, " documents"]:
    """Where a shard's documents start, counted from its first token.

    Raises StorageError where they are not its first token and ascending places of it.
    """
    shard = array.manifest.shards[number]
    starts = array.shard_starts(number).astype(np.int64) - array.shard_first(number)
    steps = np.diff(starts, append=shard.tokens)
    if starts[0] != 0 or (steps < array.manifest.separators.count).any():
        place = 0 if starts[0] else int(np.argmax(steps < array.manifest.separators.count))
        raise StorageError(
            f"{array.directory / shard.start_file.name} has wrong places where documents start, "
            f"from its number {place} on: {REBUILD}."
        )
    return starts


def _require_separators(
    path: Path,
    ids: ndarray[Any, Any],
    starts: Int64[ndarray, " documents"],
    counts: Int64[ndarray, " vocab_size"],
    separators: Separators,
    tokenizer: Tokenizer,
) -> None:
    """One separator at each place where one belongs, and no special token anywhere else."""
    ends = np.append(starts[1:], len(ids))
    expected = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    for wanted, places in ((separators.leading, starts), (separators.trailing, ends - 1)):
        for token_id in wanted:
            expected[token_id] += len(starts)
            missing = np.flatnonzero(ids[places] != token_id)
            if len(missing):
                raise StorageError(
                    f"Document {missing[0]} of {path} has no separator (id {token_id}) where one "
                    f"belongs: {REBUILD}."
                )
    for name, token_id in tokenizer.special_tokens.items():
        if counts[token_id] != expected[token_id] and token_id != tokenizer.unknown:
            raise StorageError(
                f"The special token {name} occurs {counts[token_id]} times in {path}, and "
                f"{expected[token_id]} belong there (text never becomes one): {REBUILD}."
            )


def audit_text(
    array: TokenArray, documents: Batches, tokenizer: Tokenizer, advance: Callable[[int], None]
) -> int:
    """Hold every document against the corpus's, in order; `advance` is told the bytes done.

    Where a tokenizer loses nothing the ids are decoded and compared with the text as it is seen
    (`normalize`); else the text is encoded again and the ids are compared.

    Returns the bytes of text. Raises StorageError that names the first document that differs.
    """
    number = size = 0
    first_fault = ""
    for task in tasks(documents):
        texts = [str(text) for text in task.column("text").to_pylist()]
        if not first_fault:
            row, fault = first_difference(array, number, texts, tokenizer)
            if fault:
                first_fault = f"document {number + row} ({task.column('id')[row].as_py()}) {fault}"
        number += len(texts)
        done = sum(len(text.encode()) for text in texts)
        size += done
        advance(done)
    if number != array.documents:
        where = f", and {first_fault}" if first_fault else ""
        raise StorageError(
            f"{array.directory} has {array.documents} documents, and the corpus {number}{where}: "
            f"{REBUILD}."
        )
    if first_fault:
        raise StorageError(f"In {array.directory} {first_fault}: {REBUILD}.")
    if size != array.bytes:
        raise StorageError(
            f"{array.directory} is said to hold {array.bytes} bytes of text, and the corpus has "
            f"{size}: {REBUILD}."
        )
    return size


def first_difference(
    array: TokenArray, first: int, texts: Sequence[str], tokenizer: Tokenizer
) -> tuple[int, str]:
    """Which of some texts, stored from document `first` on, differs; and how, "" if none does."""
    again = [] if tokenizer.lossless else tokenizer.encode_batch(texts)
    for row in range(min(len(texts), array.documents - first)):
        start, end = array.text_span(first + row)
        ids = array.read(start, end - start)
        if not tokenizer.lossless:
            if not np.array_equal(ids, again[row]):
                return row, "has other ids than its text"
            continue
        found, expected = tokenizer.decode_bytes(ids), tokenizer.normalize(texts[row]).encode()
        if found != expected:
            return row, f"reads {_excerpt(found, expected)}, and in the corpus " + _excerpt(
                expected, found
            )
    return 0, ""


def _excerpt(data: bytes, other: bytes) -> str:
    """A few characters from where data parts from other."""
    length = min(len(data), len(other))
    same = np.frombuffer(data[:length], np.uint8) == np.frombuffer(other[:length], np.uint8)
    start = length if same.all() else int(np.argmin(same))
    shown = data[start : start + EXCERPT].decode("utf-8", "replace")
    return f"{shown!r} at byte {start}"
