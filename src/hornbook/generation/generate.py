"""The loop that continues sequences, one token a row and step.

What has been read so far is a session's business (`session.py`); each row draws from a generator of
its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from hornbook.errors import InputError
from hornbook.generation.sampling import Sampling, choose
from hornbook.generation.session import begin
from hornbook.models.ngrams.model import NGram
from hornbook.models.stacks import Network
from hornbook.recipe.fingerprint import derive_seed


@dataclass(frozen=True)
class Continuation:
    """What followed a prompt: ids, the stop token included if one came."""

    ids: list[int]
    stopped: bool


def stream(
    network: Network | NGram,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling | None = None,
    stop_ids: frozenset[int] = frozenset(),
) -> Iterator[list[int | None]]:
    """Yield the next token of every row; None for rows that have stopped.

    A row's stop token is yielded, then None. Ends when all rows have stopped, or after
    `max_new_tokens` steps. Raises InputError for empty prompts and ids outside the vocabulary.
    """
    if max_new_tokens < 0:
        raise InputError(f"max_new_tokens is {max_new_tokens}; give 0 or more.")
    sampling = sampling or Sampling()
    session = begin(network, prompts, max_new_tokens)
    generators = [
        torch.Generator().manual_seed(derive_seed(sampling.seed, "sampling", row))
        for row in range(len(prompts))
    ]
    # A penalty of repetition is of what the model continues: a source may be repeated.
    seen = torch.zeros(len(prompts), network.spec.vocab_size, dtype=torch.bool)
    for row, ids in enumerate(session.written):
        seen[row, list(ids)] = True
    seen = seen.to(session.device)
    running = [True] * len(prompts)
    every = torch.arange(len(prompts), device=seen.device)
    for _ in range(max_new_tokens):
        uniform = None
        if sampling.temperature:
            uniform = torch.cat([torch.rand(1, generator=own) for own in generators])
        chosen = choose(session.read(), sampling, seen, uniform)
        if sampling.repetition_penalty != 1.0:
            seen[every, chosen] = True
        session.append(chosen)
        ids = chosen.tolist()
        yield [token if alive else None for token, alive in zip(ids, running, strict=True)]
        running = [
            alive and token not in stop_ids for token, alive in zip(ids, running, strict=True)
        ]
        if not any(running):
            return


def generate(
    network: Network | NGram,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling | None = None,
    stop_ids: frozenset[int] = frozenset(),
) -> list[Continuation]:
    """The whole continuation of every prompt; arguments as in `stream`."""
    rows: list[list[int]] = [[] for _ in prompts]
    for step in stream(network, prompts, max_new_tokens, sampling, stop_ids):
        for row, token in zip(rows, step, strict=True):
            if token is not None:
                row.append(token)
    return [Continuation(row, bool(row) and row[-1] in stop_ids) for row in rows]
