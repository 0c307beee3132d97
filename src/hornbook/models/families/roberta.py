"""RoBERTa (Liu et al. 2019, "RoBERTa: A Robustly Optimized BERT Pretraining Approach").

BERT without segments and without the task of next sentences, eps 1e-5. Positions are read off the
ids: they count the tokens that are not padding (id 1), and padding has a row of its own.
"""

from dataclasses import replace

from hornbook.models.choices import LayerNorm, LearnedPositions, MaskedHead, UnpaddedReading
from hornbook.models.exchange import HuggingFace, Key, Setting, Size, layer_keys, with_bias
from hornbook.models.families import bert
from hornbook.models.layouts import BERT_EMBEDDING_KEYS, BERT_LAYER_KEYS, BERT_SETTINGS
from hornbook.models.paths import put
from hornbook.models.spec import Spec

ANCESTOR = "bert"


def spec(
    *,
    vocab_size: int = 50265,
    max_length: int = 512,
    d_model: int = 768,
    n_layers: int = 12,
    n_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    segments: int = 1,
    dropout: float = 0.1,
    pad_id: int = 1,
) -> Spec:
    """RoBERTa of these dimensions; 0 takes the family's rule (heads of 64, d_ff = 4 d_model)."""
    same = bert.spec(
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        d_head=d_head,
        d_ff=d_ff,
        segments=segments,
        dropout=dropout,
    )
    norm = LayerNorm(1e-5)
    normed: Spec = put(same, ["stack", "blocks", "*", "norm"], norm)
    embedding = replace(same.embedding, positions=LearnedPositions(pad_id + 1), norm=norm)
    return replace(
        normed,
        family="roberta",
        embedding=embedding,
        head=MaskedHead("gelu_erf", norm),
        reading=UnpaddedReading(pad_id),
        pooler=None,
    )


PAPER = "Liu et al. 2019, table 9 and the released README"

SIZES = {
    "base": Size({"n_layers": 12, "d_model": 768}, 124_697_433, "125M", source=PAPER),
    "large": Size({"n_layers": 24, "d_model": 1024}, 355_412_057, "355M", source=PAPER),
}

DIFFERENCES = (
    "Ancestor: BERT (Devlin et al. 2019).",
    "No next-sentence task, hence no pooler; one segment; masks are drawn anew each time.",
    "Positions count tokens that are not padding and begin after the padding's row.",
    "eps is 1e-5, the vocabulary 50,265 byte-level pieces.",
)

HUGGING_FACE = HuggingFace(
    model_type="roberta",
    architecture="RobertaForMaskedLM",
    keys=(
        *layer_keys("", "roberta.embeddings.", *BERT_EMBEDDING_KEYS),
        *layer_keys("blocks.{layer}.", "roberta.encoder.layer.{layer}.", *BERT_LAYER_KEYS),
        *with_bias("head.dense", "lm_head.dense"),
        *with_bias("head.norm", "lm_head.layer_norm"),
        Key("head.bias", "lm_head.bias"),
    ),
    ignored=("roberta.embeddings.position_ids", "roberta.pooler.*"),
    renamed=bert.HUGGING_FACE.renamed,
    tied={
        "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    },
    settings=(
        *BERT_SETTINGS,
        Setting("max_position_embeddings", ("max_length",), "max_length", codec="two_more"),
        Setting("hidden_act", ("stack.blocks.*.feedforward.activation",), codec="activation"),
    ),
    absent={
        "num_attention_heads": 12,
        "layer_norm_eps": 1e-12,
        "type_vocab_size": 2,
        "max_position_embeddings": 512,
    },
    required={
        "pad_token_id": 1,
        "is_decoder": False,
        "add_cross_attention": False,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
    },
)
