"""Mixtral (Jiang et al. 2024, "Mixtral of Experts").

Llama 2 with grouped key-value heads, whose feed-forward is eight experts of which a router chooses
two for each token. Freshly built, the loss that keeps experts busy has a weight of 0.001.
"""

from dataclasses import replace

from hornbook.models.choices import Experts, Rotary
from hornbook.models.exchange import HuggingFace, Key, Setting, Size, layer_keys
from hornbook.models.families import llama
from hornbook.models.layouts import (
    LLAMA_ABSENT,
    LLAMA_ATTENTION_KEYS,
    LLAMA_NORM,
    LLAMA_OUTER_KEYS,
    LLAMA_SETTINGS,
)
from hornbook.models.paths import put
from hornbook.models.spec import Spec

ANCESTOR = "llama2"


def spec(
    *,
    vocab_size: int = 32000,
    max_length: int = 32768,
    d_model: int = 4096,
    n_layers: int = 32,
    n_heads: int = 0,
    n_kv_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 14336,
    n_experts: int = 8,
    n_active: int = 2,
) -> Spec:
    """Mixtral of these dimensions; n_kv_heads 0 is a quarter of the heads, at least one."""
    wide = n_heads or max(1, d_model // (128 if d_model >= 4096 else 64))
    same = llama.spec(
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=wide,
        n_kv_heads=n_kv_heads or (wide // 4 if wide % 4 == 0 else 1),
        d_head=d_head,
        eps=1e-5,
    )
    experts = Experts(n_experts, n_active, d_ff, balance=0.001)
    turned = put(same, ["stack", "blocks", "*", "attention", "rotation"], Rotary("halves", 1e6))
    whole: Spec = put(turned, ["stack", "blocks", "*", "feedforward"], experts)
    return replace(whole, family="mixtral")


SIZES = {
    "8x7b": Size(
        {"n_layers": 32, "d_model": 4096, "n_kv_heads": 8},
        46_702_792_704,
        "47B",
        source="Jiang et al. 2024, table 1 and section 2.1",
    ),
}

DIFFERENCES = (
    "Ancestor: Llama 2 (Touvron et al. 2023).",
    "The feed-forward is eight experts; a router sends each token to two of them.",
    "Groups of 4 query heads share one key-value head at every size.",
    "The context grows to 32,768, and the rotary base to 1,000,000.",
)

EXPERTS = "stack.blocks.*.feedforward."

HUGGING_FACE = HuggingFace(
    model_type="mixtral",
    architecture="MixtralForCausalLM",
    keys=(
        *LLAMA_OUTER_KEYS,
        *LLAMA_ATTENTION_KEYS,
        *layer_keys(
            "blocks.{layer}.feedforward.",
            "model.layers.{layer}.block_sparse_moe.",
            Key("router.weight", "gate.weight"),
            Key("up", ("experts.{expert}.w1.weight", "experts.{expert}.w3.weight")),
            Key("down", ("experts.{expert}.w2.weight",)),
        ),
    ),
    tied={"lm_head.weight": "model.embed_tokens.weight"},
    settings=(
        *LLAMA_SETTINGS,
        LLAMA_NORM,
        Setting("tie_word_embeddings", ("head",), codec="tied"),
        Setting("num_local_experts", (f"{EXPERTS}n_experts",), "n_experts"),
        Setting("num_experts_per_tok", (f"{EXPERTS}n_active",), "n_active"),
        Setting("router_aux_loss_coef", (f"{EXPERTS}balance",)),
    ),
    absent={**LLAMA_ABSENT, "num_key_value_heads": 8, "rms_norm_eps": 1e-5}
    | {"rope_parameters.rope_theta": 1e6},
    required={
        "router_jitter_noise": 0.0,
        "sliding_window": None,
        "rope_parameters.rope_type": "default",
    },
)
