"""Word vectors as the token table of a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hornbook.errors import InputError
from hornbook.handle.model import Model
from hornbook.models.vectors.words import WordVectors
from hornbook.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class Matched:
    """How many rows of a token table were taken from word vectors; `left` keep what they had."""

    taken: int
    left: int


def token_names(tokenizer: Tokenizer) -> list[str]:
    """Each token as text, bytes that form no character as lone surrogates, so that all differ."""
    tokens = map(tokenizer.token_bytes, range(tokenizer.vocab_size))
    return [token.decode("utf-8", "surrogateescape") for token in tokens]


@torch.no_grad()
def initialise(
    model: Model,
    vectors: WordVectors,
    names: Sequence[str] | None = None,
    scale: float = 1.0,
) -> Matched:
    """Copy each token's vector, times `scale`, into the model's token table.

    names[id]: the word of each token; by default what the model's tokenizer shows. A tied head
    reads the same rows. Raises InputError where the widths differ, or no word is a token.
    """
    table = model.network.table
    if table.shape[1] != vectors.d_model:
        raise InputError(
            f"The vectors have {vectors.d_model} numbers, the model's token table "
            f"{table.shape[1]}; build the model with d_model={vectors.d_model}, or learn vectors "
            "of its width."
        )
    if names is None and model.tokenizer is None:
        raise InputError("The model has no tokenizer; say with `names` which word each id is.")
    if names is None:
        assert model.tokenizer is not None
        names = token_names(model.tokenizer)
    ids = [i for i, name in enumerate(names[: model.spec.vocab_size]) if name in vectors.rows]
    if not ids:
        raise InputError(
            "None of the words is a token of the model; learn vectors with the same tokenizer."
        )
    rows = vectors.vectors[[vectors.rows[names[i]] for i in ids]]
    table[ids] = torch.from_numpy(rows * scale).to(table)
    return Matched(len(ids), model.spec.vocab_size - len(ids))
