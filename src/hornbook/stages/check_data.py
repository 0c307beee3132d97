"""Prove of a finished run's data what it is said to be; what `hornbook data check` prints.

store        every byte is the one that was written, every document is the corpus's, in order
pretraining  every row of every training source is read once an epoch, and so is every target
"""

import copy
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.batches.cuts import cuts
from hornbook.batches.lanes import Lanes
from hornbook.batches.loader import Batches
from hornbook.batches.order import Order
from hornbook.corpus.read import open_documents, sources_of
from hornbook.errors import HornbookError, StorageError
from hornbook.runs.atomic import readable_bytes
from hornbook.runs.directory import RunDirectory
from hornbook.runs.progress import Progress
from hornbook.stages.pretraining import batches_of
from hornbook.stages.run import read_recipe
from hornbook.stages.stored import finished
from hornbook.store.audit import audit_ids, audit_text
from hornbook.store.manifest import REBUILD, SPLITS
from hornbook.store.reader import Store, TokenArray, open_store
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.tokenizer import Tokenizer

Numbers = NDArray[np.int64]

STORE, PRETRAINING = "store", "pretraining"
WINDOW = 4096
"""Samples looked at together."""
NEVER = 1 << 50
"""More samples than any run has."""


@dataclass(frozen=True)
class Finding:
    """One thing that was proved, or the fault that was found instead."""

    subject: str
    what: str
    fault: str = ""


def check_data(run: RunDirectory, stages: tuple[str, ...], progress: Progress) -> Iterator[Finding]:
    """Check the store, the order of the pre-training, or both; each finding once it is known.

    Raises:
        InputError: the run has not finished what is to be checked.
        StorageError: the store cannot be opened.
    """
    inputs = finished(run, "corpus", "tokenizer", "store")
    tokenizer = load_tokenizer(inputs["tokenizer"])
    if STORE in stages:
        store = open_store(inputs["store"], tokenizer.fingerprint)
        yield from check_store(store, inputs["corpus"], tokenizer, progress)
    if PRETRAINING in stages:
        recipe = read_recipe(run.recipe_path)
        options = recipe["pretraining"]
        batches = batches_of(recipe, inputs, tokenizer)
        yield from check_order(batches, options.steps * options.batch_size, progress)


def check_store(
    store: Store, corpus: Path, tokenizer: Tokenizer, progress: Progress
) -> Iterator[Finding]:
    """Check each source of each split, also those that only one of store and corpus has."""
    for split in SPLITS:
        known = sources_of(corpus)
        strangers = sorted(set(store.splits[split]) - set(known))
        for source in (*known, *strangers):
            found = _source(store.splits[split].get(source), corpus, split, source)
            if isinstance(found, TokenArray):
                yield from _stored(found, f"{split} {source}", corpus, split, tokenizer, progress)
            elif found:
                yield Finding(f"{split} {source}", "documents", found)


def _source(array: TokenArray | None, corpus: Path, split: str, source: str) -> TokenArray | str:
    """The stored source; "" if there is no text of it; else what is wrong."""
    if array is not None:
        return array
    documents = sum(batch.num_rows for batch in open_documents(corpus, split, source))
    if not documents:
        return ""
    return f"{split} {source} is not stored, and the corpus has {documents} documents: {REBUILD}."


def _stored(
    array: TokenArray,
    subject: str,
    corpus: Path,
    split: str,
    tokenizer: Tokenizer,
    progress: Progress,
) -> Iterator[Finding]:
    """Files and ids, then the text; text is not looked at where the files are not sound."""
    files = len(array.manifest.shards)
    stored = (
        f"{files} file{'s' if files > 1 else ''} with their checksums, {array.tokens:,} ids, "
        f"{array.documents:,} documents, each with its separators"
    )
    try:
        with progress.task(f"ids of {subject}", array.tokens, "tokens") as task:
            audit_ids(array, tokenizer, task.advance)
    except HornbookError as error:
        yield Finding(subject, stored, str(error))
        return
    yield Finding(subject, stored)
    size = readable_bytes(array.bytes)
    text = f"{size} of text in the corpus's order, document by document, decoded from the ids"
    if not tokenizer.lossless:
        text = f"{size} of text in the corpus's order, document by document, encoded to these ids"
    documents = open_documents(corpus, split, array.directory.name)
    try:
        with progress.task(f"text of {subject}", array.bytes, "bytes") as task:
            audit_text(array, documents, tokenizer, task.advance)
    except HornbookError as error:
        yield Finding(subject, text, str(error))
        return
    yield Finding(subject, text)


class Places:
    """Stands for a stored array whose token number i is i: rows of it say what they read."""

    def __init__(self, array: Any) -> None:
        self.tokens: int = array.tokens
        self.document_starts = array.document_starts

    def gather(self, starts: Numbers, width: int) -> Numbers:
        """Places [n, width] that begin at starts [n]."""
        return np.asarray(starts, dtype=np.int64)[:, None] + np.arange(width, dtype=np.int64)


class Reading:
    """What one source has been read of in its first epoch.

    rows [rows]: the sample that read each row, -1 before; targets [tokens]: whether each token has
    been a target.
    """

    def __init__(self, source: str, plan: Any) -> None:
        self.source = source
        self.plan = copy.copy(plan)
        self.plan.array = Places(plan.array)
        self.rows = np.full(len(plan), -1, dtype=np.int64)
        self.targets = np.zeros(plan.array.tokens, dtype=bool)
        self.targets_read = 0

    def read(self, samples: Numbers, positions: Numbers) -> None:
        """Mark rows and their targets. Raises StorageError for a row that is read once more."""
        order = np.argsort(positions, kind="stable")
        ordered = positions[order]
        again = np.flatnonzero(
            (self.rows[ordered] >= 0) | np.append(False, ordered[1:] == ordered[:-1])
        )
        if len(again):
            row = int(ordered[again[0]])
            raise StorageError(
                f"Row {row} of {self.source} is read twice in its first epoch, at last as sample "
                f"{samples[order[again[0]]]}: this is a fault of the order; report it."
            )
        self.rows[positions] = samples
        rows = self.plan.rows(positions)
        places = rows.tokens[:, 1:][rows.learn[:, 1:]]
        self.targets[places] = True
        self.targets_read += len(places)

    def finding(self, left_out: int) -> Finding:
        """What came of it, where `left_out` rows are in no epoch of the order."""
        expected = cuts(self.plan)
        unread, distinct = int((self.rows < 0).sum()), int(self.targets.sum())
        rows = "row is" if left_out == 1 else "rows are"
        lost = f"; {left_out:,} {rows} left out by the order" if left_out else ""
        proved = (
            f"{len(self.rows) - unread:,} rows and {distinct:,} targets, each read once in the "
            f"first epoch; {expected.dropped:,} tokens are in no row{lost}"
        )
        fault = ""
        if unread != left_out:
            missed = int(np.flatnonzero(self.rows < 0)[0])
            fault = f"Row {missed} of {self.source} is not read, of {unread} that are not,"
        elif distinct != self.targets_read:
            fault = f"{self.targets_read - distinct} targets of {self.source} are read twice"
        elif not left_out and distinct != expected.targets:
            fault = f"{expected.targets - distinct} targets of {self.source} are not read"
        if fault:
            fault += " in its first epoch: this is a fault of the order; report it."
        return Finding(f"order of {self.source}", proved, fault)


def check_order(batches: Batches, samples: int, progress: Progress) -> Iterator[Finding]:
    """Go through the first epoch of every source and mark each row and target that is read.

    samples: of the whole run; a source that has left by then, not read through, may stay so. Costs
    a byte of memory a token.
    """
    order = batches.order
    readings = [
        Reading(source, plan) for source, plan in zip(order.sources, batches.plans, strict=True)
    ]
    samples = _first_epochs(order, samples)
    left_out = _left_out(order, samples)
    faults: dict[int, str] = {}
    with progress.task("order", samples, "samples") as task:
        for first in range(0, samples, WINDOW):
            _read_window(order, readings, faults, first, min(WINDOW, samples - first))
            task.advance(min(WINDOW, samples - first))
    for number, reading in enumerate(readings):
        finding = reading.finding(left_out[number])
        yield Finding(finding.subject, finding.what, faults.get(number, finding.fault))


def _read_window(
    order: Order | Lanes,
    readings: list[Reading],
    faults: dict[int, str],
    first: int,
    count: int,
) -> None:
    """Mark what the samples first .. first + count - 1 read in first epochs."""
    source, epoch, position = order.samples(first, count)
    for number in np.unique(source).tolist():
        here = np.flatnonzero((source == number) & (epoch == 0))
        if len(here) and number not in faults:
            try:
                readings[number].read(first + here, position[here])
            except StorageError as error:
                faults[number] = str(error)


def _first_epochs(order: Order | Lanes, samples: int) -> int:
    """After how many samples every source has been read through once, if it ever is."""
    if isinstance(order, Lanes):
        return order.lanes * order.length
    end = NEVER if order.samples_in_all is None else order.samples_in_all
    most = min(max(1, samples), end)
    while _unfinished(order, most) and most < end:
        before, most = most, min(2 * most, end)
        if _unfinished(order, before) == _unfinished(order, most):
            return before  # nothing that is left is read any more
    return bisect_left(range(most), x=True, key=lambda count: not _unfinished(order, count))


def _unfinished(order: Order, samples: int) -> dict[str, float]:
    """The sources not read through after so many samples, and how far they are."""
    return {source: done for source, done in order.epochs_after(samples).items() if done < 1}


def _left_out(order: Order | Lanes, samples: int) -> list[int]:
    """Rows of each source that no first epoch reads.

    In lanes, what does not fill the last row of each; else what a source that left early kept.
    """
    rows = [int(count) for count in order.rows]
    if isinstance(order, Order):
        epochs = order.epochs_after(samples)
        return [
            max(0, count - round(epochs[source] * count))
            for source, count in zip(order.sources, rows, strict=True)
        ]
    left = sum(rows) - order.lanes * order.length
    found = []
    for count in reversed(rows):
        found.append(min(left, count))
        left -= found[-1]
    return found[::-1]
