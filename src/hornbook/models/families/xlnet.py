"""XLNet (Yang et al. 2019, "XLNet: Generalized Autoregressive Pretraining").

Two streams through the same post-norm blocks: contents, and queries that know a place but not what
stands there. Attention knows distances and whether two tokens share a segment, nothing absolute;
states of earlier segments are remembered. No norm of the embeddings; eps 1e-12; exact GELU as in
transformers (the released code has the tanh form). `max_length` bounds no table.
"""

from hornbook.models.choices import (
    Embedding,
    FeedForward,
    LayerNorm,
    PostNormBlock,
    RelativeAttention,
    TiedHead,
    TwoStreamReading,
)
from hornbook.models.exchange import HuggingFace, Key, Setting, Size, layer_keys, with_bias
from hornbook.models.initialisation import Initialisation, Normal
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "bert"


def spec(
    *,
    vocab_size: int = 32000,
    max_length: int = 512,
    d_model: int = 768,
    n_layers: int = 12,
    n_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    dropout: float = 0.1,
) -> Spec:
    """XLNet of these dimensions; 0 takes the family's rule (heads of 64, d_ff = 4 d_model)."""
    heads, _, head_width = resolve_heads(d_model, n_heads, 0, d_head)
    attention = RelativeAttention(heads, head_width, dropout)
    feedforward = FeedForward(d_ff or 4 * d_model, activation="gelu_erf", dropout=dropout)
    block = PostNormBlock(LayerNorm(1e-12), attention, feedforward, dropout)
    return Spec(
        family="xlnet",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(dropout=dropout),
        stack=Stack(n_layers, (block,), dropout=dropout),
        head=TiedHead(bias=True),
        initialisation=Initialisation(Normal(0.02), Normal(0.02), Normal(0.02), Normal(0.02)),
        reading=TwoStreamReading(),
    )


SOURCE = "Yang et al. 2019, appendix A.4.1 gives the shapes; it prints no counts"

SIZES = {
    "base": Size({"n_layers": 12, "d_model": 768}, 116_750_336, source=SOURCE),
    "large": Size({"n_layers": 24, "d_model": 1024}, 360_300_800, source=SOURCE),
}

DIFFERENCES = (
    "Ancestor: BERT (Devlin et al. 2019).",
    "Tokens are predicted one after another in a random order, not masked and all at once.",
    "A second stream of queries knows the place it predicts, but not the token there.",
    "Attention by distance instead of position vectors; segments are compared, not added.",
    "States of the segment before are remembered.",
)

ATTENTION, DROPOUTS = (
    "stack.blocks.*.attention",
    (
        "embedding.dropout",
        "stack.dropout",
        "stack.blocks.*.dropout",
        "stack.blocks.*.attention.dropout",
        "stack.blocks.*.feedforward.dropout",
    ),
)

HUGGING_FACE = HuggingFace(
    model_type="xlnet",
    architecture="XLNetLMHeadModel",
    keys=(
        Key("embedding.tokens.weight", "transformer.word_embedding.weight"),
        Key("query", "transformer.mask_emb", "one_row"),
        *layer_keys(
            "blocks.{layer}.attention.",
            "transformer.layer.{layer}.rel_attn.",
            Key("qkv.weight", ("q", "k", "v"), "to_heads"),
            Key("relative.weight", "r", "to_heads"),
            Key("out.weight", "o", "from_heads"),
            ("content_bias", "r_w_bias"),
            ("distance_bias", "r_r_bias"),
            ("segment_bias", "r_s_bias"),
            ("segment_table", "seg_embed"),
        ),
        *layer_keys(
            "blocks.{layer}.",
            "transformer.layer.{layer}.",
            *with_bias("attention_norm", "rel_attn.layer_norm"),
            *with_bias("feedforward.up", "ff.layer_1"),
            *with_bias("feedforward.down", "ff.layer_2"),
            *with_bias("feedforward_norm", "ff.layer_norm"),
        ),
        Key("head.bias", "lm_loss.bias"),
    ),
    tied={"lm_loss.weight": "transformer.word_embedding.weight"},
    settings=(
        Setting("vocab_size", ("vocab_size",), "vocab_size"),
        Setting("d_model", ("d_model",), "d_model"),
        Setting("n_layer", ("stack.n_layers",), "n_layers"),
        Setting("n_head", (f"{ATTENTION}.n_heads",), "n_heads"),
        Setting("d_inner", ("stack.blocks.*.feedforward.d_ff",), "d_ff"),
        Setting("ff_activation", ("stack.blocks.*.feedforward.activation",), codec="activation"),
        Setting("layer_norm_eps", ("stack.blocks.*.norm.eps",)),
        Setting("dropout", DROPOUTS),
        # The class has no such number: distances are unbounded.
        Setting("hornbook.max_length", ("max_length",), "max_length"),
    ),
    absent={"n_head": 16},
    required={
        "attn_type": "bi",
        "bi_data": False,
        "clamp_len": -1,
        "same_length": False,
        "untie_r": True,
        "tie_word_embeddings": True,
    },
)
