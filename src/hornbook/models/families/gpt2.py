"""GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners").

A decoder of pre-norm blocks with a final norm, learned positions, tanh GELU, biases everywhere
and the token table as output layer. Initialisation as in section 2.3: residual outputs are
divided by the square root of the number of residual sublayers, 2L. Positions are drawn with 0.02,
as transformers does (the released graph drew them with 0.01).
"""

from hornbook.models.exchange import HuggingFace, Key, Size
from hornbook.models.spec import (
    Attention,
    DepthScaledNormal,
    Embedding,
    FeedForward,
    Initialisation,
    LayerNorm,
    LearnedPositions,
    Normal,
    PreNormBlock,
    Spec,
    TiedHead,
    resolve_heads,
)


def spec(
    *,
    vocab_size: int = 50257,
    max_length: int = 1024,
    d_model: int = 768,
    n_layers: int = 12,
    n_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    dropout: float = 0.1,
) -> Spec:
    """GPT-2 of these dimensions; 0 takes the family's rule (heads of 64, d_ff = 4 d_model)."""
    heads, kv_heads, head_width = resolve_heads(d_model, n_heads, 0, d_head)
    attention = Attention(heads, kv_heads, head_width, bias=True, dropout=dropout)
    feedforward = FeedForward(d_ff or 4 * d_model, activation="gelu_tanh", bias=True)
    return Spec(
        family="gpt2",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        n_layers=n_layers,
        embedding=Embedding(LearnedPositions(), dropout),
        block=PreNormBlock(LayerNorm(1e-5), attention, feedforward, dropout),
        final_norm=LayerNorm(1e-5),
        head=TiedHead(),
        initialisation=Initialisation(
            Normal(0.02), Normal(0.02), Normal(0.02), residual=DepthScaledNormal(0.02)
        ),
    )


SIZES = {
    "124m": Size({"n_layers": 12, "d_model": 768, "n_heads": 12}, 124_439_808),
    "355m": Size({"n_layers": 24, "d_model": 1024, "n_heads": 16}, 354_823_168),
    "774m": Size({"n_layers": 36, "d_model": 1280, "n_heads": 20}, 774_030_080),
    "1558m": Size({"n_layers": 48, "d_model": 1600, "n_heads": 25}, 1_557_611_200),
}

DIFFERENCES = (
    "Ancestor: GPT-1 (Radford et al. 2018).",
    "Norms stand before each sublayer instead of after the residual sum.",
    "A final norm follows the last block.",
    "Residual outputs are drawn smaller, by the square root of 2L.",
    "The context grows from 512 to 1024, the vocabulary from 40,478 to 50,257 byte-level pieces.",
)

HUGGING_FACE = HuggingFace(
    model_type="gpt2",
    architecture="GPT2LMHeadModel",
    prefix="transformer.",
    keys=(
        Key("embedding.tokens.weight", "wte.weight"),
        Key("embedding.positions.weight", "wpe.weight"),
        Key("blocks.{layer}.attention_norm.weight", "h.{layer}.ln_1.weight"),
        Key("blocks.{layer}.attention_norm.bias", "h.{layer}.ln_1.bias"),
        Key("blocks.{layer}.attention.qkv.weight", "h.{layer}.attn.c_attn.weight", True),
        Key("blocks.{layer}.attention.qkv.bias", "h.{layer}.attn.c_attn.bias"),
        Key("blocks.{layer}.attention.out.weight", "h.{layer}.attn.c_proj.weight", True),
        Key("blocks.{layer}.attention.out.bias", "h.{layer}.attn.c_proj.bias"),
        Key("blocks.{layer}.feedforward_norm.weight", "h.{layer}.ln_2.weight"),
        Key("blocks.{layer}.feedforward_norm.bias", "h.{layer}.ln_2.bias"),
        Key("blocks.{layer}.feedforward.up.weight", "h.{layer}.mlp.c_fc.weight", True),
        Key("blocks.{layer}.feedforward.up.bias", "h.{layer}.mlp.c_fc.bias"),
        Key("blocks.{layer}.feedforward.down.weight", "h.{layer}.mlp.c_proj.weight", True),
        Key("blocks.{layer}.feedforward.down.bias", "h.{layer}.mlp.c_proj.bias"),
        Key("final_norm.weight", "ln_f.weight"),
        Key("final_norm.bias", "ln_f.bias"),
    ),
    ignored=("h.*.attn.bias", "h.*.attn.masked_bias"),
    tied={"lm_head.weight": "wte.weight"},
    vocabulary=("embedding.tokens.weight",),
    dimensions={
        "vocab_size": "vocab_size",
        "n_positions": "max_length",
        "n_embd": "d_model",
        "n_layer": "n_layers",
        "n_head": "n_heads",
        "n_inner": "d_ff",
    },
    config={
        "vocab_size": ("vocab_size",),
        "n_positions": ("max_length",),
        "n_embd": ("d_model",),
        "n_layer": ("n_layers",),
        "n_head": ("block.attention.n_heads", "block.attention.n_kv_heads"),
        "n_inner": ("block.feedforward.d_ff",),
        "activation_function": ("block.feedforward.activation",),
        "layer_norm_epsilon": ("block.norm.eps", "final_norm.eps"),
        "embd_pdrop": ("embedding.dropout",),
        "attn_pdrop": ("block.attention.dropout",),
        "resid_pdrop": ("block.dropout",),
    },
    activated=("activation_function",),
    activations={
        "gelu_new": "gelu_tanh",
        "gelu_pytorch_tanh": "gelu_tanh",
        "gelu": "gelu_erf",
        "relu": "relu",
        "silu": "silu",
        "swish": "silu",
    },
    required={
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "reorder_and_upcast_attn": False,
        "tie_word_embeddings": True,
        "add_cross_attention": False,
    },
    written={"initializer_range": 0.02},
)
