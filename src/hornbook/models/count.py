"""Parameters, arithmetic and memory of a model, from its spec alone (no torch, no weights)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hornbook.models import choices, recurrences
from hornbook.models.spec import Spec, Stack

Counts = dict[str, int]

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}


def _layer_norm(choice: choices.LayerNorm, width: int) -> Counts:
    return {"norms": width * (1 + choice.bias)}


def _rms_norm(choice: choices.RMSNorm, width: int) -> Counts:
    return {"norms": width}


def _attention(choice: choices.Heads, spec: Spec) -> Counts:
    width = choice.n_heads * choice.d_head
    fused = width + 2 * choice.n_kv_heads * choice.d_head
    biases = fused * choice.bias + spec.d_model * choice.out_bias
    norm = getattr(choice, "head_norm", None)
    norms = _sum(*[_count(norm, choice.d_head)] * 2) if norm else {}
    return _sum({"attention": spec.d_model * (fused + width), "biases": biases}, norms)


def _relative(choice: choices.RelativeAttention, spec: Spec) -> Counts:
    width = choice.n_heads * choice.d_head
    return {"attention": 5 * spec.d_model * width, "biases": 5 * width}


def _feedforward(choice: choices.FeedForward, spec: Spec) -> Counts:
    biases = (choice.d_ff + spec.d_model) * choice.bias
    return {"feed-forward": 2 * spec.d_model * choice.d_ff, "biases": biases}


def _gated(choice: choices.GatedFeedForward, spec: Spec) -> Counts:
    biases = (2 * choice.d_ff + spec.d_model) * choice.bias
    return {"feed-forward": 3 * spec.d_model * choice.d_ff, "biases": biases}


def _experts(choice: choices.Experts, spec: Spec) -> Counts:
    one = 3 * spec.d_model * choice.d_ff
    return {
        "feed-forward": choice.n_active * one,
        "experts at rest": (choice.n_experts - choice.n_active) * one,
        "router": choice.n_experts * spec.d_model,
    }


def _recurrence(choice: recurrences.Cell, spec: Spec) -> Counts:
    ways = 2 if isinstance(choice, recurrences.BothWays) else 1
    gates = recurrences.GATES[choice.kind] * choice.d_hidden * ways
    return {"recurrent": gates * (choice.d_in + choice.d_hidden), "biases": 2 * gates}


def _aligner(score: str, d_hidden: int, d_source: int, d_align: int) -> int:
    rows = {"dot": 0, "general": d_hidden * d_source}
    return rows.get(score, d_align * (d_hidden + d_source + 1))


def _previous_state(choice: recurrences.PreviousStateAttention, spec: Spec) -> Counts:
    width, source, inner = choice.d_hidden, choice.d_source, 2 * choice.d_readout
    cell = replace(choice, d_in=choice.d_in + source)
    maps = width * source // 2 + inner * (width + choice.d_in + source)
    own = {"attention": _aligner("concat", width, source, choice.d_align), "feed-forward": maps}
    return _sum(_recurrence(cell, spec), own, {"biases": width + inner})


def _current_state(choice: recurrences.CurrentStateAttention, spec: Spec) -> Counts:
    width = choice.d_hidden
    fed = choice.d_in + width * choice.input_feeding
    cells = [replace(choice, d_in=width)] * (choice.n_states - 1)
    place = (width + 1) * width if choice.window else 0
    aligned = _aligner(choice.score, width, choice.d_source, width)
    own = {"attention": aligned + place, "feed-forward": width * (choice.d_source + width)}
    layers = (_recurrence(cell, spec) for cell in (replace(choice, d_in=fed), *cells))
    return _sum(*layers, own)


def _window(choice: recurrences.Window, spec: Spec) -> Counts:
    return {"feed-forward": choice.d_read * choice.d_hidden, "biases": choice.d_hidden}


def _block(choice: choices.PreNormBlock | choices.PostNormBlock, spec: Spec) -> Counts:
    cross = [choice.cross] if choice.cross else []
    parts = [_count(part, spec) for part in (choice.attention, *cross, choice.feedforward)]
    return _sum(*(_sum(_count(choice.norm, spec.d_model), part) for part in parts))


def _parallel(choice: choices.ParallelBlock, spec: Spec) -> Counts:
    parts = (_count(choice.attention, spec), _count(choice.feedforward, spec))
    return _sum(_count(choice.norm, spec.d_model), *parts)


def _normed_residual(choice: choices.NormedResidualBlock, spec: Spec) -> Counts:
    norm = _count(choice.norm, spec.d_model)
    return _sum(norm, norm, _count(choice.attention, spec), _count(choice.feedforward, spec))


def _positions(choice: Any, spec: Spec) -> Counts:
    rows = {
        "LearnedPositions": spec.max_length + getattr(choice, "offset", 0),
        "BlockPositions": 2 * (spec.max_length + 1),
    }
    return {"position embedding": rows.get(type(choice).__name__, 0) * spec.d_model}


def _embedding(choice: choices.Embedding, spec: Spec) -> Counts:
    """What stands beside the token table; an encoder and a decoder have one each."""
    segments = {"segment embedding": choice.segments * spec.d_model} if choice.segments else {}
    positions = _positions(choice.positions, spec)
    norm = _count(choice.norm, spec.d_model) if choice.norm else {}
    return _sum({k: v for k, v in positions.items() if v}, segments, norm)


def _stack(stack: Stack, spec: Spec) -> Counts:
    blocks = [_count(stack.layer(number), spec) for number in range(stack.n_distinct)]
    norm = _count(stack.final_norm, spec.d_model) if stack.final_norm else {}
    heads = stack.attention.n_heads if stack.bias else 0
    bias = {"position embedding": stack.bias.n_buckets * heads} if stack.bias else {}
    return _sum(*blocks, norm, bias)


def _tied(choice: choices.TiedHead, spec: Spec) -> Counts:
    return {"biases": spec.vocab_size * choice.bias}


def _untied(choice: choices.UntiedHead, spec: Spec) -> Counts:
    return {
        "output layer": spec.vocab_size * spec.d_output,
        **({"biases": spec.vocab_size} if choice.bias else {}),
    }


def _masked(choice: choices.MaskedHead, spec: Spec) -> Counts:
    dense = {"output layer": spec.d_model**2, "biases": spec.d_model + spec.vocab_size}
    return _sum(dense, _count(choice.norm, spec.d_model))


def _pooler(choice: choices.Pooler, spec: Spec) -> Counts:
    return {
        "pooler": spec.d_model * (spec.d_model + choice.classes),
        "biases": spec.d_model + choice.classes,
    }


COUNTS: Mapping[str, Callable[[Any, Any], Counts]] = {
    "LayerNorm": _layer_norm,
    "RMSNorm": _rms_norm,
    "Attention": _attention,
    "CrossAttention": _attention,
    "RelativeAttention": _relative,
    "FeedForward": _feedforward,
    "GatedFeedForward": _gated,
    "Experts": _experts,
    "PreNormBlock": _block,
    "PostNormBlock": _block,
    "ParallelBlock": _parallel,
    "NormedResidualBlock": _normed_residual,
    "Recurrence": _recurrence,
    "BothWays": _recurrence,
    "ResidualRecurrence": _recurrence,
    "Window": _window,
    "PreviousStateAttention": _previous_state,
    "CurrentStateAttention": _current_state,
    "Embedding": _embedding,
    "Stack": _stack,
    "TiedHead": _tied,
    "UntiedHead": _untied,
    "MaskedHead": _masked,
    "Pooler": _pooler,
}


def _count(choice: Any, where: Any) -> Counts:
    return COUNTS[type(choice).__name__](choice, where)


def _sum(*counts: Counts) -> Counts:
    names = dict.fromkeys(name for count in counts for name in count)
    return {name: sum(count.get(name, 0) for count in counts) for name in names}


def _ways(spec: Spec) -> int:
    """Directions that the stack reads in, with weights and predictions of its own in each."""
    return 2 if isinstance(spec.reading, recurrences.TwoWayReading) else 1


def _stacks(spec: Spec) -> list[Stack]:
    """Every stack that has weights: of each direction, and the encoder where there is one."""
    return [spec.stack] * _ways(spec) + ([spec.encoder] if spec.encoder else [])


def parameters(spec: Spec) -> Counts:
    """Parameters by kind and in "total": tied tensors once, rows that pad the vocabulary never."""
    stacks, embeddings = _stacks(spec), 1 + (spec.encoder is not None)
    first_query = isinstance(spec.reading, choices.TwoStreamReading)
    parts = _sum(
        {"token embedding": (spec.vocab_size + first_query) * spec.d_model},
        *[_count(spec.embedding, spec)] * embeddings,
        *(_count(stack, spec) for stack in stacks),
        _count(spec.head, spec),
        _count(spec.pooler, spec) if spec.pooler else {},
    )
    return {**parts, "total": sum(parts.values())}


APPLIED = ("attention", "feed-forward", "router", "recurrent")
"""Kinds of parameters that a token is multiplied with, besides the output layer's."""


def flops_per_token(spec: Spec, length: int) -> int:
    """Floating-point operations to train on one token of a sequence of `length`.

    6 N + 6 L A T: N parameters of matrix products that a token goes through (attention, the
    feed-forward or its active experts, the output layer; no embeddings, norms, biases), each used
    in one multiplication and one addition forward and twice that backward; L layers, A = n_heads
    d_head, T = length, where scores and weighted sums cost 4 A T a token forward, of which
    causality needs half, and twice that backward; without causality 12 L A T. Recurrent layers have
    their maps among N and no A. With an encoder: of one token of the target and one of the source,
    both `length` long. Where both directions are read, both count, the output layer too. Source:
    Kaplan et al. 2020, section 2.1; Chowdhery et al. 2022, appendix B.
    """
    applied = 0
    attended = 0
    for stack in _stacks(spec):
        causal = _reads_causally(spec, stack)
        for number in range(stack.n_layers):
            block = stack.layer(number)
            counts = _count(block, spec)
            applied += sum(counts.get(kind, 0) for kind in APPLIED)
            attention = getattr(block, "attention", None)
            width = attention.n_heads * attention.d_head if attention else 0
            attended += width * (6 if causal else 12)
            attended += 12 * width if getattr(block, "cross", None) else 0
            attended += 12 * getattr(block, "d_source", 0)
    head = parameters(spec).get("output layer", 0)
    if not isinstance(spec.head, choices.UntiedHead):
        head += spec.vocab_size * spec.d_model
    return 6 * (applied + _ways(spec) * head) + attended * length


def _reads_causally(spec: Spec, stack: Stack) -> bool:
    """Whether the tokens of this stack see only what is before them."""
    freely = choices.FullReading | choices.UnpaddedReading | choices.TwoStreamReading
    return stack is spec.stack and not isinstance(spec.reading, freely)


def cache_bytes(spec: Spec, precision: str = "float32") -> int:
    """Bytes that generation remembers for one more token of context; 0 where a state is carried."""
    if spec.stack.kept is None:
        return 0
    parts, groups, width = spec.stack.kept(spec.d_model)
    return int(spec.n_layers * parts * groups * width * BYTES[precision])


def activation_bytes(spec: Spec, batch: int, length: int, precision: str) -> int:
    """Bytes that the forward pass keeps for the backward one, training on a CPU without dropout.

    A token and layer keeps, with s bytes a number of the stream and c of the products: twice the
    stream before a norm (s) and after it (c), queries, keys, values and their mix, the
    probabilities of its block (`block_attention.py`), and the inner width before and after the
    activation (three times where it is gated). A recurrent layer keeps its input, and of every gate
    what it was made of and what it made. An encoder counts as so many layers more; cross-attention
    is left out.
    """
    stream, product = 4, BYTES[precision]
    kept = 0.0
    for stack in _stacks(spec):
        for number in range(stack.n_layers):
            block = stack.layer(number)
            if hasattr(block, "attention"):
                kept += _kept_by_attention(block, spec, stack, length, product)
            else:
                inner = sum(_count(block, spec).values()) // (block.d_in + block.d_hidden)
                kept += (2 * inner + block.d_out) * product + block.d_out * stream
    ends = spec.d_model * (stream + product)
    return int(batch * length * (kept + ends))


def _kept_by_attention(block: Any, spec: Spec, stack: Stack, length: int, product: int) -> float:
    """Bytes of a token in a block of attention and feed-forward."""
    stream, width = 4, spec.d_model
    blocks = 4 if length <= 512 else 8
    seen = length * (blocks + 1) / (2 * blocks) if _reads_causally(spec, stack) else length
    heads = block.attention.n_heads * block.attention.d_head
    shared = getattr(block.attention, "n_kv_heads", block.attention.n_heads)
    return float(
        2 * width * (stream + product)
        + (2 * heads + 2 * shared * block.attention.d_head) * product
        + block.attention.n_heads * seen * product
        + _inner_width(block.feedforward) * product
    )


def _inner_width(feedforward: choices.FeedForward | choices.Experts) -> int:
    """Numbers of the inner width that are kept for a token."""
    if isinstance(feedforward, choices.Experts):
        return 4 * feedforward.d_ff * feedforward.n_active
    return (4 if isinstance(feedforward, choices.GatedFeedForward) else 2) * feedforward.d_ff


def training_memory(
    spec: Spec,
    batch: int,
    length: int,
    precision: str = "float32",
    optimizer_numbers: int = 2,
    chunk_rows: int = 512,
) -> Counts:
    """Bytes by part, and in "total", while training on `batch` rows of `length` tokens at a time.

    Weights are float32 masters; in low precision a shadow of the matrices and its gradients come
    on top. `optimizer_numbers` float32 numbers are kept a parameter (AdamW: 2). The head forms
    logits for `chunk_rows` targets at a time.
    """
    own = spec.d_output if isinstance(spec.head, choices.UntiedHead) else 0
    row = spec.d_model + own + getattr(spec.head, "bias", True)
    padding = (spec.padded_vocab - spec.vocab_size) * row
    count = parameters(spec)
    total = count["total"] + padding
    exact = count.get("norms", 0) + count.get("position embedding", 0)
    low = total - exact
    shadow = 0 if precision == "float32" else low * BYTES[precision]
    parts = {
        "weights": 4 * total,
        "gradients": 4 * total + shadow,
        "optimizer": 4 * optimizer_numbers * total,
        "low-precision copy": shadow,
        "activations": activation_bytes(spec, batch, length, precision),
        "logits of a chunk": min(chunk_rows, batch * length) * spec.padded_vocab * 4,
    }
    return {**parts, "total": sum(parts.values())}
