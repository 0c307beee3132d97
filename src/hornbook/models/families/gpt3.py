"""GPT-3 (Brown et al. 2020, "Language Models are Few-Shot Learners").

GPT-2 with layers that in turn see everything before them and a band of it, "alternating dense and
locally banded sparse attention patterns" (section 2.1). The band's width and which layers come
first were never published; here dense layers come first and a band holds 256 tokens, as in
GPT-Neo. In Hugging Face folders the class of this stack is GPT-Neo's, whose scores are not scaled
and whose queries, keys and values have no bias.
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
from hornbook.models.exchange import HuggingFace, Key, Setting, Size, layer_keys, with_bias
from hornbook.models.initialisation import DepthScaledNormal, Initialisation, Normal
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "gpt2"


def spec(
    *,
    vocab_size: int = 50257,
    max_length: int = 2048,
    d_model: int = 768,
    n_layers: int = 12,
    n_heads: int = 0,
    d_head: int = 0,
    d_ff: int = 0,
    band: int = 256,
    banded: tuple[bool, ...] = (False, True),
    dropout: float = 0.1,
) -> Spec:
    """GPT-3 of these dimensions; `banded`, repeated, says which layers see a band of `band`."""
    heads, kv_heads, head_width = resolve_heads(d_model, n_heads, 0, d_head)
    feedforward = FeedForward(d_ff or 4 * d_model, activation="gelu_tanh")
    attentions = (
        Attention(heads, kv_heads, head_width, dropout=dropout, band=band if local else 0)
        for local in banded
    )
    return Spec(
        family="gpt3",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(LearnedPositions(), dropout),
        stack=Stack(
            n_layers,
            tuple(PreNormBlock(LayerNorm(1e-5), a, feedforward, dropout) for a in attentions),
            final_norm=LayerNorm(1e-5),
        ),
        head=TiedHead(),
        initialisation=Initialisation(
            Normal(0.02), Normal(0.02), Normal(0.02), residual=DepthScaledNormal(0.02)
        ),
        reading=CausalReading(),
    )


def _size(layers: int, width: int, heads: int, d_head: int, count: int, paper: str) -> Size:
    numbers = {"n_layers": layers, "d_model": width, "n_heads": heads, "d_head": d_head}
    return Size(numbers, count, paper, source="Brown et al. 2020, table 2.1")


SIZES = {
    "125m": _size(12, 768, 12, 64, 125_226_240, "125M"),
    "350m": _size(24, 1024, 16, 64, 355_871_744, "350M"),
    "760m": _size(24, 1536, 16, 96, 760_300_032, "760M"),
    # The table prints 24 heads of 128 at a width of 2048; 1.3B is met with an inner width of 2048.
    "1.3b": _size(24, 2048, 16, 128, 1_315_723_264, "1.3B"),
    "2.7b": _size(32, 2560, 32, 80, 2_651_553_280, "2.7B"),
    "6.7b": _size(32, 4096, 32, 128, 6_658_404_352, "6.7B"),
    # The table prints a width of 5140, which 40 heads of 128 do not make.
    "13b": _size(40, 5120, 40, 128, 12_853_386_240, "13.0B"),
    "175b": _size(96, 12288, 96, 128, 174_604_259_328, "175.0B"),
}

DIFFERENCES = (
    "Ancestor: GPT-2 (Radford et al. 2019).",
    "Every other layer sees only a band of the tokens before.",
    "The context grows from 1024 to 2048.",
    "Head widths of 64 to 128, chosen size by size.",
)

ATTENTION = "stack.blocks.*.attention"

HUGGING_FACE = HuggingFace(
    model_type="gpt_neo",
    architecture="GPTNeoForCausalLM",
    prefix="transformer.",
    keys=(
        Key("embedding.tokens.weight", "wte.weight"),
        Key("embedding.positions.weight", "wpe.weight"),
        *layer_keys(
            "blocks.{layer}.",
            "h.{layer}.",
            *with_bias("attention_norm", "ln_1"),
            Key(
                "attention.qkv.weight",
                tuple(f"attn.attention.{name}_proj.weight" for name in "qkv"),
            ),
            *with_bias("attention.out", "attn.attention.out_proj"),
            *with_bias("feedforward_norm", "ln_2"),
            *with_bias("feedforward.up", "mlp.c_fc"),
            *with_bias("feedforward.down", "mlp.c_proj"),
        ),
        *with_bias("final_norm", "ln_f"),
    ),
    ignored=("h.*.attn.attention.bias", "h.*.attn.attention.masked_bias"),
    tied={"lm_head.weight": "wte.weight"},
    settings=(
        Setting("vocab_size", ("vocab_size",), "vocab_size"),
        Setting("max_position_embeddings", ("max_length",), "max_length"),
        Setting("hidden_size", ("d_model",), "d_model"),
        Setting("num_layers", ("stack.n_layers",), "n_layers"),
        Setting("num_heads", (f"{ATTENTION}.n_heads", f"{ATTENTION}.n_kv_heads"), "n_heads"),
        Setting("intermediate_size", ("stack.blocks.*.feedforward.d_ff",), "d_ff"),
        Setting("window_size", (), "band", codec="widest_band"),
        Setting("attention_types", (), "banded", codec="bands"),
        Setting("attention_layers", (), "banded", codec="layers"),
        Setting(
            "activation_function", ("stack.blocks.*.feedforward.activation",), codec="activation"
        ),
        Setting("layer_norm_epsilon", ("stack.blocks.*.norm.eps", "stack.final_norm.eps")),
        Setting("embed_dropout", ("embedding.dropout",)),
        Setting("attention_dropout", (f"{ATTENTION}.dropout",)),
        Setting("resid_dropout", ("stack.blocks.*.dropout",)),
    ),
    fixed={f"{ATTENTION}.scale": 1.0, f"{ATTENTION}.bias": False},
    absent={"num_heads": 16},
    required={"tie_word_embeddings": True},
)
