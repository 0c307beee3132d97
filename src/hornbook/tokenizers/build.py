"""The stage `tokenizer`: learn one from the corpus, save it, measure what it gives."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hornbook.errors import TokenizerError
from hornbook.runs.events import Events
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.tokenizers.options import TokenizerOptions
from hornbook.tokenizers.sample import sample_pieces
from hornbook.tokenizers.tokenizer import Tokenizer, utf8
from hornbook.tokenizers.train import train_tokenizer

MEASURED_BYTES = 1_000_000
"""Held-out text a source is measured on: enough for bytes per token to three digits."""


def build_tokenizer(
    options: TokenizerOptions,
    texts: Iterable[str],
    directory: Path,
    *,
    events: Events,
    progress: Progress,
    stop: StopSignal,
    measure_texts: Mapping[str, Iterable[str]] | None = None,
) -> dict[str, Any]:
    """Train on an even sample of the texts, save into the directory, return a summary.

    texts: the training text, all of it and in any order.
    measure_texts: held-out text by source; each is read up to a megabyte for bytes per token.
    The summary has kind, vocab_size, fingerprint, training_bytes and bytes_per_token by source.

    Raises TokenizerError when there is no text, or too little for the vocabulary.
    """
    with progress.task("reading", unit="bytes") as task:
        pieces = sample_pieces(_watched(texts, task, stop), options.training_bytes)
    if not pieces:
        raise TokenizerError(
            "There is no text to train a tokenizer on: the corpus is empty after cleaning; see "
            "what was dropped and why, or add sources."
        )
    stop.check()
    progress.say(f"learning {options.vocab_size} tokens")
    extra = {"pattern": options.pattern} if options.kind == "byte-bpe" else {}
    tokenizer = train_tokenizer(options.kind, pieces, options.vocab_size, **extra)
    tokenizer.save(directory)
    measured = {
        source: bytes_per_token(tokenizer, held_out)
        for source, held_out in (measure_texts or {}).items()
    }
    summary: dict[str, Any] = {
        "kind": tokenizer.kind,
        "vocab_size": tokenizer.vocab_size,
        "fingerprint": tokenizer.fingerprint,
        "training_bytes": sum(len(piece.encode("utf-8")) for piece in pieces),
        "bytes_per_token": {name: value for name, value in measured.items() if value},
    }
    events.write("tokenizer", **summary)
    return summary


def bytes_per_token(tokenizer: Tokenizer, texts: Iterable[str]) -> float:
    """Bytes of UTF-8 a token stands for, on at most a megabyte of the texts; 0 without text."""
    size = tokens = 0
    for text in texts:
        size += len(utf8(text))
        tokens += len(tokenizer.encode(text))
        if size >= MEASURED_BYTES:
            break
    return round(size / tokens, 4) if tokens else 0.0


def _watched(texts: Iterable[str], task: Any, stop: StopSignal) -> Iterator[str]:
    """The texts, with progress by the byte and an ear for a request to stop."""
    for text in texts:
        stop.check()
        task.advance(len(utf8(text)))
        yield text
