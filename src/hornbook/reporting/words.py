"""The choices of a spec in a few words: what stands in the boxes of a drawing and in tables."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from hornbook.models import choices, initialisation, recurrences

Words = tuple[str, ...]


def part_words(part: Any) -> Words:
    """A part in lines of at most 24 letters; one that has no words of its own names its fields."""
    words = WORDS.get(type(part).__name__)
    if words is not None:
        return words(part)
    rows = (f"{field.name} {getattr(part, field.name)}" for field in fields(part))
    return (type(part).__name__, *rows)


def norm_words(norm: Any) -> Words:
    """Kind and eps of a norm."""
    bare = (f"{type(norm).__name__}, eps {norm.eps:g}",)
    return bare if getattr(norm, "bias", True) else (*bare, "gain without bias")


def _embedding(part: choices.Embedding) -> Words:
    table = "token vectors" if part.scale == 1.0 else f"token vectors × {part.scale:.4g}"
    segments = (f"+ {part.segments} segment vectors",) if part.segments > 1 else ()
    segments = ("+ one segment vector",) if part.segments == 1 else segments
    positions = part_words(part.positions) if part.positions else ()
    norm = (f"then {norm_words(part.norm)[0]}",) if part.norm else ()
    return (table, *(f"+ {line}" for line in positions), *segments, *norm)


def _heads(part: choices.Heads) -> Words:
    if part.n_heads == part.n_kv_heads:
        lines: Words = (f"{part.n_heads} heads of {part.d_head}",)
    else:
        plural = "s" if part.n_kv_heads > 1 else ""
        own = f"{part.n_heads} query heads of {part.d_head}"
        lines = (own, f"{part.n_kv_heads} key-value head{plural}")
    if part.scale is None:
        return lines
    return (*lines, "scores not scaled" if part.scale == 1.0 else f"scores × {part.scale:.4g}")


def _attention(part: choices.Attention) -> Words:
    return (
        *_heads(part),
        *(("biases of q, k, v",) if part.bias and not part.out_bias else ()),
        *(("queries, keys: RMSNorm",) if part.head_norm else ()),
        *(part_words(part.rotation) if part.rotation else ()),
        *((f"a band of {part.band} tokens",) if part.band else ()),
    )


def _relative(part: choices.RelativeAttention) -> Words:
    return f"{part.n_heads} heads of {part.d_head}", "by content, distance", "and segment"


def _rotary(part: choices.Rotary) -> Words:
    share = "" if part.share == 1.0 else f", on {part.share:.0%}"
    return (f"rotary by {part.layout}{share}",)


def _feedforward(part: choices.FeedForward) -> Words:
    return "feed-forward", f"{part.d_ff} wide, {part.activation}"


def _gated(part: choices.GatedFeedForward) -> Words:
    return "gated feed-forward", f"{part.d_ff} wide, {part.activation}"


def _experts(part: choices.Experts) -> Words:
    return (
        f"router: {part.n_active} of {part.n_experts}",
        "gated feed-forwards",
        f"{part.d_ff} wide, {part.activation}",
    )


def _tied(part: choices.TiedHead) -> Words:
    scale = () if part.scale == 1.0 else (f"times {part.scale:.4g}",)
    return ("the token table again", *scale, *(("+ bias",) if part.bias else ()))


def _masked(part: choices.MaskedHead) -> Words:
    return f"map, {part.activation}, norm", "the token table again", "+ bias"


def _pooler(part: choices.Pooler) -> Words:
    return "first token: map, tanh", f"map to {part.classes} classes"


def _window(part: recurrences.Window) -> Words:
    direct = ("and the vectors themselves",) if part.direct else ()
    return (f"the last {part.order - 1} vectors", f"map to {part.d_hidden}, tanh", *direct)


def _previous_state(part: recurrences.PreviousStateAttention) -> Words:
    return (
        "attention: source,",
        "by the state before",
        f"gru of {part.d_hidden}",
        f"maxout of {part.d_readout} pairs",
    )


def _current_state(part: recurrences.CurrentStateAttention) -> Words:
    layers = f" x {part.n_states}" if part.n_states > 1 else ""
    return (
        f"{part.kind} of {part.d_hidden}{layers}",
        f"attention: source, {part.score}",
        *((f"{part.window} places to each side",) if part.window else ()),
        *(("what was read: fed back",) if part.input_feeding else ()),
    )


WORDS: Mapping[str, Callable[[Any], Words]] = {
    "LayerNorm": norm_words,
    "RMSNorm": norm_words,
    "LearnedPositions": lambda part: ("learned positions",),
    "BlockPositions": lambda part: ("learned positions", "learned block places"),
    "SinusoidalPositions": lambda part: ("sines of positions",),
    "Rotary": _rotary,
    "BlockRotary": lambda part: ("rotary: half by place,", "half by block place"),
    "BucketBias": lambda part: (f"{part.n_buckets} buckets of distance",),
    "Embedding": _embedding,
    "Attention": lambda part: ("attention", *_attention(part)),
    "CrossAttention": lambda part: ("cross-attention", *_heads(part)),
    "RelativeAttention": lambda part: ("attention", *_relative(part)),
    "FeedForward": _feedforward,
    "GatedFeedForward": _gated,
    "Experts": _experts,
    "TiedHead": _tied,
    "Recurrence": lambda part: (f"{part.kind} of {part.d_hidden}",),
    "BothWays": lambda part: (f"{part.kind} of {part.d_hidden}", "from both ends"),
    "ResidualRecurrence": lambda part: (f"{part.kind} of {part.d_hidden}",),
    "Window": _window,
    "PreviousStateAttention": _previous_state,
    "CurrentStateAttention": _current_state,
    "RecurrentSourceReading": lambda part: ("causal",),
    "UntiedHead": lambda part: ("output layer of its own", *(("+ bias",) if part.bias else ())),
    "MaskedHead": _masked,
    "Pooler": _pooler,
    "CausalReading": lambda part: ("causal",),
    "FullReading": lambda part: ("sees all",),
    "UnpaddedReading": lambda part: ("sees all",),
    "BlankReading": lambda part: ("prefix, then causal",),
    "SourceReading": lambda part: ("causal",),
    "TwoStreamReading": lambda part: ("two streams",),
    "TwoWayReading": lambda part: ("causal, from both ends",),
}


def rule_words(rule: initialisation.Rule) -> str:
    """A rule of initialisation, as it is written."""
    return RULES[type(rule).__name__](rule)


RULES: Mapping[str, Callable[[Any], str]] = {
    "Normal": lambda rule: f"normal {rule.std:.4g}",
    "TruncatedNormal": lambda rule: f"normal {rule.std:.4g}, cut at 2 std",
    "DepthScaledNormal": lambda rule: f"normal {rule.std:.4g} / sqrt(2 layers)",
    "FanIn": lambda rule: (
        "1 / sqrt(inputs)" if rule.scale == 1.0 else f"{rule.scale:.4g} / sqrt(inputs)"
    ),
    "Xavier": lambda rule: "sqrt(2 / (inputs + outputs))",
    "Uniform": lambda rule: f"uniform to {rule.bound:.4g}",
}
