"""A model with another tokenizer: what its token table knows is carried over, token by token."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hornbook.errors import InputError
from hornbook.handle.model import Model
from hornbook.models.build import build_network, convert, fill, token_tables
from hornbook.models.spec import Spec
from hornbook.tokenizers.remap import Remapping, remap
from hornbook.tokenizers.tokenizer import Tokenizer


def with_vocabulary(model: Model, tokenizer: Tokenizer, seed: int = 0) -> tuple[Model, Remapping]:
    """A new model that reads `tokenizer`'s ids, and which rows its token tables began from.

    Every table with a row a token is remapped alike: embeddings, the rows and biases of a head. All
    other weights are the same. Rows without an old one are those of fresh weights with this seed.
    Separators stay where the model's texts had them.

    Raises InputError where the model has no tokenizer to compare with, has fewer rows than that one
    has ids, or needs the id of a token that the new tokenizer does not have.
    """
    old = model.tokenizer
    if old is None:
        raise InputError(
            "The model has no tokenizer, so nobody knows what its rows mean; open it with its own "
            "tokenizer first."
        )
    if model.spec.vocab_size < old.vocab_size:
        raise InputError(
            f"The model has {model.spec.vocab_size} token rows, but its tokenizer {old.vocab_size} "
            "ids; set model.tokenizer to the one it was trained with first."
        )
    plan = remap(old, tokenizer)
    spec = replace(model.spec, vocab_size=tokenizer.vocab_size, **_reading(model.spec, plan))
    table = model.network.table
    fresh = build_network(spec, seed)
    convert(fresh, table.dtype)
    tables, weights = token_tables(fresh), dict(fresh.named_parameters())
    moved = {
        name: _moved(tensor, weights[name], plan) if name in tables else tensor
        for name, tensor in model.state_dict().items()
    }
    fill(fresh, moved)
    return Model(fresh.to(table.device), _separated_alike(tokenizer, old)), plan


def _separated_alike(tokenizer: Tokenizer, old: Tokenizer) -> Tokenizer:
    """The tokenizer, with separators where the model's texts had them."""
    if tokenizer.separator == old.separator:
        return tokenizer
    copied = copy.copy(tokenizer)
    copied.separator = old.separator
    return copied


def _moved(old: Tensor, fresh: Tensor, plan: Remapping) -> Tensor:
    """A table of the old vocabulary as one of the new."""
    made = plan.apply(_numbers(old), _numbers(fresh[: plan.size]))
    return torch.from_numpy(made).to(old.dtype)


def _numbers(tensor: Tensor) -> np.ndarray:
    """As numpy; bfloat16, which numpy lacks, as float32, which holds it exactly."""
    tensor = tensor.detach().cpu()
    kept = tensor.dtype in (torch.float32, torch.float64)
    return (tensor if kept else tensor.float()).numpy()


def _reading(spec: Spec, plan: Remapping) -> dict[str, Any]:
    """The spec's reading with the ids that it names in the new vocabulary."""
    reading: Any = spec.reading
    named = {
        name: getattr(reading, name)
        for name in ("start_id", "blank_ids", "pad_id")
        if hasattr(reading, name)
    }
    if not named:
        return {}
    new_of = {
        int(plan.rows[plan.starts[number]]): number
        for number in (*plan.special_matched, *plan.matched)
    }
    values = {name: _renamed(name, value, new_of) for name, value in named.items()}
    return {"reading": replace(reading, **values)}


def _renamed(name: str, value: int | tuple[int, ...], new_of: dict[int, int]) -> Any:
    if isinstance(value, tuple):
        return tuple(_renamed(name, each, new_of) for each in value)
    if value < 0:  # none
        return value
    if value not in new_of:
        raise InputError(
            f"The model's {name} is the token {value}, and the new tokenizer has none like it; "
            "train the new one with the same set of special tokens."
        )
    return new_of[value]
