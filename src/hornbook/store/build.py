"""The stage `store`: the corpus as tokens, and how many there are."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hornbook.errors import InputError
from hornbook.runs.events import Events
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.store.encoding import Batches
from hornbook.store.manifest import SPLITS, Manifest
from hornbook.store.options import StoreOptions
from hornbook.store.writer import Writing, write_store
from hornbook.tokenizers.tokenizer import Tokenizer


def build_store(
    options: StoreOptions,
    documents: Callable[[str, str], Batches],
    sources: Sequence[str],
    tokenizer: Tokenizer,
    directory: Path,
    *,
    events: Events,
    progress: Progress,
    stop: StopSignal,
) -> dict[str, Any]:
    """Write the store of a corpus; return split -> source -> counts.

    documents: (split, source) -> batches with the columns `id` and `text`, in stored order.
    Sources finished before a kill are verified and kept. The counts are tokens, documents, bytes of
    text, and bytes per token (of text tokens: those that end documents are left out).

    Raises InputError when no source has text to train on; else what `write_source` raises.
    """
    written = write_store(
        {split: {source: documents(split, source) for source in sources} for split in SPLITS},
        tokenizer,
        directory,
        Writing(options.shard_tokens, options.separator, worker_count(options)),
        progress=progress,
        stop=stop,
    )
    if not written["train"]:
        raise InputError(
            "There is no text to train on: every document was dropped or held back; see what was "
            "dropped and why, or add sources."
        )
    summary = {
        split: {source: _counts(manifest) for source, manifest in manifests.items()}
        for split, manifests in written.items()
    }
    for split, counts in summary.items():
        for source, values in counts.items():
            events.write("store", split=split, source=source, **values)
    return summary


def worker_count(options: StoreOptions) -> int:
    """How many threads encode: as asked, or one for each core that this process may run on."""
    if options.workers != "auto":
        return options.workers
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _counts(manifest: Manifest) -> dict[str, Any]:
    text_tokens = manifest.tokens - manifest.documents * manifest.separators.count
    return {
        "tokens": manifest.tokens,
        "documents": manifest.documents,
        "bytes": manifest.bytes,
        "bytes_per_token": round(manifest.bytes / text_tokens, 4) if text_tokens else 0.0,
    }
