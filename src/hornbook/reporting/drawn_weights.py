"""How a model's fresh weights are drawn: rule and standard deviation, by role and map."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hornbook.models import choices, recurrences
from hornbook.models.initialisation import TruncatedNormal
from hornbook.models.spec import Spec, Stack
from hornbook.reporting.words import rule_words

CUT_AT_2 = 0.8796
"""The standard deviation that is left of a normal distribution without what is beyond 2 of it."""


@dataclass(frozen=True)
class Map:
    """A drawn parameter: its role, what it is, how many numbers go in and come out."""

    role: str
    name: str
    fan_in: int
    fan_out: int


@dataclass(frozen=True)
class Drawn:
    """Maps of one role that are drawn alike, and the standard deviation of what is drawn."""

    role: str
    maps: tuple[str, ...]
    rule: str
    std: float


def drawn_weights(spec: Spec) -> tuple[Drawn, ...]:
    """A row for every role, and more than one where its maps differ."""
    rows: dict[tuple[str, str, float], list[str]] = {}
    for map_ in dict.fromkeys(maps_of(spec)):
        rule = spec.initialisation.rule(map_.role)
        std = rule.deviation(spec.n_layers, map_.fan_in, map_.fan_out)
        std *= CUT_AT_2 if isinstance(rule, TruncatedNormal) else 1.0
        own = getattr(spec.initialisation, map_.role, None) is not None
        names = rows.setdefault((map_.role if own else "matrix", rule_words(rule), std), [])
        if map_.name not in names:
            names.append(map_.name)
    return tuple(Drawn(role, tuple(names), rule, std) for (role, rule, std), names in rows.items())


def maps_of(spec: Spec) -> Iterator[Map]:
    """Every drawn parameter, some again and again."""
    d = spec.d_model
    yield Map("embedding", "token table", d, spec.vocab_size)
    if isinstance(spec.reading, choices.TwoStreamReading):
        yield Map("embedding", "first query", d, 1)
    if isinstance(spec.embedding.positions, choices.LearnedPositions | choices.BlockPositions):
        yield Map("positions", "position table", d, spec.max_length)
    if spec.embedding.segments:
        yield Map("positions", "segment table", d, spec.embedding.segments)
    for stack in (spec.stack, spec.encoder):
        if stack is not None:
            yield from _stack(stack, d)
    for part in (spec.head, spec.pooler):
        if type(part).__name__ in MAPS:
            yield from MAPS[type(part).__name__](part, d)
    if isinstance(spec.head, choices.UntiedHead):
        yield Map("head", "output layer", spec.d_output, spec.vocab_size)


def _stack(stack: Stack, d: int) -> Iterator[Map]:
    for block in stack.blocks:
        parts = [getattr(block, name, None) for name in ("attention", "cross", "feedforward")]
        for part in parts if any(parts) else [block]:
            if part is not None:
                yield from MAPS[type(part).__name__](part, d)
    if stack.bias is not None:
        heads = stack.attention.n_heads
        yield Map("positions", "distance table", heads, stack.bias.n_buckets)


def _attention(part: choices.Heads, d: int) -> Iterator[Map]:
    width, shared = part.n_heads * part.d_head, part.n_kv_heads * part.d_head
    yield Map("query", "queries", d, width)
    yield Map("key", "keys, values", d, shared)
    yield Map("residual", "attention's output", width, d)


def _relative(part: choices.RelativeAttention, d: int) -> Iterator[Map]:
    width = part.n_heads * part.d_head
    yield Map("query", "queries", d, width)
    yield Map("key", "keys, values", d, width)
    yield Map("matrix", "distances", d, width)
    yield Map("positions", "biases of scores", part.d_head, part.n_heads)
    yield Map("residual", "attention's output", width, d)


def _feedforward(part: choices.FeedForward, d: int) -> Iterator[Map]:
    yield Map("matrix", "feed-forward's input", d, part.d_ff)
    yield Map("residual", "feed-forward's output", part.d_ff, d)


def _gated(part: choices.GatedFeedForward, d: int) -> Iterator[Map]:
    yield Map("matrix", "feed-forward's gate and input", d, part.d_ff)
    yield Map("residual", "feed-forward's output", part.d_ff, d)


def _experts(part: choices.Experts, d: int) -> Iterator[Map]:
    yield Map("matrix", "router", d, part.n_experts)
    yield Map("matrix", "experts' gates and inputs", d, 2 * part.d_ff)
    yield Map("residual", "experts' outputs", part.d_ff, d)


def _recurrence(part: recurrences.Cell, d: int) -> Iterator[Map]:
    yield Map("matrix", "maps of the input", part.d_in, part.d_hidden)
    yield Map("matrix", "maps of the state", part.d_hidden, part.d_hidden)


def _previous_state(part: recurrences.PreviousStateAttention, d: int) -> Iterator[Map]:
    yield from _recurrence(replace(part, d_in=part.d_in + part.d_source), d)
    yield from _aligner("concat", part.d_hidden, part.d_source, part.d_align)
    yield Map("matrix", "map of the first state", part.d_source // 2, part.d_hidden)
    seen = part.d_hidden + part.d_in + part.d_source
    yield Map("matrix", "readout", seen, 2 * part.d_readout)


def _current_state(part: recurrences.CurrentStateAttention, d: int) -> Iterator[Map]:
    fed = part.d_in + part.d_hidden * part.input_feeding
    yield from _recurrence(replace(part, d_in=fed), d)
    if part.n_states > 1:
        yield from _recurrence(replace(part, d_in=part.d_hidden), d)
    yield from _aligner(part.score, part.d_hidden, part.d_source, part.d_hidden)
    yield Map("matrix", "what is read, mixed in", part.d_source + part.d_hidden, part.d_hidden)
    if part.window:
        yield Map("matrix", "predicted place", part.d_hidden, part.d_hidden)
        yield Map("matrix", "predicted place, score", part.d_hidden, 1)


def _aligner(score: str, d_hidden: int, d_source: int, d_align: int) -> Iterator[Map]:
    if score == "general":
        yield Map("matrix", "scores of the source", d_source, d_hidden)
    elif score == "concat":
        yield Map("matrix", "scores of the state", d_hidden, d_align)
        yield Map("matrix", "scores of the source", d_source, d_align)
        yield Map("matrix", "scores", d_align, 1)


def _window(part: recurrences.Window, d: int) -> Iterator[Map]:
    yield Map("matrix", "map of the window", part.d_read, part.d_hidden)


def _masked(part: choices.MaskedHead, d: int) -> Iterator[Map]:
    yield Map("matrix", "head's map", d, d)


def _pooler(part: choices.Pooler, d: int) -> Iterator[Map]:
    yield Map("matrix", "pooler", d, d)
    yield Map("matrix", "pooler's classes", d, part.classes)


MAPS: Mapping[str, Callable[[Any, int], Iterator[Map]]] = {
    "Attention": _attention,
    "CrossAttention": _attention,
    "RelativeAttention": _relative,
    "FeedForward": _feedforward,
    "GatedFeedForward": _gated,
    "Experts": _experts,
    "Recurrence": _recurrence,
    "BothWays": _recurrence,
    "ResidualRecurrence": _recurrence,
    "Window": _window,
    "PreviousStateAttention": _previous_state,
    "CurrentStateAttention": _current_state,
    "MaskedHead": _masked,
    "Pooler": _pooler,
}
