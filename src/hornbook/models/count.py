"""Parameters, arithmetic and memory of a model, from its spec alone (no torch, no weights)."""

from collections.abc import Callable, Mapping
from typing import Any

from hornbook.models import spec as choices
from hornbook.models.spec import Spec

Counts = dict[str, int]

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}


def _norm(choice: choices.LayerNorm, spec: Spec) -> Counts:
    return {"norms": 2 * spec.d_model}


def _attention(choice: choices.Attention, spec: Spec) -> Counts:
    width = choice.n_heads * choice.d_head
    fused = width + 2 * choice.n_kv_heads * choice.d_head
    biases = (fused + spec.d_model) * choice.bias
    return {"attention": spec.d_model * (fused + width), "biases": biases}


def _feedforward(choice: choices.FeedForward, spec: Spec) -> Counts:
    biases = (choice.d_ff + spec.d_model) * choice.bias
    return {"feed-forward": 2 * spec.d_model * choice.d_ff, "biases": biases}


def _block(choice: choices.PreNormBlock, spec: Spec) -> Counts:
    return _sum(
        _count(choice.norm, spec),
        _count(choice.attention, spec),
        _count(choice.norm, spec),
        _count(choice.feedforward, spec),
    )


def _embedding(choice: choices.Embedding, spec: Spec) -> Counts:
    table = {"token embedding": spec.vocab_size * spec.d_model}
    return _sum(table, _count(choice.positions, spec))


def _positions(choice: choices.LearnedPositions, spec: Spec) -> Counts:
    return {"position embedding": spec.max_length * spec.d_model}


def _tied(choice: choices.TiedHead, spec: Spec) -> Counts:
    return {}


COUNTS: Mapping[str, Callable[[Any, Spec], Counts]] = {
    "LayerNorm": _norm,
    "Attention": _attention,
    "FeedForward": _feedforward,
    "PreNormBlock": _block,
    "Embedding": _embedding,
    "LearnedPositions": _positions,
    "TiedHead": _tied,
}


def _count(choice: Any, spec: Spec) -> Counts:
    return COUNTS[type(choice).__name__](choice, spec)


def _sum(*counts: Counts) -> Counts:
    names = dict.fromkeys(name for count in counts for name in count)
    return {name: sum(count.get(name, 0) for count in counts) for name in names}


def parameters(spec: Spec) -> Counts:
    """Parameters by kind and in "total": tied tensors once, rows that pad the vocabulary never."""
    parts = _sum(
        _count(spec.embedding, spec),
        *[_count(spec.block, spec)] * spec.n_layers,
        _count(spec.final_norm, spec),
        _count(spec.head, spec),
    )
    return {**parts, "total": sum(parts.values())}


def flops_per_token(spec: Spec, length: int) -> int:
    """Floating-point operations to train on one token of a sequence of `length`.

    6 N + 6 L A T: N parameters of matrix products (attention, feed-forward and the output layer;
    no embeddings, norms, biases), each used in one multiplication and one addition forward and
    twice that backward; L layers, A = n_heads d_head, T = length, where scores and weighted sums
    cost 4 A T a token forward, of which causality needs half, and twice that backward. Source:
    Kaplan et al. 2020, section 2.1; Chowdhery et al. 2022, appendix B.
    """
    parts, attention = parameters(spec), spec.block.attention
    matrices = parts["attention"] + parts["feed-forward"] + spec.vocab_size * spec.d_model
    width = attention.n_heads * attention.d_head
    return 6 * matrices + 6 * spec.n_layers * width * length


def activation_bytes(spec: Spec, batch: int, length: int, precision: str) -> int:
    """Bytes that the forward pass keeps for the backward one, training on a CPU without dropout.

    A token and layer keeps, with s bytes a number of the stream and c of the products: twice the
    stream before a norm (s) and after it (c), queries, keys, values and their mix, the
    probabilities of its block (`block_attention.py`), and the inner width before and after the
    activation.
    """
    stream, product = 4, BYTES[precision]
    attention, width = spec.block.attention, spec.d_model
    heads = attention.n_heads * attention.d_head
    keys = attention.n_kv_heads * attention.d_head
    blocks = 4 if length <= 512 else 8
    seen = length * (blocks + 1) / (2 * blocks)
    layer = (
        2 * width * (stream + product)
        + (2 * heads + 2 * keys) * product
        + attention.n_heads * seen * product
        + 2 * spec.block.feedforward.d_ff * product
    )
    ends = width * (stream + product)
    return int(batch * length * (spec.n_layers * layer + ends))


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
    padding = (spec.padded_vocab - spec.vocab_size) * spec.d_model
    count = parameters(spec)
    total = count["total"] + padding
    low = total - count["norms"] - count.get("position embedding", 0)
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
