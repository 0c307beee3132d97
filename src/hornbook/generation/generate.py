"""The loop that continues sequences, one token a row and step.

Rows of different lengths run together: shorter prompts are moved right, what fills the left is
seen by nobody, and positions count from each row's own beginning, so a row's result does not
depend on its neighbours (until their shared context is full). Each row draws from a generator of
its own.

When the context is full, the last half of it is read again from position 0 and the text goes on:
the model forgets the oldest half, and generation is as long as was asked. A prompt longer than the
context is read from its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hornbook.batches import masks
from hornbook.errors import InputError
from hornbook.generation.sampling import Sampling, choose
from hornbook.models.stacks import Network
from hornbook.recipe.fingerprint import derive_seed


@dataclass(frozen=True)
class Continuation:
    """What followed a prompt: ids, the stop token included if one came."""

    ids: list[int]
    stopped: bool


class Session:
    """Rows of tokens that a network has read so far, and its cache."""

    def __init__(self, network: Network, prompts: Sequence[Sequence[int]], room: int) -> None:
        """Lay out the prompts; `room` is how many tokens may follow them."""
        _require_prompts(prompts, network.spec.vocab_size)
        self.network, self.limit = network, network.spec.max_length
        longest = max(map(len, prompts))
        device = network.table.device
        rows = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        self.tokens = torch.tensor(rows, dtype=torch.int64, device=device)[:, -self.limit :]
        starts = [max(0, self.tokens.shape[1] - len(prompt)) for prompt in prompts]
        self.starts = torch.tensor(starts, device=device)
        self.cache = network.new_cache(len(prompts), min(self.limit, longest + room))

    @torch.inference_mode()
    def read(self) -> Float[Tensor, "rows vocab"]:
        """Scores of the token after the last; reads what the cache does not hold yet."""
        if self.tokens.shape[1] > self.limit:
            kept = max(1, self.limit // 2)
            self.starts = (self.starts - (self.tokens.shape[1] - kept)).clamp(min=0)
            self.tokens, self.cache.length = self.tokens[:, -kept:], 0
        start, end = self.cache.length, self.tokens.shape[1]
        mask = positions = None
        if self.starts.any():
            places = torch.arange(self.cache.capacity, device=self.tokens.device)
            own = places >= self.starts[:, None]
            mask = masks.causal() & masks.same_document(own.long())
            positions = (places[start:end] - self.starts[:, None]).clamp(min=0)
        new = self.tokens[:, start:]
        training = self.network.training
        try:
            self.network.eval()
            hidden = self.network(new, mask=mask, positions=positions, cache=self.cache)
        finally:
            self.network.train(training)
        return self.network.logits(hidden.last[:, -1])

    def append(self, tokens: Int[Tensor, " rows"]) -> None:
        """Add one token to each row, to be read next."""
        self.tokens = torch.cat([self.tokens, tokens[:, None]], dim=1)


def _require_prompts(prompts: Sequence[Sequence[int]], vocab_size: int) -> None:
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise InputError("A prompt is empty; give at least one token to continue.")
    for prompt in prompts:
        lowest, highest = min(prompt), max(prompt)
        if lowest < 0 or highest >= vocab_size:
            wrong = lowest if lowest < 0 else highest
            raise InputError(
                f"The id {wrong} is outside this model's vocabulary of {vocab_size}; "
                "encode with the tokenizer it was trained with."
            )


def stream(
    network: Network,
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
    session = Session(network, prompts, max_new_tokens)
    generators = [
        torch.Generator().manual_seed(derive_seed(sampling.seed, "sampling", row))
        for row in range(len(prompts))
    ]
    seen = torch.zeros(len(prompts), network.spec.vocab_size, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        seen[row, list(prompt)] = True
    seen = seen.to(session.tokens.device)
    running = [True] * len(prompts)
    for _ in range(max_new_tokens):
        uniform = torch.cat([torch.rand(1, generator=own) for own in generators])
        chosen = choose(session.read(), sampling, seen, uniform)
        seen[torch.arange(len(prompts)), chosen] = True
        session.append(chosen)
        ids = chosen.tolist()
        yield [token if alive else None for token, alive in zip(ids, running, strict=True)]
        running = [
            alive and token not in stop_ids for token, alive in zip(ids, running, strict=True)
        ]
        if not any(running):
            return


def generate(
    network: Network,
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
