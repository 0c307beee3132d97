"""From scores to a choice: penalty, temperature, top-k, top-p, draw, in this order.

Each step is a pure function over logits [rows, vocab_size] in float32; what is ruled out becomes
-inf. The order is that of transformers, so that equal settings mean equal distributions.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hornbook.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    temperature: 0 takes the likeliest token always; below 1 sharpens, above 1 flattens.
    top_k: keep the k likeliest tokens; 0 keeps all. top_p: keep the likeliest tokens whose
    probabilities first reach p; 1 keeps all. repetition_penalty: above 1 makes tokens that occurred
    less likely; 1 does nothing. seed: the same seed gives the same choices.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "temperature": (self.temperature >= 0, "at least 0"),
            "top_k": (self.top_k >= 0, "at least 0"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "repetition_penalty": (self.repetition_penalty > 0, "above 0"),
        }
        for name, (fine, allowed) in ranges.items():
            if not fine:
                raise InputError(f"{name} is {getattr(self, name)}; it must be {allowed}.")


def penalise_repetition(
    logits: Float[Tensor, "rows vocab"], seen: Bool[Tensor, "rows vocab"], penalty: float
) -> Float[Tensor, "rows vocab"]:
    """Divide positive scores of tokens seen so far by the penalty, multiply negative ones.

    Seen are the prompt and what was generated; once a token, however often it occurred. Source:
    Keskar et al. 2019, section 4.1.
    """
    punished = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, punished, logits)


def keep_top_k(logits: Float[Tensor, "rows vocab"], k: int) -> Float[Tensor, "rows vocab"]:
    """Keep the k highest scores, and what equals the k-th. Source: Fan et al. 2018, section 5."""
    kth = torch.topk(logits, min(k, logits.shape[-1])).values[:, -1:]
    return logits.masked_fill(logits < kth, float("-inf"))


def keep_top_p(logits: Float[Tensor, "rows vocab"], p: float) -> Float[Tensor, "rows vocab"]:
    """Keep the smallest set of likeliest tokens whose probability reaches p.

    The token that crosses p is kept, so one always is. Source: Holtzman et al. 2020, section 3.1.
    """
    ranked, order = torch.sort(logits, dim=-1, descending=True, stable=True)
    before = torch.softmax(ranked, -1).cumsum(-1).roll(1, -1)
    before[:, 0] = 0.0
    dropped = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, before >= p)
    return logits.masked_fill(dropped, float("-inf"))


def draw(
    logits: Float[Tensor, "rows vocab"], uniform: Float[Tensor, " rows"]
) -> Int[Tensor, " rows"]:
    """One token a row with probability softmax(logits), by inverting the cumulative distribution.

    uniform: one number in [0, 1) a row; the token is the first whose cumulative probability exceeds
    it. Sums are in float64, so that no token of probability 0 is ever drawn.
    """
    probabilities = torch.softmax(logits.double(), -1)
    cumulative = probabilities.cumsum(-1)
    wanted = uniform.double()[:, None].to(logits.device) * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, wanted, right=True).squeeze(-1)
    last = logits.shape[-1] - 1 - probabilities.flip(-1).gt(0).int().argmax(-1)
    return torch.minimum(chosen, last)


def choose(
    logits: Float[Tensor, "rows vocab"],
    sampling: Sampling,
    seen: Bool[Tensor, "rows vocab"],
    uniform: Float[Tensor, " rows"] | None,
) -> Int[Tensor, " rows"]:
    """The next token of each row. Temperature 0 takes the highest score and needs no chance."""
    logits = logits.float()
    if sampling.repetition_penalty != 1.0:
        logits = penalise_repetition(logits, seen, sampling.repetition_penalty)
    if sampling.temperature == 0:
        return logits.argmax(-1)
    assert uniform is not None
    logits = logits / sampling.temperature
    if sampling.top_k:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p < 1.0:
        logits = keep_top_p(logits, sampling.top_p)
    return draw(logits, uniform)
