"""The parts that a spec chooses among, as plain data; `parts/` has a module of each name.

Nothing here imports torch. A new kind of part is a new dataclass here, a module in `parts/`, a row
in `parts/__init__.py` and a row in `count.py`; no existing part grows a switch.
"""

from dataclasses import dataclass

from hornbook.models.limits import among, positive, rate, require

ACTIVATIONS = ("gelu_tanh", "gelu_erf", "relu", "silu")


@dataclass(frozen=True)
class LayerNorm:
    """Layer normalisation with a gain and, unless `bias` is off, a bias (Ba et al. 2016)."""

    eps: float = 1e-5
    bias: bool = True

    def __post_init__(self) -> None:
        require(self.eps > 0, f"LayerNorm.eps is {self.eps!r}; it must be above 0.")


@dataclass(frozen=True)
class RMSNorm:
    """Division by the root mean square, and a gain (Zhang and Sennrich 2019)."""

    eps: float = 1e-6

    def __post_init__(self) -> None:
        require(self.eps > 0, f"RMSNorm.eps is {self.eps!r}; it must be above 0.")


Norm = LayerNorm | RMSNorm


@dataclass(frozen=True)
class LearnedPositions:
    """One learned vector for each of the `max_length` positions, after `offset` spare rows."""

    offset: int = 0


@dataclass(frozen=True)
class BlockPositions:
    """Two learned vectors, summed: of the position and of the place within a block (GLM)."""


@dataclass(frozen=True)
class SinusoidalPositions:
    """Sines and cosines of the position, in turns ("pairs") or all sines first ("halves")."""

    layout: str = "pairs"

    def __post_init__(self) -> None:
        among(self, "layout", ("pairs", "halves"))


@dataclass(frozen=True)
class Rotary:
    """Queries and keys turn with the position: the first `share` of each head's dimensions.

    layout: which two numbers turn together, neighbours ("pairs") or half a width apart ("halves").
    """

    layout: str
    base: float = 10_000.0
    share: float = 1.0

    def __post_init__(self) -> None:
        among(self, "layout", ("pairs", "halves"))
        require(self.base > 0, f"Rotary.base is {self.base!r}; it must be above 0.")
        require(0 < self.share <= 1, f"Rotary.share is {self.share!r}; it lies in 0 < share <= 1.")

    def width(self, d_head: int) -> int:
        """Dimensions of a head that turn."""
        return int(d_head * self.share)


@dataclass(frozen=True)
class BlockRotary:
    """The lower half of each head turns with the position, the upper with the place in a block.

    frequency_dtype: "float16" rounds the frequencies, as ChatGLM-6B's released code does.
    """

    base: float = 10_000.0
    frequency_dtype: str = "float32"

    def __post_init__(self) -> None:
        among(self, "frequency_dtype", ("float32", "float16"))


@dataclass(frozen=True)
class BucketBias:
    """A learned number a head and bucket of distance, added to the scores of a whole stack (T5)."""

    n_buckets: int = 32
    max_distance: int = 128
    bidirectional: bool = False

    def __post_init__(self) -> None:
        positive(self, "n_buckets", "max_distance")
        require(self.n_buckets % 4 == 0, f"n_buckets is {self.n_buckets}; 4 must divide it.")
        require(
            self.max_distance > self.n_buckets // 2,
            f"max_distance = {self.max_distance} is not above half of n_buckets = "
            f"{self.n_buckets}; the far buckets would have nothing to share.",
        )


@dataclass(frozen=True)
class Embedding:
    """scale x token vectors, plus positions and segments, then norm and dropout."""

    positions: LearnedPositions | BlockPositions | SinusoidalPositions | None = None
    dropout: float = 0.0
    segments: int = 0
    norm: Norm | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        rate(self, "dropout")
        whole = isinstance(self.segments, int) and self.segments >= 0
        require(whole, f"Embedding.segments is {self.segments!r}; it must be 0 (none) or more.")


@dataclass(frozen=True)
class Heads:
    """What every attention has; scores are multiplied by `scale`, or 1/sqrt(d_head) where unset.

    bias: of queries, keys and values; out_bias: of the output. `dropout` falls on probabilities.
    """

    n_heads: int
    n_kv_heads: int
    d_head: int
    bias: bool = True
    out_bias: bool = True
    dropout: float = 0.0
    scale: float | None = None

    def __post_init__(self) -> None:
        positive(self, "n_heads", "n_kv_heads", "d_head")
        rate(self, "dropout")
        require(
            self.n_heads % self.n_kv_heads == 0,
            f"n_kv_heads = {self.n_kv_heads} does not divide n_heads = {self.n_heads}; "
            "every key-value head serves the same number of query heads.",
        )

    def kept(self, d_model: int) -> tuple[int, int, int]:
        """What a cache keeps of a token and layer: (parts, groups, width): keys and values."""
        return 2, self.n_kv_heads, self.d_head


@dataclass(frozen=True)
class Attention(Heads):
    """Multi-head self-attention with one fused projection [Q|K|V].

    rotation: turns queries and keys; head_norm: normalises them first, each head by itself.
    band: a query sees at most the keys less than `band` away; 0 is no band.
    """

    rotation: Rotary | BlockRotary | None = None
    head_norm: RMSNorm | None = None
    band: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.band >= 0, f"Attention.band is {self.band}; it must be 0 (none) or more.")
        width = self.rotation.width(self.d_head) if isinstance(self.rotation, Rotary) else 0
        pairs = 4 if isinstance(self.rotation, BlockRotary) else 2
        require(
            width % 2 == 0 and (self.rotation is None or self.d_head % pairs == 0),
            f"Heads of {self.d_head} cannot turn in pairs; take a d_head that {pairs} divides.",
        )


@dataclass(frozen=True)
class CrossAttention(Heads):
    """Queries of the target read keys and values made from what the encoder returned."""


@dataclass(frozen=True)
class RelativeAttention:
    """Attention by content, distance and segment, each with a bias of its own (XLNet)."""

    n_heads: int
    d_head: int
    dropout: float = 0.0

    def __post_init__(self) -> None:
        positive(self, "n_heads", "d_head")
        rate(self, "dropout")

    def kept(self, d_model: int) -> tuple[int, int, int]:
        """As attention's; what is kept is the layer's input."""
        return 1, 1, d_model


@dataclass(frozen=True)
class FeedForward:
    """Two linear maps around an activation: d_model to d_ff and back."""

    d_ff: int
    activation: str
    bias: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        positive(self, "d_ff")
        rate(self, "dropout")
        among(self, "activation", ACTIVATIONS)


@dataclass(frozen=True)
class GatedFeedForward(FeedForward):
    """A third map, through the activation, multiplies the inner width (Shazeer 2020)."""


@dataclass(frozen=True)
class Experts:
    """`n_experts` gated feed-forwards, of which a router chooses `n_active` for each token.

    balance: weight of the loss that keeps experts equally busy (Fedus et al. 2021, equation 4).
    """

    n_experts: int
    n_active: int
    d_ff: int
    activation: str = "silu"
    balance: float = 0.0

    def __post_init__(self) -> None:
        positive(self, "n_experts", "n_active", "d_ff")
        among(self, "activation", ACTIVATIONS)
        require(
            self.n_active <= self.n_experts,
            f"n_active = {self.n_active} is more than n_experts = {self.n_experts}.",
        )


@dataclass(frozen=True)
class PreNormBlock:
    """x + sublayer(norm(x)) for each sublayer; dropout on their outputs.

    Sublayers: attention; cross-attention where there is an encoder; feed-forward.
    """

    norm: Norm
    attention: Attention
    feedforward: FeedForward | Experts
    dropout: float = 0.0
    cross: CrossAttention | None = None

    def __post_init__(self) -> None:
        rate(self, "dropout")


@dataclass(frozen=True)
class PostNormBlock:
    """norm(x + sublayer(x)) for each sublayer; dropout on their outputs."""

    norm: Norm
    attention: Attention | RelativeAttention
    feedforward: FeedForward
    dropout: float = 0.0
    cross: CrossAttention | None = None

    def __post_init__(self) -> None:
        rate(self, "dropout")


@dataclass(frozen=True)
class ParallelBlock:
    """x + attention(n) + feedforward(n), both from one n = norm(x)."""

    norm: Norm
    attention: Attention
    feedforward: FeedForward
    dropout: float = 0.0

    def __post_init__(self) -> None:
        rate(self, "dropout")


@dataclass(frozen=True)
class NormedResidualBlock:
    """u = norm(x), then scale u + sublayer(u): the residual is taken from the normed input."""

    norm: Norm
    attention: Attention
    feedforward: FeedForward
    scale: float

    def __post_init__(self) -> None:
        require(self.scale > 0, f"The residual's scale is {self.scale!r}; it must be above 0.")


Block = PreNormBlock | PostNormBlock | ParallelBlock | NormedResidualBlock


@dataclass(frozen=True)
class TiedHead:
    """The token table, transposed, as the output layer: scale h E^T, plus a bias if asked."""

    scale: float = 1.0
    bias: bool = False


@dataclass(frozen=True)
class UntiedHead:
    """A matrix of its own as the output layer, plus a bias if asked."""

    bias: bool = False


@dataclass(frozen=True)
class MaskedHead:
    """A map with activation and norm, then the token table and a bias (BERT)."""

    activation: str
    norm: Norm

    def __post_init__(self) -> None:
        among(self, "activation", ACTIVATIONS)


@dataclass(frozen=True)
class Pooler:
    """tanh of a map of the first position, and scores of `classes` kinds of pairs (BERT)."""

    classes: int = 2

    def __post_init__(self) -> None:
        positive(self, "classes")


@dataclass(frozen=True)
class CausalReading:
    """Every token sees itself and what is before it; positions count 0, 1, …."""


@dataclass(frozen=True)
class FullReading:
    """Every token sees every token; positions count 0, 1, …."""


@dataclass(frozen=True)
class UnpaddedReading:
    """Every token sees every token; positions count the tokens that are not `pad_id` (RoBERTa)."""

    pad_id: int = 1


@dataclass(frozen=True)
class BlankReading:
    """What is before `start_id` is seen by all, the rest causally; positions have two numbers.

    From `start_id` on, the first number is the place of the blank (the first of `blank_ids` that
    occurs), the second counts 1, 2, … (GLM).
    """

    blank_ids: tuple[int, ...]
    start_id: int


@dataclass(frozen=True)
class SourceReading:
    """An encoder reads all of a source; a decoder, begun with `start_id`, continues causally."""

    start_id: int = 0


@dataclass(frozen=True)
class TwoStreamReading:
    """A content stream sees every token; a query stream predicts what it does not see (XLNet)."""


Reading = (
    CausalReading | FullReading | UnpaddedReading | BlankReading | SourceReading | TwoStreamReading
)
