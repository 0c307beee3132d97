"""GPT-1 (Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training").

A decoder of post-norm blocks without a final norm: the last thing a block does is to normalise.
Learned positions, tanh GELU, biases everywhere, the token table as output layer.
"""

from hornbook.models.choices import (
    Attention,
    CausalReading,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    PostNormBlock,
    TiedHead,
)
from hornbook.models.exchange import HuggingFace, Key, Setting, Size
from hornbook.models.initialisation import Initialisation, Normal
from hornbook.models.layouts import GPT_BLOCK_KEYS, GPT_SETTINGS
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "transformer"


def spec(
    *,
    vocab_size: int = 40478,
    max_length: int = 512,
    d_model: int = 768,
    n_layers: int = 12,
    n_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    dropout: float = 0.1,
) -> Spec:
    """GPT-1 of these dimensions; 0 takes the family's rule (heads of 64, d_ff = 4 d_model)."""
    heads, kv_heads, head_width = resolve_heads(d_model, n_heads, 0, d_head)
    attention = Attention(heads, kv_heads, head_width, dropout=dropout)
    feedforward = FeedForward(d_ff or 4 * d_model, activation="gelu_tanh")
    return Spec(
        family="gpt1",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(LearnedPositions(), dropout),
        stack=Stack(n_layers, (PostNormBlock(LayerNorm(1e-5), attention, feedforward, dropout),)),
        head=TiedHead(),
        initialisation=Initialisation(Normal(0.02), Normal(0.02), Normal(0.02), Normal(0.02)),
        reading=CausalReading(),
    )


SIZES = {
    "117m": Size(
        {"n_layers": 12, "d_model": 768},
        116_534_784,
        "117M",
        source="Radford et al. 2018 gives the shape; the count is in Radford et al. 2019, table 2",
    ),
}

DIFFERENCES = (
    "Ancestor: the decoder of the Transformer (Vaswani et al. 2017).",
    "The encoder and cross-attention are gone: one stack reads and continues.",
    "Positions are learned vectors, not sinusoids; token vectors are not scaled.",
    "GELU instead of ReLU.",
)

HUGGING_FACE = HuggingFace(
    model_type="openai-gpt",
    architecture="OpenAIGPTLMHeadModel",
    prefix="transformer.",
    keys=(
        Key("embedding.tokens.weight", "tokens_embed.weight"),
        Key("embedding.positions.weight", "positions_embed.weight"),
        *GPT_BLOCK_KEYS,
    ),
    ignored=("h.*.attn.bias", "position_ids"),
    tied={"lm_head.weight": "tokens_embed.weight"},
    settings=(
        *GPT_SETTINGS,
        Setting("afn", ("stack.blocks.*.feedforward.activation",), codec="activation"),
        Setting("layer_norm_epsilon", ("stack.blocks.*.norm.eps",)),
    ),
    # In this class "gelu" is the tanh form.
    activations={"gelu": "gelu_tanh", "relu": "relu", "silu": "silu", "swish": "silu"},
    absent={"n_head": 12},
    required={"tie_word_embeddings": True},
    written={"initializer_range": 0.02},
)
