"""BART (Lewis et al. 2020, "BART: Denoising Sequence-to-Sequence Pre-training").

An encoder and a decoder of post-norm blocks with GELU, learned positions on both sides after two
spare rows, a norm of the embeddings, one token table for everything. The decoder starts with the
end-of-text token, id 2.
"""

from hornbook.models.choices import (
    Attention,
    CrossAttention,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    PostNormBlock,
    SourceReading,
    TiedHead,
)
from hornbook.models.exchange import HuggingFace, Key, Size, with_bias
from hornbook.models.initialisation import Initialisation, Normal
from hornbook.models.layouts import BART_SETTINGS, bart_keys
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "transformer"


def spec(
    *,
    vocab_size: int = 50265,
    max_length: int = 1024,
    d_model: int = 768,
    n_layers: int = 6,
    n_encoder_layers: int = 0,
    n_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    start_id: int = 2,
    dropout: float = 0.1,
) -> Spec:
    """BART of these dimensions; n_layers in each stack unless n_encoder_layers is set."""
    heads, kv_heads, head_width = resolve_heads(d_model, n_heads, 0, d_head)
    read = Attention(heads, kv_heads, head_width)
    feedforward = FeedForward(d_ff or 4 * d_model, activation="gelu_erf")
    norm, cross = LayerNorm(1e-5), CrossAttention(heads, kv_heads, head_width)
    drawn = Normal(0.02)
    return Spec(
        family="bart",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(LearnedPositions(offset=2), dropout, norm=norm),
        stack=Stack(n_layers, (PostNormBlock(norm, read, feedforward, dropout, cross),)),
        head=TiedHead(),
        initialisation=Initialisation(drawn, drawn, drawn, drawn),
        reading=SourceReading(start_id),
        encoder=Stack(
            n_encoder_layers or n_layers, (PostNormBlock(norm, read, feedforward, dropout),)
        ),
    )


PAPER = "Lewis et al. 2020, sections 2.1 and 5; the released README"

SIZES = {
    "base": Size({"n_layers": 6, "d_model": 768}, 139_420_416, "140M", source=PAPER),
    "large": Size({"n_layers": 12, "d_model": 1024}, 406_291_456, "400M", source=PAPER),
}

DIFFERENCES = (
    "Ancestor: the Transformer (Vaswani et al. 2017).",
    "GELU instead of ReLU; positions are learned; the embeddings are normed instead of scaled.",
    "It is trained to restore a corrupted text.",
)


HUGGING_FACE = HuggingFace(
    model_type="bart",
    architecture="BartForConditionalGeneration",
    keys=(
        *bart_keys("self_attn_layer_norm"),
        Key("embedding.positions.weight", "model.decoder.embed_positions.weight"),
        Key("source_embedding.positions.weight", "model.encoder.embed_positions.weight"),
        *with_bias("embedding.norm", "model.decoder.layernorm_embedding"),
        *with_bias("source_embedding.norm", "model.encoder.layernorm_embedding"),
    ),
    tied={
        "lm_head.weight": "model.shared.weight",
        "model.encoder.embed_tokens.weight": "model.shared.weight",
        "model.decoder.embed_tokens.weight": "model.shared.weight",
    },
    zeros=("final_logits_bias",),
    settings=BART_SETTINGS,
    absent={"encoder_attention_heads": 16, "decoder_attention_heads": 16},
    required={
        "encoder_attention_heads": "=decoder_attention_heads",
        "scale_embedding": False,
        "tie_word_embeddings": True,
        "normalize_embedding": True,
        "normalize_before": False,
        "add_final_layer_norm": False,
    },
)
