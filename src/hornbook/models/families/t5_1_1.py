"""T5 1.1 (Shazeer 2020; the released checkpoints), also FLAN-T5's shape.

T5 with a gated feed-forward of tanh GELU, an output layer of its own, hidden states not scaled
before it, other sizes, and no dropout in pre-training.
"""

from hornbook.models.choices import GatedFeedForward, UntiedHead
from hornbook.models.exchange import Size
from hornbook.models.families import t5
from hornbook.models.layouts import t5_layout
from hornbook.models.spec import Spec

ANCESTOR = "t5"


def spec(
    *,
    vocab_size: int = 32128,
    max_length: int = 512,
    d_model: int = 512,
    n_layers: int = 8,
    n_encoder_layers: int = 0,
    n_heads: int = 6,
    d_head: int = 64,
    d_ff: int = 0,
    start_id: int = 0,
    dropout: float = 0.0,
) -> Spec:
    """T5 1.1 of these dimensions; d_ff 0 is 2.5 d_model in whole 64s."""
    inner = d_ff or -(-5 * d_model // 128) * 64
    feedforward = GatedFeedForward(inner, "gelu_tanh", bias=False, dropout=dropout)
    return t5.assemble(
        "t5_1_1", (vocab_size, max_length, d_model), (n_layers, n_encoder_layers or n_layers),
        (n_heads, d_head), feedforward, UntiedHead(), start_id, dropout,
    )  # fmt: skip


def _size(layers: int, width: int, heads: int, d_ff: int, count: int, paper: str) -> Size:
    numbers = {"n_layers": layers, "d_model": width, "n_heads": heads, "d_ff": d_ff}
    source = "the released configurations (t5.1.1); XL and XXL are known as 3B and 11B"
    return Size(numbers, count, paper, source=source)


SIZES = {
    "small": _size(8, 512, 6, 1024, 76_961_152, ""),
    "base": _size(12, 768, 12, 2048, 247_577_856, ""),
    "large": _size(24, 1024, 16, 2816, 783_150_080, ""),
    "xl": _size(24, 2048, 32, 5120, 2_849_757_184, "3B"),
    "xxl": _size(24, 4096, 64, 10240, 11_135_332_352, "11B"),
}

DIFFERENCES = (
    "Ancestor: T5 1.0 (Raffel et al. 2020).",
    "The feed-forward is gated, with tanh GELU instead of ReLU.",
    "The output layer is not the token table, and hidden states are not scaled before it.",
    "Pre-trained without dropout; XL and XXL are wider, and their heads are 64 again.",
)

HUGGING_FACE = t5_layout("gated-gelu", ("wi_0", "wi_1"), scaled=False)
