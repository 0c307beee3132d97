"""Beam search: keep the few likeliest beginnings, and compare what is finished by its length.

The rules are those of transformers' `generate`, so that equal settings give equal results:
every step adds log p to each running sequence and ranks all continuations; one that ends counts as
finished only among the first `width` of them; the best `width` others go on. A finished score is
the sum of log p divided by length^length_penalty, of the new tokens with the stop token. GNMT's
penalty ((5 + n) / 6)^alpha is another one (Wu et al. 2016, equation 14).

Source: Graves 2012, "Sequence Transduction", section 2.4; Sutskever et al. 2014, section 3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hornbook.errors import InputError
from hornbook.generation.generate import Continuation
from hornbook.generation.session import begin
from hornbook.models.ngrams.model import NGram
from hornbook.models.stacks import Network

NEVER = -1e9
"""The score of what is out of the race; finite, so that sums stay numbers."""


@dataclass(frozen=True)
class Beams:
    """How beams are kept.

    width: sequences that run side by side. length_penalty: exponent of the length; above 0 favours
    long ones, 0 compares sums. early_stopping: True ends with `width` finished ones; False when the
    best running one, were it finished now, would not be among them; None when it could not be even
    at full length.
    """

    width: int
    length_penalty: float = 1.0
    early_stopping: bool | None = False

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"beams is {self.width}; it must be at least 1.")


@dataclass
class _Race:
    """Running and finished sequences of one prompt; ids are lists, scores sums of log p."""

    running: list[list[int]]
    sums: Tensor
    finished: list[tuple[float, list[int]]]


def beam_search(
    network: Network | NGram,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    beams: Beams,
    stop_ids: frozenset[int] = frozenset(),
) -> list[Continuation]:
    """The best finished continuation of every prompt, each searched by itself.

    At `max_new_tokens` all running sequences count as finished. Raises InputError as `stream` does.
    """
    if max_new_tokens < 0:
        raise InputError(f"max_new_tokens is {max_new_tokens}; give 0 or more.")
    found = []
    for prompt in prompts:
        ids = _search(network, prompt, max_new_tokens, beams, stop_ids) if max_new_tokens else []
        found.append(Continuation(ids, bool(ids) and ids[-1] in stop_ids))
    return found


def _search(
    network: Network | NGram,
    prompt: Sequence[int],
    max_new_tokens: int,
    beams: Beams,
    stop_ids: frozenset[int],
) -> list[int]:
    """The best continuation of one prompt."""
    session = begin(network, [prompt] * beams.width, max_new_tokens)
    sums = torch.full((beams.width,), NEVER)
    sums[0] = 0.0  # all beams begin alike: the first alone may branch
    race = _Race([[] for _ in range(beams.width)], sums, [])
    for length in range(1, max_new_tokens + 1):
        log_p = session.read().float().log_softmax(-1).cpu()
        last = length == max_new_tokens
        parents = _advance(race, log_p, length, last, beams, stop_ids)
        if last or not _improvable(race, length, max_new_tokens, beams):
            break
        chosen = torch.tensor([ids[-1] for ids in race.running])
        session.reorder(parents.to(session.device))
        session.append(chosen.to(session.device))
    return max(race.finished, key=lambda row: row[0])[1] if race.finished else race.running[0]


def _advance(
    race: _Race, log_p: Tensor, length: int, last: bool, beams: Beams, stop_ids: frozenset[int]
) -> Tensor:
    """One step of all beams; returns which beam each running one continues."""
    vocab = log_p.shape[1]
    totals = (race.sums[:, None] + log_p).flatten()
    # So many candidates that, whichever of them end, enough go on.
    count = min(max(2, 1 + len(stop_ids)) * beams.width, len(totals))
    scores, places = totals.topk(count)
    parents, tokens = places // vocab, places % vocab
    going: list[int] = []
    full = beams.early_stopping is True and len(race.finished) >= beams.width
    ended: list[tuple[float, list[int]]] = []
    for rank, (parent, token) in enumerate(zip(parents.tolist(), tokens.tolist(), strict=True)):
        if last or token in stop_ids:
            if rank < beams.width and not full:
                score = float(scores[rank]) / length**beams.length_penalty
                ended.append((score, [*race.running[parent], token]))
        elif len(going) < beams.width:
            going.append(rank)
    race.finished = sorted(race.finished + ended, key=lambda row: -row[0])[: beams.width]
    if last:
        return parents[: beams.width]
    race.running = [[*race.running[int(parents[rank])], int(tokens[rank])] for rank in going]
    race.sums = scores[going]
    return parents[going]


def _improvable(race: _Race, length: int, longest: int, beams: Beams) -> bool:
    """Whether going on may still change which is best."""
    if len(race.finished) < beams.width:
        return True
    if beams.early_stopping is True:
        return False
    hopeful = beams.early_stopping is None and beams.length_penalty > 0
    best: float = float(race.sums[0]) / (longest if hopeful else length) ** beams.length_penalty
    return best > race.finished[-1][0]
