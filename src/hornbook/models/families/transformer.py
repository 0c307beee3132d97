"""The Transformer (Vaswani et al. 2017, "Attention Is All You Need").

An encoder reads a source, a decoder continues a target; post-norm blocks, ReLU, sines and cosines
of positions, one token table for source, target and output, scaled by sqrt(d_model) at the input.
Biases are everywhere and eps is 1e-5, as in torch and Marian; the authors' code has no biases in
attention (`attention_bias = False`) and eps 1e-6. Neither stack ends with a norm of its own.
"""

from hornbook.models.choices import (
    Attention,
    CrossAttention,
    Embedding,
    FeedForward,
    LayerNorm,
    PostNormBlock,
    SinusoidalPositions,
    SourceReading,
    TiedHead,
)
from hornbook.models.exchange import HuggingFace, Size
from hornbook.models.initialisation import Initialisation, Normal, Xavier
from hornbook.models.layouts import BART_SETTINGS, bart_keys
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = ""


def spec(
    *,
    vocab_size: int = 37000,
    max_length: int = 512,
    d_model: int = 512,
    n_layers: int = 6,
    n_encoder_layers: int = 0,
    n_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    eps: float = 1e-5,
    attention_bias: bool = True,
    start_id: int = 0,
    dropout: float = 0.1,
) -> Spec:
    """A Transformer of these dimensions; n_layers in each stack unless n_encoder_layers is set."""
    heads, kv_heads, head_width = resolve_heads(d_model, n_heads, 0, d_head)
    numbers = (heads, kv_heads, head_width, attention_bias, attention_bias, dropout)
    read = Attention(*numbers)
    feedforward = FeedForward(d_ff or 4 * d_model, activation="relu")
    norm, cross = LayerNorm(eps), CrossAttention(*numbers)
    return Spec(
        family="transformer",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(SinusoidalPositions(), dropout, scale=d_model**0.5),
        stack=Stack(n_layers, (PostNormBlock(norm, read, feedforward, dropout, cross),)),
        head=TiedHead(),
        initialisation=Initialisation(
            Normal(d_model**-0.5), Normal(d_model**-0.5), Xavier(), Xavier()
        ),
        reading=SourceReading(start_id),
        encoder=Stack(
            n_encoder_layers or n_layers, (PostNormBlock(norm, read, feedforward, dropout),)
        ),
    )


PAPER = "Vaswani et al. 2017, table 3; counted with all biases"

SIZES = {
    "base": Size({"n_layers": 6, "d_model": 512}, 63_082_496, "65M", source=PAPER),
    "big": Size(
        {"n_layers": 6, "d_model": 1024, "dropout": 0.3}, 214_245_376, "213M", source=PAPER
    ),
}

DIFFERENCES = ("No ancestor in this house: it replaced recurrent Seq2seq with attention.",)

HUGGING_FACE = HuggingFace(
    model_type="marian",
    architecture="MarianMTModel",
    keys=bart_keys("self_attn_layer_norm"),
    sinusoids=("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"),
    tied={
        "lm_head.weight": "model.shared.weight",
        "model.encoder.embed_tokens.weight": "model.shared.weight",
        "model.decoder.embed_tokens.weight": "model.shared.weight",
    },
    zeros=("final_logits_bias",),
    settings=BART_SETTINGS,
    fixed={
        "embedding.positions.layout": "halves",
        "stack.blocks.*.norm.eps": 1e-5,
        "encoder.blocks.*.norm.eps": 1e-5,
    },
    absent={
        "encoder_attention_heads": 16,
        "decoder_attention_heads": 16,
        "activation_function": "gelu",
    },
    written={"pad_token_id": 0},
    required={
        "encoder_attention_heads": "=decoder_attention_heads",
        "scale_embedding": True,
        "share_encoder_decoder_embeddings": True,
        "tie_word_embeddings": True,
        "normalize_embedding": False,
        "normalize_before": False,
        "static_position_embeddings": True,
    },
)
