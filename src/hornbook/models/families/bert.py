"""BERT (Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers").

An encoder of post-norm blocks over the sum of token, position and segment vectors, which is
normalised too. Its head predicts masked tokens after a map of its own; a pooler tells whether the
second text follows the first (class 0: it does). GELU is exact, as in transformers; Google's
present code has the tanh form.
"""

from hornbook.models.choices import (
    Attention,
    Embedding,
    FeedForward,
    FullReading,
    LayerNorm,
    LearnedPositions,
    MaskedHead,
    Pooler,
    PostNormBlock,
)
from hornbook.models.exchange import HuggingFace, Key, Setting, Size, layer_keys, with_bias
from hornbook.models.initialisation import Initialisation, TruncatedNormal
from hornbook.models.layouts import BERT_EMBEDDING_KEYS, BERT_LAYER_KEYS, BERT_SETTINGS
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "transformer"


def spec(
    *,
    vocab_size: int = 30522,
    max_length: int = 512,
    d_model: int = 768,
    n_layers: int = 12,
    n_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    segments: int = 2,
    dropout: float = 0.1,
) -> Spec:
    """BERT of these dimensions; 0 takes the family's rule (heads of 64, d_ff = 4 d_model)."""
    heads, kv_heads, head_width = resolve_heads(d_model, n_heads, 0, d_head)
    attention = Attention(heads, kv_heads, head_width, dropout=dropout)
    feedforward = FeedForward(d_ff or 4 * d_model, activation="gelu_erf")
    norm, drawn = LayerNorm(1e-12), TruncatedNormal(0.02)
    return Spec(
        family="bert",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(LearnedPositions(), dropout, segments, norm),
        stack=Stack(n_layers, (PostNormBlock(norm, attention, feedforward, dropout),)),
        head=MaskedHead("gelu_erf", norm),
        initialisation=Initialisation(drawn, drawn, drawn, drawn),
        reading=FullReading(),
        pooler=Pooler(),
    )


def _size(layers: int, width: int, vocab: int, count: int, paper: str, released: int) -> Size:
    numbers = {"n_layers": layers, "d_model": width, "vocab_size": vocab}
    source = "Devlin et al. 2019, section 3; released: without the heads that pre-training adds"
    return Size(numbers, count, paper, released, source)


SIZES = {
    "base": _size(12, 768, 30522, 110_106_428, "110M", 109_482_240),
    "large": _size(24, 1024, 30522, 336_226_108, "340M", 335_141_888),
    "base-cased": _size(12, 768, 28996, 108_932_934, "110M", 108_310_272),
    "large-cased": _size(24, 1024, 28996, 334_661_958, "340M", 333_579_264),
}

DIFFERENCES = (
    "Ancestor: the encoder of the Transformer (Vaswani et al. 2017).",
    "Positions are learned; a vector says which of two texts a token belongs to; all is normed.",
    "GELU instead of ReLU.",
    "It predicts masked tokens, through a map, a norm and a bias, and whether two texts follow.",
)

HUGGING_FACE = HuggingFace(
    model_type="bert",
    architecture="BertForPreTraining",
    keys=(
        *layer_keys("", "bert.embeddings.", *BERT_EMBEDDING_KEYS),
        *layer_keys("blocks.{layer}.", "bert.encoder.layer.{layer}.", *BERT_LAYER_KEYS),
        *with_bias("head.dense", "cls.predictions.transform.dense"),
        *with_bias("head.norm", "cls.predictions.transform.LayerNorm"),
        Key("head.bias", "cls.predictions.bias"),
        *with_bias("pooler.dense", "bert.pooler.dense"),
        *with_bias("pooler.classes", "cls.seq_relationship"),
    ),
    ignored=("bert.embeddings.position_ids",),
    renamed={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
    tied={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    settings=(
        *BERT_SETTINGS,
        Setting("max_position_embeddings", ("max_length",), "max_length"),
        Setting(
            "hidden_act",
            ("stack.blocks.*.feedforward.activation", "head.activation"),
            codec="activation",
        ),
    ),
    absent={"num_attention_heads": 12},
    required={
        "is_decoder": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
        "position_embedding_type": "absolute",
    },
    optional={"pooler": ("cls.seq_relationship.weight", "BertForMaskedLM")},
)
