"""Prove of a finished run's data what it is said to be; what `hornbook data check` prints.

store        every byte is the one that was written, every document is the corpus's, in order
pretraining  every row of every training source is read once an epoch, and so is every target
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hornbook.corpus.read import open_documents, sources_of
from hornbook.errors import HornbookError
from hornbook.runs.atomic import readable_bytes
from hornbook.runs.directory import RunDirectory
from hornbook.runs.progress import Progress
from hornbook.stages.check_order import Finding, check_order
from hornbook.stages.networks import context_length
from hornbook.stages.packing import without_rows
from hornbook.stages.pretraining import batches_of
from hornbook.stages.run import read_recipe
from hornbook.stages.stored import finished
from hornbook.store.audit import audit_ids, audit_text
from hornbook.store.manifest import REBUILD, SPLITS
from hornbook.store.reader import Store, TokenArray, open_store
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.tokenizer import Tokenizer

STORE, PRETRAINING = "store", "pretraining"


def check_data(
    run: RunDirectory, stages: tuple[str, ...], progress: Progress, epochs: int = 1
) -> Iterator[Finding]:
    """Check the store, the order of the pre-training, or both; each finding once it is known.

    epochs: how many of each source's are gone through.

    Raises:
        InputError: the run has not finished what is to be checked.
        StorageError: the store cannot be opened.
    """
    inputs = finished(run, "corpus", "tokenizer", "store")
    tokenizer = load_tokenizer(inputs["tokenizer"])
    store = open_store(inputs["store"], tokenizer.fingerprint)
    if STORE in stages:
        yield from check_store(store, inputs["corpus"], tokenizer, progress)
    if PRETRAINING in stages:
        recipe = read_recipe(run.recipe_path)
        batches = batches_of(recipe, inputs, tokenizer)
        for epoch in range(epochs):
            yield from check_order(batches, progress, epoch)
        yield from _never_read(store, sources_of(inputs["corpus"]), recipe, batches.order.sources)


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


def _never_read(
    store: Store, known: Sequence[str], recipe: Any, read: Sequence[str]
) -> Iterator[Finding]:
    """Each source that is not in the order, and why: a fault where there is no reason."""
    arrays, options = store.splits["train"], recipe["pretraining"]
    reasons = dict.fromkeys(known, "none of its documents is training text")
    reasons |= dict.fromkeys(arrays, "")
    reasons |= {source: "its weight is 0" for source, share in options.weights.items() if not share}
    reasons |= without_rows(arrays, context_length(recipe), options.packing)
    for source in sorted({*known, *arrays} - {*read}):
        fault = f"No sample reads {source}, which has text and a weight: report it."
        why = reasons[source]
        yield Finding(f"order of {source}", why, "" if why else fault, unread=True)
