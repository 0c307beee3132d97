"""PaLM (Chowdhery et al. 2022, "PaLM: Scaling Language Modeling with Pathways").

Attention and feed-forward side by side after one norm, one key-value head for all query heads of
256, SwiGLU, rotary positions, no biases anywhere, the token table as output layer with logits
scaled by 1/sqrt(d_model). The paper does not say whether norms subtract the mean, their eps, or the
rotary base and pairs; here layer norms of 1e-5 without bias, base 10,000 and neighbours, which is
what Hugging Face's Cohere class computes.
"""

from hornbook.models.choices import (
    Attention,
    CausalReading,
    Embedding,
    GatedFeedForward,
    LayerNorm,
    ParallelBlock,
    Rotary,
    TiedHead,
)
from hornbook.models.exchange import HuggingFace, Key, Setting, Size, layer_keys
from hornbook.models.initialisation import FanIn, Initialisation, Normal
from hornbook.models.layouts import (
    LLAMA_FEEDFORWARD_KEYS,
    LLAMA_NORM,
    LLAMA_OUTER_KEYS,
    LLAMA_SETTINGS,
)
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "gpt3"


def spec(
    *,
    vocab_size: int = 256000,
    max_length: int = 2048,
    d_model: int = 4096,
    n_layers: int = 32,
    n_heads: int = 0,
    n_kv_heads: int = 1,
    d_head: int = 0,
    d_ff: int = 0,
    eps: float = 1e-5,
) -> Spec:
    """PaLM of these dimensions; 0 takes the family's rule (heads of 256, d_ff = 4 d_model)."""
    wide = 256 if d_model >= 4096 and not n_heads else d_head
    heads, kv_heads, head_width = resolve_heads(
        d_model, n_heads or max(1, d_model // (wide or 64)), n_kv_heads, d_head or wide
    )
    attention = Attention(
        heads, kv_heads, head_width, bias=False, out_bias=False, rotation=Rotary("pairs")
    )
    norm = LayerNorm(eps, bias=False)
    feedforward = GatedFeedForward(d_ff or 4 * d_model, activation="silu", bias=False)
    return Spec(
        family="palm",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(),
        stack=Stack(n_layers, (ParallelBlock(norm, attention, feedforward),), norm),
        head=TiedHead(scale=d_model**-0.5),
        initialisation=Initialisation(Normal(1.0), Normal(1.0), FanIn(), FanIn()),
        reading=CausalReading(),
    )


def _size(layers: int, width: int, heads: int, count: int, paper: str) -> Size:
    numbers = {"n_layers": layers, "d_model": width, "n_heads": heads, "d_head": 256}
    return Size(numbers, count, paper, source="Chowdhery et al. 2022, table 1")


SIZES = {
    "8b": _size(32, 4096, 16, 8_632_012_800, "8.63B"),
    "62b": _size(64, 8192, 32, 62_495_662_080, "62.50B"),
    "540b": _size(118, 18432, 48, 540_356_474_880, "540.35B"),
}

DIFFERENCES = (
    "Ancestor: GPT-3 (Brown et al. 2020).",
    "Attention and feed-forward both read one norm of the input and are added together.",
    "One key-value head serves all query heads, which are 256 wide.",
    "SwiGLU instead of GELU, rotary instead of learned positions, no biases, every layer dense.",
    "Token vectors are drawn with std 1, matrices by fan-in; logits are divided by sqrt(d_model).",
)

HUGGING_FACE = HuggingFace(
    model_type="cohere",
    architecture="CohereForCausalLM",
    keys=(
        *LLAMA_OUTER_KEYS[:2],
        *layer_keys(
            "blocks.{layer}.",
            "model.layers.{layer}.",
            Key("norm.weight", "input_layernorm.weight"),
            Key("attention.qkv.weight", tuple(f"self_attn.{name}_proj.weight" for name in "qkv")),
            Key("attention.out.weight", "self_attn.o_proj.weight"),
        ),
        *LLAMA_FEEDFORWARD_KEYS,
    ),
    tied={"lm_head.weight": "model.embed_tokens.weight"},
    settings=(
        *LLAMA_SETTINGS,
        Setting("layer_norm_eps", LLAMA_NORM.paths),
        Setting("logit_scale", ("head.scale",)),
    ),
    absent={
        "num_attention_heads": 64,
        "num_key_value_heads": "=num_attention_heads",
        "rope_parameters.rope_theta": 500_000.0,
        "logit_scale": 0.0625,
    },
    required={
        "attention_bias": False,
        "use_qk_norm": False,
        "tie_word_embeddings": True,
        "rope_parameters.rope_type": "default",
    },
)
