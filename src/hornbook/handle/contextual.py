"""Contextual vectors: what a model of two directions makes of every token of a text."""

import torch
from jaxtyping import Float
from torch import Tensor

from hornbook.errors import InputError
from hornbook.handle.model import Model
from hornbook.models.recurrences import TwoWayReading


@torch.no_grad()
def contextual_vectors(
    model: Model, text: str
) -> tuple[list[int], Float[Tensor, "states length both_halves"]]:
    """The ids of a text and h_0 .. h_L of each: [x ; x], then [forward ; backward] of each layer.

    The text is read between two special tokens, as documents stand in a stream; these are not in
    the result. One vector a token is made of them by `parts.layer_mix.LayerMix`, whose weights a
    task learns. Source: Peters et al. 2018, section 3.2. Raises InputError for a model of one
    direction, for one without a tokenizer, and for an empty text.
    """
    if not isinstance(model.spec.reading, TwoWayReading):
        raise InputError(
            f"A model of the family {model.spec.family} does not read from both ends; contextual "
            "vectors are those of bilm."
        )
    if model.tokenizer is None:
        raise InputError(
            "This model has no tokenizer, so it reads no text; call it with ids and "
            "hidden_states=True."
        )
    ids = model.tokenizer.encode(text).tolist()
    if not ids:
        raise InputError("An empty text has no vectors; give some text.")
    before, after = model.tokenizer.text_edges
    row = torch.tensor([[before, *ids, after]], device=model.network.table.device)
    training = model.training
    model.eval()
    states = model.network(row, hidden_states=True).states
    model.train(training)
    return ids, torch.stack(states)[:, 0, 1:-1]
