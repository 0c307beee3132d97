"""The stage `tokenizer`: learn one from the corpus, save it, measure what it gives."""

from collections.abc import Iterable, Iterator
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
"""Held-out text that is measured: enough for bytes per token to three digits."""


def build_tokenizer(
    options: TokenizerOptions,
    texts: Iterable[str],
    directory: Path,
    *,
    events: Events,
    progress: Progress,
    stop: StopSignal,
    measure_texts: Iterable[str] = (),
) -> dict[str, Any]:
    """Train on an even sample of the texts, save into the directory, return a summary.

    texts: the training text, all of it and in any order.
    measure_texts: held-out text; bytes per token are measured on an even sample of a megabyte.
    The summary has kind, vocab_size, fingerprint, training_bytes, bytes_per_token on the held-out
    text (0 where there is none), and unknown_share there, where the kind knows unknown text.

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
    tokenizer = train_tokenizer(options.kind, pieces, options.vocab_size, **options.of_kind())
    tokenizer.save(directory)
    per_token, unknown = compression(tokenizer, measure_texts)
    measured: dict[str, Any] = {
        "vocab_size": tokenizer.vocab_size,
        "training_bytes": sum(len(piece.encode("utf-8")) for piece in pieces),
        "bytes_per_token": per_token,
    }
    if tokenizer.unknown is not None:
        measured["unknown_share"] = unknown
    events.write("tokenizer", **measured)
    if not tokenizer.lossless:
        events.write(
            "decision",
            what="bits per byte",
            why=f"the tokenizer changes text, and {unknown:.2%} of held-out tokens are unknown: "
            "bits per byte count what its tokens show, and compare with no other kind's",
        )
    return {"kind": tokenizer.kind, "fingerprint": tokenizer.fingerprint, **measured}


def compression(tokenizer: Tokenizer, texts: Iterable[str]) -> tuple[float, float]:
    """On an even sample of the texts: bytes of UTF-8 a token, and the share of unknown tokens.

    Both are 0 without text.
    """
    pieces = sample_pieces(texts, MEASURED_BYTES)
    encoded = tokenizer.encode_batch(pieces)
    tokens = sum(len(ids) for ids in encoded)
    if not tokens:
        return 0.0, 0.0
    size = sum(len(utf8(piece)) for piece in pieces)
    number = -1 if tokenizer.unknown is None else tokenizer.unknown  # -1 is no id
    unknown = sum(int((ids == number).sum()) for ids in encoded)
    return round(size / tokens, 4), round(unknown / tokens, 6)


def _watched(texts: Iterable[str], task: Any, stop: StopSignal) -> Iterator[str]:
    """The texts, with progress by the byte and an ear for a request to stop."""
    for text in texts:
        stop.check()
        task.advance(len(utf8(text)))
        yield text
