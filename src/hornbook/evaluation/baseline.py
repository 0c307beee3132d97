"""The baseline: n-grams counted on the training tokens, scored on the network's own targets.

A network that does not beat counting has learnt nothing that counting does not know. Both read the
same validation rows, see no further back than the row's first token, and are measured in bits a
byte of the same text: -Σ log2 p(target) / Σ bytes(target).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hornbook.batches.plans import StreamPlan, Tokens, evaluation_plans, evaluation_rows
from hornbook.evaluation.options import BaselineOptions
from hornbook.models.ngrams import SETTINGS
from hornbook.models.ngrams.counts import count_ngrams
from hornbook.models.ngrams.estimate import estimate
from hornbook.models.ngrams.model import NGram
from hornbook.runs.atomic import write_text
from hornbook.runs.events import Events
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal

Ints = NDArray[np.int64]

ROWS_AT_ONCE = 64
ALL = "all"


class ReadableTokens(Tokens, Protocol):
    """A stored token array, read from end to end."""

    def read(self, start: int, count: int) -> Ints:
        """Tokens start .. start + count - 1."""


@dataclass(frozen=True)
class Beginning:
    """The first `tokens` tokens of a stored array, read as they are needed."""

    array: ReadableTokens
    tokens: int

    @property
    def document_starts(self) -> NDArray[np.uint64]:
        """Index of the first token of each document that begins in it."""
        starts = self.array.document_starts
        return starts[: np.searchsorted(starts, self.tokens)]

    def read(self, start: int, count: int) -> Ints:
        """Tokens start .. start + count - 1."""
        return self.array.read(start, count)

    def gather(self, starts: Ints, width: int) -> Ints:
        """Tokens [n, width] that begin at starts [n]."""
        return self.array.gather(starts, width)


@dataclass(frozen=True)
class Sums:
    """Nats, targets and bytes of some text, added up."""

    nll: float = 0.0
    targets: int = 0
    bytes: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """Both texts together."""
        return Sums(self.nll + other.nll, self.targets + other.targets, self.bytes + other.bytes)

    def figures(self) -> dict[str, Any]:
        """Bits a byte, nats a token ("loss"), and what they are of."""
        bits = self.nll / math.log(2) / self.bytes if self.bytes else 0.0
        loss = self.nll / self.targets if self.targets else 0.0
        return {"bits_per_byte": bits, "loss": loss, "targets": self.targets, "bytes": self.bytes}


def build_baseline(
    options: BaselineOptions,
    splits: Mapping[str, Mapping[str, ReadableTokens]],
    directory: Path,
    *,
    sequence_length: int,
    rows: int,
    byte_lengths: NDArray[np.integer],
    events: Events,
    progress: Progress,
    stop: StopSignal,
) -> dict[str, Any]:
    """Count n-grams on the split "train", score them on "validation", write model and results.

    sequence_length and rows: the pretraining's, so that the targets are its evaluation's: `rows`
    rows of each source, evenly spaced. byte_lengths [vocab_size]: the tokenizer's bytes of each id.
    Writes ngram.safetensors and results.json, which holds the returned summary.

    Raises:
        InputError: no training tokens, or no validation source with one whole row.
    """
    vocab_size = len(byte_lengths)
    plans = evaluation_plans(splits["validation"], sequence_length)
    shares = token_shares(splits["train"], options.maximum_tokens)
    pieces = [Beginning(array, shares[source]) for source, array in splits["train"].items()]
    settings = {name: getattr(options, name) for name in SETTINGS.get(options.estimator, ())}
    models = {}
    with progress.task("counting", total=sum(shares.values()), unit="tokens") as task:
        for order in sorted({1, options.order}):
            stop.check()
            counts = count_ngrams(pieces, vocab_size, order)
            model = estimate(counts, options.estimator, **settings)
            models[model_name(model.order)] = model
        task.advance(sum(shares.values()))
    stop.check()
    model.save(directory / "ngram.safetensors")
    for note in model.notes:
        what, _, why = note.partition(": ")
        events.write("decision", what=what, why=why)
    scores: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in models}
    total = dict.fromkeys(models, Sums())
    for source, plan in plans.items():
        for name, found in score(models, plan, rows, byte_lengths, stop).items():
            scores[name][source] = found.figures()
            total[name] = total[name].plus(found)
    for name, by_source in scores.items():
        by_source[ALL] = total[name].figures()
    for source, figures in scores[model_name(model.order)].items():
        unigram = scores[model_name(1)][source]["bits_per_byte"]
        events.write("evaluation", source=source, **figures, unigram_bits_per_byte=unigram)
    summary = _summary(model, scores, shares)
    results = summary | {"models": scores, "notes": list(model.notes)}
    write_text(directory / "results.json", json.dumps(results, indent=2) + "\n")
    return summary


def score(
    models: Mapping[str, NGram],
    plan: StreamPlan,
    rows: int,
    byte_lengths: NDArray[np.integer],
    stop: StopSignal,
) -> dict[str, Sums]:
    """What each model makes of `rows` rows, evenly spaced over a plan."""
    sums = dict.fromkeys(models, Sums())
    positions = evaluation_rows(plan, rows)
    for start in range(0, len(positions), ROWS_AT_ONCE):
        stop.check()
        tokens = plan.rows(positions[start : start + ROWS_AT_ONCE]).tokens
        targets = tokens[:, 1:]
        read = int(byte_lengths[targets].sum(dtype=np.int64))
        for name, model in models.items():
            nll = -float(model.log_probabilities(tokens).sum())
            sums[name] = sums[name].plus(Sums(nll, targets.size, read))
    return sums


def token_shares(arrays: Mapping[str, Tokens], maximum: int) -> dict[str, int]:
    """How many tokens of each source are counted: all, or `maximum` shared out by size."""
    total = sum(array.tokens for array in arrays.values())
    kept = min(1.0, maximum / total) if total else 0.0
    return {source: int(array.tokens * kept) for source, array in arrays.items()}


def model_name(order: int) -> str:
    """What reports call a model: "unigram", "5-gram"."""
    return "unigram" if order == 1 else f"{order}-gram"


def _summary(
    model: NGram, scores: Mapping[str, Mapping[str, Mapping[str, float]]], counted: dict[str, int]
) -> dict[str, Any]:
    """The results in short: order, bits a byte of the model and of the unigram, by source."""

    def bits(name: str) -> dict[str, float]:
        return {source: figures["bits_per_byte"] for source, figures in scores[name].items()}

    return {
        "order": model.order,
        "bits_per_byte": bits(model_name(model.order)),
        "unigram": bits(model_name(1)),
        "tokens": counted,
        "ngrams": [len(level.tokens) for level in model.levels],
    }
