"""GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners").

A decoder of pre-norm blocks with a final norm, learned positions, tanh GELU, biases everywhere
and the token table as output layer. Initialisation as in section 2.3: residual outputs are
divided by the square root of the number of residual sublayers, 2L. Positions are drawn with 0.02,
as transformers does (the released graph drew them with 0.01).
"""

from hornbook.models.choices import (
    Attention,
    CausalReading,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    PreNormBlock,
    TiedHead,
)
from hornbook.models.exchange import HuggingFace, Key, Setting, Size, with_bias
from hornbook.models.initialisation import DepthScaledNormal, Initialisation, Normal
from hornbook.models.layouts import GPT_BLOCK_KEYS, GPT_SETTINGS
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "gpt1"


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
    attention = Attention(heads, kv_heads, head_width, dropout=dropout)
    feedforward = FeedForward(d_ff or 4 * d_model, activation="gelu_tanh")
    return Spec(
        family="gpt2",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(LearnedPositions(), dropout),
        stack=Stack(
            n_layers,
            (PreNormBlock(LayerNorm(1e-5), attention, feedforward, dropout),),
            final_norm=LayerNorm(1e-5),
        ),
        head=TiedHead(),
        initialisation=Initialisation(
            Normal(0.02), Normal(0.02), Normal(0.02), residual=DepthScaledNormal(0.02)
        ),
        reading=CausalReading(),
    )


PAPER = "Radford et al. 2019, table 2, corrected in the released code's README"

SIZES = {
    "124m": Size({"n_layers": 12, "d_model": 768}, 124_439_808, "117M", source=PAPER),
    "355m": Size({"n_layers": 24, "d_model": 1024}, 354_823_168, "345M", source=PAPER),
    "774m": Size({"n_layers": 36, "d_model": 1280}, 774_030_080, "762M", source=PAPER),
    "1558m": Size({"n_layers": 48, "d_model": 1600}, 1_557_611_200, "1542M", source=PAPER),
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
        *GPT_BLOCK_KEYS,
        *with_bias("final_norm", "ln_f"),
    ),
    ignored=("h.*.attn.bias", "h.*.attn.masked_bias"),
    tied={"lm_head.weight": "wte.weight"},
    settings=(
        *GPT_SETTINGS,
        Setting("n_inner", ("stack.blocks.*.feedforward.d_ff",), "d_ff"),
        Setting(
            "activation_function", ("stack.blocks.*.feedforward.activation",), codec="activation"
        ),
        Setting("layer_norm_epsilon", ("stack.blocks.*.norm.eps", "stack.final_norm.eps")),
    ),
    absent={"n_head": 12},
    required={
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "reorder_and_upcast_attn": False,
        "tie_word_embeddings": True,
        "add_cross_attention": False,
    },
    written={"initializer_range": 0.02},
)
