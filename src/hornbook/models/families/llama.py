"""LLaMA (Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models").

A decoder of pre-norm blocks with root-mean-square norms, rotary positions, a gated feed-forward
of SiLU (SwiGLU), no biases, no dropout and an output layer of its own. The inner width is 8/3 of
the width, rounded up to a multiple of 256. Queries and keys are held in Hugging Face's layout of
rotary pairs (halves); Meta's files have neighbours.
"""

import math

from hornbook.models.choices import (
    Attention,
    CausalReading,
    Embedding,
    GatedFeedForward,
    PreNormBlock,
    RMSNorm,
    Rotary,
    UntiedHead,
)
from hornbook.models.exchange import HuggingFace, Setting, Size
from hornbook.models.initialisation import Initialisation, Normal
from hornbook.models.layouts import (
    LLAMA_ABSENT,
    LLAMA_ATTENTION_KEYS,
    LLAMA_FEEDFORWARD_KEYS,
    LLAMA_NORM,
    LLAMA_OUTER_KEYS,
    LLAMA_SETTINGS,
)
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "gpt2"


def inner_width(d_model: int, multiplier: float = 1.0, multiple_of: int = 256) -> int:
    """ceil(int(multiplier int(8 d_model / 3)) / multiple_of) multiple_of (the released code)."""
    return math.ceil(int(multiplier * int(8 * d_model / 3)) / multiple_of) * multiple_of


def spec(
    *,
    vocab_size: int = 32000,
    max_length: int = 2048,
    d_model: int = 4096,
    n_layers: int = 32,
    n_heads: int = 0,
    n_kv_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    eps: float = 1e-6,
) -> Spec:
    """LLaMA of these dimensions; 0 takes the family's rule (heads of 128, of 64 if small)."""
    wide = 0 if n_heads or d_model < 4096 else d_model // 128
    heads, kv_heads, head_width = resolve_heads(d_model, n_heads or wide, n_kv_heads, d_head)
    attention = Attention(
        heads, kv_heads, head_width, bias=False, out_bias=False, rotation=Rotary("halves")
    )
    feedforward = GatedFeedForward(d_ff or inner_width(d_model), activation="silu", bias=False)
    return Spec(
        family="llama",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(),
        stack=Stack(n_layers, (PreNormBlock(RMSNorm(eps), attention, feedforward),), RMSNorm(eps)),
        head=UntiedHead(),
        initialisation=Initialisation(Normal(0.02), Normal(0.02), Normal(0.02), Normal(0.02)),
        reading=CausalReading(),
    )


PAPER = "Touvron et al. 2023, table 2"

SIZES = {
    "7b": Size({"n_layers": 32, "d_model": 4096}, 6_738_415_616, "6.7B", source=PAPER),
    "13b": Size({"n_layers": 40, "d_model": 5120}, 13_015_864_320, "13.0B", source=PAPER),
    "33b": Size({"n_layers": 60, "d_model": 6656}, 32_528_943_616, "32.5B", source=PAPER),
    "65b": Size(
        {"n_layers": 80, "d_model": 8192, "eps": 1e-5}, 65_285_660_672, "65.2B", source=PAPER
    ),
}

DIFFERENCES = (
    "Ancestor: GPT-2 (Radford et al. 2019).",
    "Root-mean-square norms without mean and bias instead of layer norms.",
    "Rotary positions in attention instead of learned vectors at the input.",
    "A gated feed-forward with SiLU, 8/3 as wide as the model, instead of GELU and 4.",
    "No biases, no dropout, and the output layer is not the token table.",
)

HUGGING_FACE = HuggingFace(
    model_type="llama",
    architecture="LlamaForCausalLM",
    keys=(*LLAMA_OUTER_KEYS, *LLAMA_ATTENTION_KEYS, *LLAMA_FEEDFORWARD_KEYS),
    ignored=("model.layers.*.self_attn.rotary_emb.inv_freq",),
    tied={"lm_head.weight": "model.embed_tokens.weight"},
    settings=(*LLAMA_SETTINGS, LLAMA_NORM, Setting("tie_word_embeddings", ("head",), codec="tied")),
    absent=LLAMA_ABSENT,
    required={"attention_bias": False, "mlp_bias": False, "rope_parameters.rope_type": "default"},
)
