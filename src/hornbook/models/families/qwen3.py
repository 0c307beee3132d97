"""Qwen3, the dense models (Yang et al. 2025, "Qwen3 Technical Report").

Llama 2 with grouped key-value heads, heads of 128 whatever the width, and a norm on every head's
queries and keys before they turn. The small models tie the output layer to the token table.
"""

from dataclasses import replace

from hornbook.models.choices import RMSNorm, Rotary, TiedHead
from hornbook.models.exchange import HuggingFace, Key, Setting, Size, layer_keys
from hornbook.models.families import llama
from hornbook.models.layouts import (
    LLAMA_ABSENT,
    LLAMA_ATTENTION_KEYS,
    LLAMA_FEEDFORWARD_KEYS,
    LLAMA_NORM,
    LLAMA_OUTER_KEYS,
    LLAMA_SETTINGS,
)
from hornbook.models.paths import put
from hornbook.models.spec import Spec

ANCESTOR = "llama2"


def spec(
    *,
    vocab_size: int = 151936,
    max_length: int = 40960,
    d_model: int = 1024,
    n_layers: int = 28,
    n_heads: int = 16,
    n_kv_heads: int = 0,
    d_head: int = 128,
    d_ff: int = 0,
    tied: bool = True,
) -> Spec:
    """Qwen3 of these dimensions; 0 is half as many key-value heads, and d_ff = 3 d_model."""
    same = llama.spec(
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads or (n_heads // 2 if n_heads % 2 == 0 else 1),
        d_head=d_head,
        d_ff=d_ff or 3 * d_model,
        eps=1e-6,
    )
    turned = put(same, ["stack", "blocks", "*", "attention", "rotation"], Rotary("halves", 1e6))
    whole: Spec = put(turned, ["stack", "blocks", "*", "attention", "head_norm"], RMSNorm(1e-6))
    return replace(whole, family="qwen3", head=TiedHead() if tied else same.head)


def _size(
    layers: int, width: int, heads: int, d_ff: int, tied: bool, count: int, name: str
) -> Size:
    numbers = {"n_layers": layers, "d_model": width, "n_heads": heads, "n_kv_heads": 8}
    return Size(
        {**numbers, "d_ff": d_ff, "tied": tied}, count, name, source="Yang et al. 2025, table 1"
    )


SIZES = {
    "0.6b": _size(28, 1024, 16, 3072, True, 596_049_920, "0.6B"),
    "1.7b": _size(28, 2048, 16, 6144, True, 1_720_574_976, "1.7B"),
    "4b": _size(36, 2560, 32, 9728, True, 4_022_468_096, "4B"),
    "8b": _size(36, 4096, 32, 12288, False, 8_190_735_360, "8B"),
}

DIFFERENCES = (
    "Ancestor: Llama 2 (Touvron et al. 2023).",
    "Each head's queries and keys are normalised before they turn.",
    "Heads are 128 wide whatever the width; groups of query heads share keys and values.",
    "The rotary base is 1,000,000, the vocabulary 151,936; up to 4B the head is the token table.",
)

HUGGING_FACE = HuggingFace(
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    keys=(
        *LLAMA_OUTER_KEYS,
        *LLAMA_ATTENTION_KEYS,
        *LLAMA_FEEDFORWARD_KEYS,
        *layer_keys(
            "blocks.{layer}.attention.",
            "model.layers.{layer}.self_attn.",
            Key("query_norm.weight", "q_norm.weight"),
            Key("key_norm.weight", "k_norm.weight"),
        ),
    ),
    tied={"lm_head.weight": "model.embed_tokens.weight"},
    settings=(
        *LLAMA_SETTINGS,
        Setting(
            "rms_norm_eps",
            (*LLAMA_NORM.paths, "stack.blocks.*.attention.head_norm.eps"),
        ),
        Setting("tie_word_embeddings", ("head",), codec="tied"),
    ),
    absent={**LLAMA_ABSENT, "num_key_value_heads": 32, "tie_word_embeddings": False},
    required={
        "attention_bias": False,
        "use_sliding_window": False,
        "rope_parameters.rope_type": "default",
    },
)
