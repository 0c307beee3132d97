"""GLM (Du et al. 2022, "GLM: … Pretraining with Autoregressive Blank Infilling").

A pre-norm decoder whose beginning (part A, the text with blanks) is seen by all and whose rest
(part B, what fills the blanks) is read causally; two learned position vectors a token, of its place
and of its place within its blank. Token ids of blanks and of the start belong to a vocabulary:
without them (`blank_ids`, `start_id`) everything is read causally.
"""

from hornbook.models.choices import (
    Attention,
    BlankReading,
    BlockPositions,
    Embedding,
    FeedForward,
    LayerNorm,
    PreNormBlock,
    TiedHead,
)
from hornbook.models.exchange import Size
from hornbook.models.initialisation import DepthScaledNormal, Initialisation, Normal
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "gpt2"


def spec(
    *,
    vocab_size: int = 30592,
    max_length: int = 512,
    d_model: int = 768,
    n_layers: int = 12,
    n_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    blank_ids: tuple[int, ...] = (),
    start_id: int = -1,
    dropout: float = 0.1,
) -> Spec:
    """GLM of these dimensions; 0 takes the family's rule (heads of 64, d_ff = 4 d_model)."""
    heads, kv_heads, head_width = resolve_heads(d_model, n_heads, 0, d_head)
    attention = Attention(heads, kv_heads, head_width, dropout=dropout)
    feedforward = FeedForward(d_ff or 4 * d_model, activation="gelu_tanh")
    return Spec(
        family="glm",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(BlockPositions(), dropout),
        stack=Stack(
            n_layers,
            (PreNormBlock(LayerNorm(1e-5), attention, feedforward, dropout),),
            final_norm=LayerNorm(1e-5),
        ),
        head=TiedHead(),
        initialisation=Initialisation(
            Normal(0.02), Normal(0.02), Normal(0.02), residual=DepthScaledNormal(0.02)
        ),
        reading=BlankReading(blank_ids, start_id),
    )


def _size(layers: int, width: int, heads: int, count: int, paper: str, **other: int) -> Size:
    numbers = {"n_layers": layers, "d_model": width, "n_heads": heads, **other}
    return Size(numbers, count, paper, source="Du et al. 2022, appendix A and table 4")


SIZES = {
    "110m": _size(12, 768, 12, 109_338_624, "110M"),
    "335m": _size(24, 1024, 16, 334_688_256, "340M"),
    "410m": _size(30, 1024, 16, 410_265_600, "410M"),
    "515m": _size(30, 1152, 18, 514_632_960, "515M"),
    "roberta": _size(24, 1024, 16, 354_873_344, "335M", vocab_size=50304),
    "2b": _size(36, 2048, 32, 1_920_122_880, "2B", vocab_size=50304, max_length=1024),
    "10b": _size(48, 4096, 64, 9_880_682_496, "10B", vocab_size=50304, max_length=1024),
}

DIFFERENCES = (
    "Ancestor: GPT-2 (Radford et al. 2019).",
    "The text with blanks is seen by all; only what fills the blanks is read causally.",
    "Positions have two numbers: of a filling's tokens, the blank's place and 1, 2, … within it.",
    "It is trained to fill blanks, in any order, instead of to continue.",
)
