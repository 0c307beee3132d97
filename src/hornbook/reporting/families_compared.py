"""Families side by side: what each of them chose, and what that costs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hornbook.models import choices
from hornbook.models.count import cache_bytes, flops_per_token, parameters
from hornbook.models.families import spec_for
from hornbook.models.spec import Spec
from hornbook.reporting.terminal import Table
from hornbook.reporting.words import part_words, rule_words

NORM_PLACES = {
    "PreNormBlock": "before each sublayer",
    "PostNormBlock": "after each sum",
    "ParallelBlock": "one, before both sublayers",
    "NormedResidualBlock": "before each residual",
}
"""Where the norms of a block stand."""

NONE = "none"


def families_compared(names: Sequence[str], dimensions: Mapping[str, Any]) -> Iterator[Table]:
    """One column a family or size, one row a choice; `dimensions` replace the numbers of all.

    Raises SpecError for an unknown family, size or dimension.
    """
    specs = [spec_for(name, **dimensions) for name in names]
    rows = [(label, *(choice(spec) for spec in specs)) for label, choice in ROWS.items()]
    shortest = min(spec.max_length for spec in specs)
    flops = (f"{flops_per_token(spec, shortest) / 1e6:,.1f}" for spec in specs)
    rows.append((f"training MFLOP a token at {shortest:,}", *flops))
    yield Table("", ("", *names), tuple(rows))


def generates(spec: Spec) -> bool:
    """Whether tokens come one after another, so that there is something to remember."""
    return not isinstance(spec.reading, choices.FullReading | choices.UnpaddedReading)


def _first(spec: Spec) -> Any:
    """The block that stands for the model."""
    return spec.stack.blocks[0]


def _inner(field: str) -> Callable[[Spec], str]:
    """A field of the feed-forward, or of a recurrent layer as a whole."""

    def said(spec: Spec) -> str:
        inner = getattr(_first(spec), "feedforward", None)
        own = {"d_ff": "d_hidden", "activation": "kind"}[field]
        value = getattr(_first(spec), own, "tanh") if inner is None else getattr(inner, field)
        return f"{value:,}" if isinstance(value, int) else str(value)

    return said


def _layers(spec: Spec) -> str:
    encoder = f"{spec.encoder.n_layers} + " if spec.encoder else ""
    turns = len(spec.stack.blocks)
    kinds = f", {turns} kinds in turn" if 1 < turns < spec.n_layers else ""
    return f"{encoder}{spec.n_layers}{kinds}"


def _norm(spec: Spec) -> str:
    norm = getattr(_first(spec), "norm", None)
    if norm is None:
        return NONE
    bare = type(norm).__name__
    return bare if getattr(norm, "bias", True) else f"{bare} without bias"


def _other_norms(spec: Spec) -> str:
    attention = spec.stack.attention
    places = {
        "of the embeddings": spec.embedding.norm,
        "of queries and keys": getattr(attention, "head_norm", None),
        "at the end": spec.stack.final_norm,
    }
    return ", ".join(place for place, norm in places.items() if norm) or "none"


def _positions(spec: Spec) -> str:
    attention = spec.stack.attention
    found = (spec.embedding.positions, getattr(attention, "rotation", None), spec.stack.bias)
    words = [" ".join(part_words(part)) for part in found if part is not None]
    relative = isinstance(attention, choices.RelativeAttention)
    return "; ".join(words) or ("distances in attention" if relative else "none")


def _reads(spec: Spec) -> str:
    words = part_words(spec.reading)[0]
    inner = (getattr(block, "attention", None) for block in spec.stack.blocks)
    bands = {getattr(attention, "band", 0) for attention in inner} - {0}
    band = f", bands of {max(bands)}" if bands else ""
    return f"source, then {words}" if spec.encoder else f"{words}{band}"


def _heads(spec: Spec) -> str:
    attention = spec.stack.attention
    if attention is None:
        return NONE
    shared = getattr(attention, "n_kv_heads", attention.n_heads)
    return f"{attention.n_heads} / {shared} / {attention.d_head}"


def _score_scale(spec: Spec) -> str:
    attention = spec.stack.attention
    if attention is None:
        return NONE
    scale = getattr(attention, "scale", None)
    if scale is None:
        return f"1/sqrt({attention.d_head})"
    return "none" if scale == 1.0 else f"{scale:.4g}"


def _gate(spec: Spec) -> str:
    feedforward = getattr(_first(spec), "feedforward", None)
    if isinstance(feedforward, choices.Experts):
        return f"yes; {feedforward.n_active} of {feedforward.n_experts} experts"
    return "yes" if isinstance(feedforward, choices.GatedFeedForward) else "no"


def _biases(spec: Spec) -> str:
    attention, feedforward = spec.stack.attention, getattr(_first(spec), "feedforward", None)
    if feedforward is None:
        return "all maps"
    places = {
        "queries, keys, values": getattr(attention, "bias", False),
        "attention's output": getattr(attention, "out_bias", False),
        "feed-forward": getattr(feedforward, "bias", False),
    }
    named = [place for place, has in places.items() if has]
    return "all maps" if len(named) == len(places) else ", ".join(named) or "none"


def _tied(spec: Spec) -> str:
    return "no" if isinstance(spec.head, choices.UntiedHead) else "yes"


def _drawn(role: str) -> Callable[[Spec], str]:
    return lambda spec: rule_words(spec.initialisation.rule(role))


def _cache(precision: str) -> Callable[[Spec], str]:
    return lambda spec: f"{cache_bytes(spec, precision):,}" if generates(spec) else "none"


ROWS: Mapping[str, Callable[[Spec], str]] = {
    "layers": _layers,
    "width": lambda spec: f"{spec.d_model:,}",
    "norm": _norm,
    "its place": lambda spec: NORM_PLACES.get(type(_first(spec)).__name__, NONE),
    "its eps": lambda spec: f"{_first(spec).norm.eps:g}" if _norm(spec) != NONE else NONE,
    "other norms": _other_norms,
    "positions": _positions,
    "reads": _reads,
    "heads / key-value / width": _heads,
    "scores times": _score_scale,
    "inner width": _inner("d_ff"),
    "activation": _inner("activation"),
    "gate": _gate,
    "biases": _biases,
    "head": lambda spec: ", ".join(part_words(spec.head)),
    "tied to the token table": _tied,
    "drawn: token table": _drawn("embedding"),
    "drawn: queries": _drawn("query"),
    "drawn: other maps": _drawn("matrix"),
    "drawn: residual outputs": _drawn("residual"),
    "context": lambda spec: f"{spec.max_length:,}",
    "vocabulary": lambda spec: f"{spec.vocab_size:,}",
    "parameters": lambda spec: f"{parameters(spec)['total']:,}",
    "cache bytes a token, bfloat16": _cache("bfloat16"),
    "cache bytes a token, float32": _cache("float32"),
    "training MFLOP a token at its context": (
        lambda spec: f"{flops_per_token(spec, spec.max_length) / 1e6:,.1f}"
    ),
}
