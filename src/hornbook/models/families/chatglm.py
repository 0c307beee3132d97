"""ChatGLM-6B (Zeng et al. 2022, GLM-130B's recipe; the released code of 2023).

GLM with rotary instead of learned positions, in two halves of each head, and DeepNorm-like blocks
whose residual is taken from the normed input, scaled by sqrt(2 n_layers). The inverse frequencies
are rounded to half precision, as the released code does even in single precision.
"""

from hornbook.models.choices import (
    Attention,
    BlankReading,
    BlockRotary,
    Embedding,
    FeedForward,
    LayerNorm,
    NormedResidualBlock,
    TiedHead,
)
from hornbook.models.exchange import Size
from hornbook.models.initialisation import Initialisation, Normal
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "glm"

MASK, GMASK, START = 130_000, 130_001, 130_004


def spec(
    *,
    vocab_size: int = 130528,
    max_length: int = 2048,
    d_model: int = 4096,
    n_layers: int = 28,
    n_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    blank_ids: tuple[int, ...] = (GMASK, MASK),
    start_id: int = START,
) -> Spec:
    """ChatGLM-6B of these dimensions; 0 takes the family's rule (d_ff = 4 d_model)."""
    wide = 0 if n_heads or d_model < 4096 else d_model // 128
    heads, kv_heads, head_width = resolve_heads(d_model, n_heads or wide, 0, d_head)
    rotation = BlockRotary(frequency_dtype="float16")
    attention = Attention(heads, kv_heads, head_width, rotation=rotation)
    feedforward = FeedForward(d_ff or 4 * d_model, activation="gelu_tanh")
    scale = (2 * n_layers) ** 0.5
    return Spec(
        family="chatglm",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(),
        stack=Stack(
            n_layers,
            (NormedResidualBlock(LayerNorm(1e-5), attention, feedforward, scale),),
            final_norm=LayerNorm(1e-5),
        ),
        head=TiedHead(),
        initialisation=Initialisation(Normal(0.02), Normal(0.02), Normal(0.02), Normal(0.02)),
        reading=BlankReading(blank_ids, start_id),
    )


SIZES = {
    "6b": Size(
        {"n_layers": 28, "d_model": 4096},
        6_173_286_400,
        "6.2B",
        source="the released checkpoint of ChatGLM-6B (130,528 tokens)",
    ),
}

DIFFERENCES = (
    "Ancestor: GLM (Du et al. 2022).",
    "Positions turn queries and keys: the lower half of a head by place, the upper by block.",
    "Blocks take the residual from the normed input, scaled by sqrt(2 L).",
    "No dropout.",
)
