"""Rows of tokens that a network has read so far, and its cache.

Three kinds, one interface: a session of one sequence continues its prompts; a session with a source
reads the prompts with an encoder, once, and continues a target from the start token; a session of
counts looks up what follows the last tokens.

Rows of different lengths run together: shorter prompts are moved right, what fills the left is
seen by nobody, and positions count from each row's own beginning, so a row's result does not
depend on its neighbours (until their shared context is full).

When the context is full, the last half of it is read again from position 0 and the text goes on:
the model forgets the oldest half, and generation is as long as was asked. A prompt longer than the
context is read from its end. A decoder over a source has no such half to forget: it ends there. A
network that carries a state has no context to fill: it goes on.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hornbook.batches import masks
from hornbook.batches.batch import Source
from hornbook.errors import InputError
from hornbook.generation.packed import packed
from hornbook.models.ngrams.model import NGram
from hornbook.models.stacks import Network

NO_LIMIT = 2**40
"""More tokens than anyone generates."""


class Session(Protocol):
    """What the loops of generation ask of a session."""

    device: torch.device
    """Where the scores are, and where tokens and rows are taken from."""

    @property
    def written(self) -> Sequence[Sequence[int]]:
        """What each row continues, as it was given."""

    def read(self) -> Float[Tensor, "rows vocab"]:
        """Scores of the token after the last; reads what the cache does not hold yet."""

    def append(self, tokens: Int[Tensor, " rows"]) -> None:
        """Add one token to each row, to be read next."""

    def reorder(self, rows: Int[Tensor, " rows"]) -> None:
        """Let row i continue what row `rows[i]` has read."""


def begin(network: Network | NGram, prompts: Sequence[Sequence[int]], room: int) -> Session:
    """A session of these prompts; `room` is how many tokens may follow them.

    Raises InputError for empty prompts, ids outside the vocabulary, and a network that predicts
    nothing that follows.
    """
    _require_prompts(prompts, network.spec.vocab_size)
    if isinstance(network, NGram):
        return CountedSession(network, prompts)
    spec = network.spec
    if spec.encoder is None:
        network.require_continues()
    kind = SequenceSession if spec.encoder is None else SourceSession
    return kind(packed(network, len(prompts), room), prompts, room)


class SequenceSession:
    """Rows that one stack reads and continues."""

    def __init__(self, network: Any, prompts: Sequence[Sequence[int]], room: int) -> None:
        self.network, self.written = network, prompts
        self.limit = NO_LIMIT if network.spec.carries_state else network.spec.max_length
        longest = max(map(len, prompts))
        self.device = device = network.table.device
        rows = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        self.tokens = torch.tensor(rows, dtype=torch.int64, device=device)[:, -self.limit :]
        starts = [max(0, self.tokens.shape[1] - len(prompt)) for prompt in prompts]
        self.starts, self.padded = torch.tensor(starts, device=device), any(starts)
        self.cache = network.new_cache(len(prompts), min(self.limit, longest + room))

    @torch.inference_mode()
    def read(self) -> Float[Tensor, "rows vocab"]:
        """Scores of the token after the last."""
        if self.tokens.shape[1] > self.limit:
            kept = max(1, self.limit // 2)
            self.starts = (self.starts - (self.tokens.shape[1] - kept)).clamp(min=0)
            self.tokens, self.cache.length = self.tokens[:, -kept:], 0
            self.padded = bool(self.starts.any())
        start = self.cache.length
        positions, mask = self.network.place(self.tokens, self.starts if self.padded else None)
        positions = None if positions is None else positions[..., start:]
        new = self.tokens[:, start:]
        with evaluating(self.network):
            hidden = self.network.predict_next(
                new, mask=mask, positions=positions, cache=self.cache
            )
        scores: Tensor = self.network.logits(hidden.last[:, -1])
        return scores

    def append(self, tokens: Int[Tensor, " rows"]) -> None:
        """Add one token to each row."""
        self.tokens = torch.cat([self.tokens, tokens[:, None]], dim=1)

    @torch.inference_mode()
    def reorder(self, rows: Int[Tensor, " rows"]) -> None:
        """Let row i continue what row `rows[i]` has read."""
        self.tokens, self.starts = self.tokens[rows], self.starts[rows]
        self.cache.reorder(rows)


class SourceSession:
    """Rows whose source an encoder has read, and whose target a decoder continues."""

    @torch.inference_mode()
    def __init__(self, network: Any, sources: Sequence[Sequence[int]], room: int) -> None:
        spec = network.spec
        longest = max(map(len, sources))
        if max(longest, room) > spec.max_length:
            raise InputError(
                f"A source of {longest} tokens and {room} new ones do not fit this model's context "
                f"of {spec.max_length} each; shorten the source or ask for less."
            )
        self.device = device = network.table.device
        rows = [list(source) + [0] * (longest - len(source)) for source in sources]
        lengths = torch.tensor([len(source) for source in sources], device=device)
        mask = masks.full() if bool((lengths == longest).all()) else masks.padding(lengths)
        given = Source(torch.tensor(rows, dtype=torch.int64, device=device), mask=mask)
        self.network = network
        with evaluating(network):
            self.source, _ = network.encode(given)
        start = spec.reading.start_id
        self.written = [[start]] * len(sources)
        self.new = torch.full((len(sources), 1), start, dtype=torch.int64, device=device)
        self.cache = network.new_cache(len(sources), max(1, room))

    @torch.inference_mode()
    def read(self) -> Float[Tensor, "rows vocab"]:
        """Scores of the token after the last."""
        with evaluating(self.network):
            hidden = self.network.decode(self.source, self.new, cache=self.cache)
        scores: Tensor = self.network.logits(hidden.last[:, -1])
        return scores

    def append(self, tokens: Int[Tensor, " rows"]) -> None:
        """Add one token to each row."""
        self.new = tokens[:, None]

    @torch.inference_mode()
    def reorder(self, rows: Int[Tensor, " rows"]) -> None:
        """Let row i continue what row `rows[i]` has read; all rows have the same source."""
        self.new = self.new[rows]
        self.cache.reorder(rows)


class CountedSession:
    """Rows that counted n-grams continue. Nothing is computed ahead, so there is nothing to cache.

    An estimator whose numbers are no probabilities goes on too: they are made to sum to 1.
    """

    device = torch.device("cpu")

    def __init__(self, model: NGram, prompts: Sequence[Sequence[int]]) -> None:
        self.model, self.written = model, prompts
        self.rows = [list(prompt) for prompt in prompts]

    def read(self) -> Float[Tensor, "rows vocab"]:
        """log p of the token after the last; raises InputError after a context that has none."""
        scores = torch.from_numpy(np.stack([self.model.scores(row) for row in self.rows]))
        return scores.log()

    def append(self, tokens: Int[Tensor, " rows"]) -> None:
        """Add one token to each row."""
        for row, token in zip(self.rows, tokens.tolist(), strict=True):
            row.append(token)

    def reorder(self, rows: Int[Tensor, " rows"]) -> None:
        """Let row i continue what row `rows[i]` has read."""
        self.rows = [list(self.rows[row]) for row in rows.tolist()]


@contextmanager
def evaluating(network: Network) -> Iterator[None]:
    """Without dropout, and afterwards as before."""
    if not network.training:
        yield  # going through all modules costs as much as a small model's step
        return
    network.eval()
    try:
        yield
    finally:
        network.train()


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
