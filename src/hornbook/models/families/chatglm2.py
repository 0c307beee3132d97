"""ChatGLM2-6B and ChatGLM3-6B (THUDM 2023; the released code).

From GLM's line only the name and the first two tokens remain: a causal decoder with
root-mean-square norms, SwiGLU, two groups of key-value heads, biases of queries, keys and values
alone, and rotary positions on the first half of each head. ChatGLM3 is the same graph. In Hugging
Face folders its class is Glm.
"""

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
from hornbook.models.exchange import HuggingFace, Key, Setting, Size, layer_keys
from hornbook.models.initialisation import Initialisation, Normal
from hornbook.models.layouts import (
    LLAMA_ABSENT,
    LLAMA_ATTENTION_KEYS,
    LLAMA_NORM,
    LLAMA_OUTER_KEYS,
    LLAMA_SETTINGS,
)
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "chatglm"


def spec(
    *,
    vocab_size: int = 65024,
    max_length: int = 8192,
    d_model: int = 4096,
    n_layers: int = 28,
    n_heads: int = 0,
    n_kv_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    eps: float = 1e-5,
) -> Spec:
    """ChatGLM2 of these dimensions; 0 takes the family's rule (two key-value heads, if even)."""
    wide = 0 if n_heads or d_model < 4096 else d_model // 128
    heads, kv_heads, head_width = resolve_heads(d_model, n_heads or wide, n_kv_heads, d_head)
    kv_heads = n_kv_heads or (2 if heads % 2 == 0 else 1)
    rotation = Rotary("pairs", share=0.5)
    attention = Attention(heads, kv_heads, head_width, out_bias=False, rotation=rotation)
    feedforward = GatedFeedForward(d_ff or d_model * 107 // 32, activation="silu", bias=False)
    return Spec(
        family="chatglm2",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(),
        stack=Stack(n_layers, (PreNormBlock(RMSNorm(eps), attention, feedforward),), RMSNorm(eps)),
        head=UntiedHead(),
        initialisation=Initialisation(Normal(0.02), Normal(0.02), Normal(0.02), Normal(0.02)),
        reading=CausalReading(),
    )


SIZES = {
    "6b": Size(
        {"n_layers": 28, "d_model": 4096, "d_ff": 13696},
        6_243_584_000,
        "6.2B",
        source="the released checkpoints of ChatGLM2-6B and ChatGLM3-6B",
    ),
}

DIFFERENCES = (
    "Ancestor: ChatGLM-6B.",
    "Purely causal: no part that is seen by all, and positions have one number.",
    "Root-mean-square norms and ordinary residuals instead of layer norms and scaled ones.",
    "SwiGLU instead of GELU; biases only of queries, keys and values; an output layer of its own.",
    "Two key-value heads serve all query heads; only half of each head turns, by neighbours.",
)

HUGGING_FACE = HuggingFace(
    model_type="glm",
    architecture="GlmForCausalLM",
    keys=(
        *LLAMA_OUTER_KEYS,
        *LLAMA_ATTENTION_KEYS,
        *layer_keys(
            "blocks.{layer}.",
            "model.layers.{layer}.",
            Key("attention.qkv.bias", tuple(f"self_attn.{name}_proj.bias" for name in "qkv")),
            Key("feedforward.up.weight", "mlp.gate_up_proj.weight"),
            Key("feedforward.down.weight", "mlp.down_proj.weight"),
        ),
    ),
    tied={"lm_head.weight": "model.embed_tokens.weight"},
    settings=(
        *LLAMA_SETTINGS,
        LLAMA_NORM,
        Setting("attention_bias", ("stack.blocks.*.attention.bias",)),
        Setting(
            "rope_parameters.partial_rotary_factor",
            ("stack.blocks.*.attention.rotation.share",),
        ),
        Setting("tie_word_embeddings", ("head",), codec="tied"),
    ),
    absent={**LLAMA_ABSENT, "num_key_value_heads": 2, "rms_norm_eps": 1.5625e-07},
    required={"rope_parameters.rope_type": "default"},
    written={"pad_token_id": None},
)
