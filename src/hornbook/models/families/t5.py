"""T5 1.0 (Raffel et al. 2020, "Exploring the Limits of Transfer Learning").

An encoder and a decoder of pre-norm blocks with root-mean-square norms and no biases; positions are
a learned number a head and bucket of distance, one table a stack, shared by its layers. Scores are
not scaled, the inner width of attention is free of the model's, the output layer is the token table
with hidden states divided by sqrt(d_model). The decoder starts with the padding token, id 0.
"""

from hornbook.models.choices import (
    Attention,
    BucketBias,
    CrossAttention,
    Embedding,
    FeedForward,
    GatedFeedForward,
    PreNormBlock,
    RMSNorm,
    SourceReading,
    TiedHead,
    UntiedHead,
)
from hornbook.models.exchange import Size
from hornbook.models.initialisation import FanIn, Initialisation, Normal
from hornbook.models.layouts import t5_layout
from hornbook.models.spec import Spec, Stack, resolve_heads

ANCESTOR = "transformer"


def spec(
    *,
    vocab_size: int = 32128,
    max_length: int = 512,
    d_model: int = 512,
    n_layers: int = 6,
    n_encoder_layers: int = 0,
    n_heads: int = 0,
    d_head: int = 64,
    d_ff: int = 0,
    start_id: int = 0,
    dropout: float = 0.1,
) -> Spec:
    """T5 of these dimensions; n_layers in each stack unless n_encoder_layers is set."""
    feedforward = FeedForward(d_ff or 4 * d_model, "relu", bias=False, dropout=dropout)
    return assemble(
        "t5", (vocab_size, max_length, d_model), (n_layers, n_encoder_layers or n_layers),
        (n_heads, d_head), feedforward, TiedHead(scale=d_model**-0.5), start_id, dropout,
    )  # fmt: skip


def assemble(
    family: str,
    widths: tuple[int, int, int],
    layers: tuple[int, int],
    heads: tuple[int, int],
    feedforward: FeedForward | GatedFeedForward,
    head: TiedHead | UntiedHead,
    start_id: int,
    dropout: float,
) -> Spec:
    """What both versions of T5 share; `layers` are the decoder's and the encoder's."""
    vocab_size, max_length, d_model = widths
    n_heads, kv_heads, d_head = resolve_heads(d_model, heads[0], 0, heads[1])
    numbers = (n_heads, kv_heads, d_head, False, False, dropout, 1.0)
    norm, read, cross = RMSNorm(1e-6), Attention(*numbers), CrossAttention(*numbers)
    return Spec(
        family=family,
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(dropout=dropout),
        stack=Stack(
            layers[0], (PreNormBlock(norm, read, feedforward, dropout, cross),), norm,
            BucketBias(), dropout=dropout,
        ),
        head=head,
        initialisation=Initialisation(
            Normal(1.0), Normal(d_model**-0.5), FanIn(), FanIn(), query=FanIn(d_head**-0.5)
        ),
        reading=SourceReading(start_id),
        encoder=Stack(
            layers[1], (PreNormBlock(norm, read, feedforward, dropout),), norm,
            BucketBias(bidirectional=True), dropout=dropout,
        ),
    )  # fmt: skip


def _size(
    layers: int, width: int, heads: tuple[int, int], d_ff: int, count: int, paper: str
) -> Size:
    numbers = {"n_layers": layers, "d_model": width, "n_heads": heads[0], "d_head": heads[1]}
    return Size({**numbers, "d_ff": d_ff}, count, paper, source="Raffel et al. 2020, section 3.7")


SIZES = {
    "small": _size(6, 512, (8, 64), 2048, 60_506_624, "60M"),
    "base": _size(12, 768, (12, 64), 3072, 222_903_552, "220M"),
    "large": _size(24, 1024, (16, 64), 4096, 737_668_096, "770M"),
    "3b": _size(24, 1024, (32, 128), 16384, 2_851_598_336, "3B"),
    "11b": _size(24, 1024, (128, 128), 65536, 11_307_321_344, "11B"),
}

DIFFERENCES = (
    "Ancestor: the Transformer (Vaswani et al. 2017).",
    "Norms stand before each sublayer, divide by the root mean square only, and end each stack.",
    "Distances in buckets are added to the scores instead of sinusoids to the input.",
    "No biases; scores are not scaled (queries are drawn smaller instead).",
)

HUGGING_FACE = t5_layout("relu", ("wi",), scaled=True)
