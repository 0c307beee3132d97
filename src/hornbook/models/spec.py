"""What a model is, as plain data: dimensions and choices of parts.

A `Spec` names the parts of a network and their numbers; `parts/` turns each choice into a module
of the same name. Nothing here imports torch, so specs are read, checked, counted and printed
instantly. A new kind of part is a new dataclass here, a module in `parts/`, a row in
`parts/__init__.py` and a row in `count.py`; no existing part grows a switch.
"""

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from hornbook.errors import SpecError

VOCABULARY_MULTIPLE = 64
ACTIVATIONS = ("gelu_tanh", "gelu_erf", "relu", "silu")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise SpecError(message)


def _positive(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        _require(
            whole and value >= 1,
            f"{type(owner).__name__}.{name} is {value!r}; it must be a whole number of at least 1.",
        )


def _rate(owner: object, name: str) -> None:
    value = getattr(owner, name)
    _require(
        0.0 <= value < 1.0,
        f"{type(owner).__name__}.{name} is {value!r}; a dropout rate lies in 0 <= rate < 1.",
    )


@dataclass(frozen=True)
class LayerNorm:
    """Layer normalisation with gain and bias (Ba et al. 2016)."""

    eps: float = 1e-5

    def __post_init__(self) -> None:
        _require(self.eps > 0, f"LayerNorm.eps is {self.eps!r}; it must be above 0.")


@dataclass(frozen=True)
class LearnedPositions:
    """One learned vector for each of the `max_length` positions."""


@dataclass(frozen=True)
class Embedding:
    """Token vectors, plus positions, then dropout."""

    positions: LearnedPositions
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _rate(self, "dropout")


@dataclass(frozen=True)
class Attention:
    """Multi-head attention with one fused projection [Q|K|V]; `dropout` falls on probabilities."""

    n_heads: int
    n_kv_heads: int
    d_head: int
    bias: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _positive(self, "n_heads", "n_kv_heads", "d_head")
        _rate(self, "dropout")
        _require(
            self.n_heads % self.n_kv_heads == 0,
            f"n_kv_heads = {self.n_kv_heads} does not divide n_heads = {self.n_heads}; "
            "every key-value head serves the same number of query heads.",
        )


@dataclass(frozen=True)
class FeedForward:
    """Two linear maps around an activation: d_model to d_ff and back."""

    d_ff: int
    activation: str
    bias: bool = True

    def __post_init__(self) -> None:
        _positive(self, "d_ff")
        _require(
            self.activation in ACTIVATIONS,
            f"activation is {self.activation!r}; known are {', '.join(ACTIVATIONS)}.",
        )


@dataclass(frozen=True)
class PreNormBlock:
    """x + attention(norm(x)), then x + feedforward(norm(x)); dropout on both sublayers' outputs."""

    norm: LayerNorm
    attention: Attention
    feedforward: FeedForward
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _rate(self, "dropout")


@dataclass(frozen=True)
class TiedHead:
    """The token table, transposed, as the output layer; no bias, scale 1."""


@dataclass(frozen=True)
class Normal:
    """Draw from N(0, std^2)."""

    std: float


@dataclass(frozen=True)
class DepthScaledNormal:
    """Draw from N(0, std^2 / (2 n_layers)): two residual outputs a layer add up to std^2."""

    std: float


@dataclass(frozen=True)
class Initialisation:
    """How fresh weights are drawn, by the role of a parameter; gains are 1 and biases 0."""

    embedding: Normal | DepthScaledNormal
    positions: Normal | DepthScaledNormal
    matrix: Normal | DepthScaledNormal
    residual: Normal | DepthScaledNormal


@dataclass(frozen=True)
class Spec:
    """A whole model: dimensions, parts, and the mask it reads with when it is given none."""

    family: str
    vocab_size: int
    max_length: int
    d_model: int
    n_layers: int
    embedding: Embedding
    block: PreNormBlock
    final_norm: LayerNorm
    head: TiedHead
    initialisation: Initialisation
    mask: str = "causal"

    def __post_init__(self) -> None:
        _positive(self, "vocab_size", "max_length", "d_model", "n_layers")

    @property
    def padded_vocab(self) -> int:
        """Rows of the token table: `vocab_size` rounded up to a multiple of 64."""
        return -(-self.vocab_size // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE


def resolve_heads(
    d_model: int, n_heads: int = 0, n_kv_heads: int = 0, d_head: int = 0
) -> tuple[int, int, int]:
    """(n_heads, n_kv_heads, d_head), with what is 0 filled in.

    n_heads = d_model / 64, at least 1; n_kv_heads = n_heads; d_head = d_model / n_heads. Raises
    SpecError where d_head is unset and n_heads does not divide d_model.
    """
    _require(d_model >= 1, f"d_model is {d_model}; it must be a whole number of at least 1.")
    _require(min(n_heads, n_kv_heads, d_head) >= 0, "A number of heads or d_head is negative.")
    n_heads = n_heads or max(1, d_model // 64)
    _require(
        bool(d_head) or d_model % n_heads == 0,
        f"n_heads = {n_heads} does not divide d_model = {d_model}; "
        "choose a divisor, or set d_head yourself.",
    )
    return n_heads, n_kv_heads or n_heads, d_head or d_model // n_heads


def expected_first_loss(spec: Spec) -> float:
    """Nats a token that fresh weights lose: ln V + d_model std^2 / 2 (see `Network`)."""
    return math.log(spec.vocab_size) + spec.d_model * spec.initialisation.embedding.std**2 / 2


CHOICES: dict[str, type] = {
    choice.__name__: choice
    for choice in (
        Spec,
        Embedding,
        LearnedPositions,
        LayerNorm,
        Attention,
        FeedForward,
        PreNormBlock,
        TiedHead,
        Initialisation,
        Normal,
        DepthScaledNormal,
    )
}


def spec_to_dict(spec: Any) -> dict[str, Any]:
    """The spec as JSON-ready nested dicts; `part` names each choice."""
    rows: dict[str, Any] = {"part": type(spec).__name__}
    for field in fields(spec):
        value = getattr(spec, field.name)
        rows[field.name] = spec_to_dict(value) if is_dataclass(value) else value
    return rows


def spec_from_dict(data: dict[str, Any]) -> Any:
    """The inverse of `spec_to_dict`. Raises SpecError for an unknown part or field."""
    part = data.get("part")
    choice = CHOICES.get(str(part))
    if choice is None:
        raise SpecError(f"A stored spec names the part {part!r}; known are {', '.join(CHOICES)}.")
    values = {
        name: spec_from_dict(value) if isinstance(value, dict) else value
        for name, value in data.items()
        if name != "part"
    }
    try:
        return choice(**values)
    except TypeError as error:
        raise SpecError(f"A stored {part} does not fit this version: {error}.") from error
