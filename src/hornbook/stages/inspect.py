"""The batches of a finished run, decoded for people to read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.batches.batch import IGNORED
from hornbook.batches.loader import Batches
from hornbook.runs.directory import RunDirectory
from hornbook.stages import finetuning, pretraining
from hornbook.stages.run import read_recipe
from hornbook.stages.stored import finished
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.tokenizer import Tokenizer

BATCHES: Mapping[str, Callable[[Any, Mapping[str, Path], Tokenizer], Batches]] = {
    "pretraining": pretraining.batches_of,
    "finetuning": finetuning.batches_of,
}


@dataclass(frozen=True)
class Piece:
    """A stretch of text whose tokens all are targets with loss, or all are not."""

    text: str
    learnt: bool


@dataclass(frozen=True)
class DecodedRow:
    """One row of a batch; its first token is never a target."""

    source: str
    targets: int
    pieces: tuple[Piece, ...]


def decoded_rows(run: RunDirectory, stage: str, first: int, count: int) -> Iterator[DecodedRow]:
    """Decode the samples `first` .. `first + count - 1` of a stage, as training reads them.

    Raises:
        InputError: the run has not finished what the stage reads.
    """
    inputs = finished(run, "corpus", "tokenizer", "store")
    recipe = read_recipe(run.recipe_path)
    tokenizer = load_tokenizer(inputs["tokenizer"])
    batches: Batches = BATCHES[stage](recipe, inputs, tokenizer)
    rows = batches.rows(first, count)
    targets = batches.prepare(rows, np.arange(first, first + count))["targets"]
    # Where a text is also learnt backwards, those targets come after.
    learnt = targets[:, : rows.tokens.shape[1] - 1] != IGNORED
    sources, _, _ = batches.order.samples(first, count)
    for number, source in enumerate(sources):
        carries_loss = np.concatenate([[False], learnt[number]])
        here = rows.documents[number] >= 0  # the rest is padding
        pieces = _pieces(rows.tokens[number][here], carries_loss[here], tokenizer)
        yield DecodedRow(batches.order.sources[source], int(carries_loss.sum()), tuple(pieces))


def _pieces(
    ids: NDArray[np.int64], learnt: NDArray[np.bool_], tokenizer: Tokenizer
) -> Iterator[Piece]:
    """Cut a row where tokens with loss and tokens without it meet."""
    borders = np.flatnonzero(np.diff(learnt)) + 1
    for start, end in pairwise([0, *borders.tolist(), len(ids)]):
        yield Piece(tokenizer.decode(ids[start:end]), bool(learnt[start]))
