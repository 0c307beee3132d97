"""What a model is, as plain data: dimensions and choices of parts.

A `Spec` names the parts of a network (`choices.py`) and their numbers; `parts/` turns each choice
into a module of the same name. Nothing here imports torch, so specs are read, checked, counted and
printed instantly.
"""

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from hornbook.errors import SpecError
from hornbook.models import choices, initialisation, recurrences
from hornbook.models.limits import positive, rate, require

VOCABULARY_MULTIPLE = 64

Recurrent = (
    recurrences.Recurrence
    | recurrences.Window
    | recurrences.PreviousStateAttention
    | recurrences.CurrentStateAttention
)
Block = choices.Block | Recurrent


@dataclass(frozen=True)
class Stack:
    """Blocks one after another: `blocks` is repeated until there are `n_layers`.

    bias: added to the scores of all layers alike. shared: the layers are `blocks` used again and
    again, with one set of weights (ALBERT); otherwise each has its own. dropout: after final_norm.
    """

    n_layers: int
    blocks: tuple[Block, ...]
    final_norm: choices.Norm | None = None
    bias: choices.BucketBias | None = None
    shared: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        positive(self, "n_layers")
        rate(self, "dropout")
        require(bool(self.blocks), "A stack needs at least one block to repeat.")

    def layer(self, number: int) -> Block:
        """The choice of one layer's block."""
        return self.blocks[number % len(self.blocks)]

    @property
    def n_distinct(self) -> int:
        """Blocks that have weights of their own."""
        return min(len(self.blocks), self.n_layers) if self.shared else self.n_layers

    def width(self, d_model: int) -> int:
        """The width of what the last layer gives, given that of what enters the first.

        Raises SpecError where a layer does not fit the one before it.
        """
        for number in range(self.n_layers):
            block = self.layer(number)
            if isinstance(block, Recurrent):
                require(
                    block.d_in == d_model,
                    f"Layer {number + 1} reads a width of {block.d_in}, but gets {d_model}.",
                )
                d_model = block.d_out
        return d_model

    @property
    def attention(self) -> Any:
        """The first block's attention to its own sequence; None where it has none."""
        return getattr(self.blocks[0], "attention", None)

    @property
    def kept(self) -> Any:
        """Tells what a cache keeps of a token and layer; None where a state is carried instead."""
        return getattr(self.attention or self.blocks[0], "kept", None)


@dataclass(frozen=True)
class Spec:
    """A whole model. `stack` is its only stack, or the decoder where there is an `encoder`."""

    family: str
    vocab_size: int
    max_length: int
    d_model: int
    embedding: choices.Embedding
    stack: Stack
    head: choices.TiedHead | choices.UntiedHead | choices.MaskedHead
    initialisation: initialisation.Initialisation
    reading: choices.Reading
    encoder: Stack | None = None
    pooler: choices.Pooler | None = None

    def __post_init__(self) -> None:
        positive(self, "vocab_size", "max_length", "d_model")
        require(
            not isinstance(self.embedding.positions, choices.SinusoidalPositions)
            or self.d_model % 2 == 0,
            f"d_model = {self.d_model} is odd; sines and cosines of positions need an even width.",
        )
        start = getattr(self.reading, "start_id", -1)
        require(
            0 <= start < self.vocab_size or not isinstance(self.reading, choices.SourceReading),
            f"start_id = {start} is outside the vocabulary of {self.vocab_size}.",
        )
        if self.encoder is not None:
            self._require_source(self.encoder)
        require(
            isinstance(self.head, choices.UntiedHead) or self.d_output == self.d_model,
            f"The last layer gives a width of {self.d_output}, the token table has "
            f"{self.d_model}; tie them only where the two are equal.",
        )
        read_freely = [] if self.encoder is None else [*self.encoder.blocks]
        if isinstance(self.reading, choices.FullReading | choices.UnpaddedReading):
            read_freely += self.stack.blocks
        for block in read_freely:
            band = getattr(getattr(block, "attention", None), "band", 0)
            require(not band, f"attention.band = {band} needs a stack that reads causally.")

    def _require_source(self, encoder: Stack) -> None:
        """Raise SpecError where a recurrent decoder cannot begin with, or read, this encoder."""
        width = encoder.width(self.d_model)
        read = {getattr(block, "d_source", width) for block in self.stack.blocks}
        require(read == {width}, f"The encoder gives a width of {width}, the decoder reads {read}.")
        if isinstance(self.reading, recurrences.RecurrentSourceReading):
            self._require_states(encoder)

    def _require_states(self, encoder: Stack) -> None:
        """Raise SpecError where layers of the decoder cannot begin with the encoder's states."""
        layers = [self.stack.layer(number) for number in range(self.n_layers)]
        begun = [block for block in layers for _ in range(getattr(block, "n_states", 1))]
        require(
            len(begun) == encoder.n_layers,
            f"{len(begun)} layers of the decoder cannot begin with the states of "
            f"{encoder.n_layers} of the encoder; give both as many.",
        )
        for number, block in enumerate(begun):
            require(
                _begins_with(block, encoder.layer(number)),
                f"Layer {number + 1} of the decoder cannot begin with the states of the encoder's; "
                "give both one kind and width, or a PreviousStateAttention a BothWays to read.",
            )

    @property
    def n_layers(self) -> int:
        """Layers of the only stack, or of the decoder."""
        return self.stack.n_layers

    @property
    def continues(self) -> bool:
        """Whether it predicts what follows a sequence, without a source."""
        readings = (choices.CausalReading, choices.BlankReading, choices.TwoStreamReading)
        return isinstance(self.reading, readings)

    @property
    def is_bounded(self) -> bool:
        """Whether `max_length` is a limit: not where only distances are known, or an order."""
        attention = self.stack.attention
        placed = attention is not None and not isinstance(attention, choices.RelativeAttention)
        return placed and self.stack.bias is None

    @property
    def d_output(self) -> int:
        """The width of the hidden states that the head reads."""
        return self.stack.width(self.d_model)

    @property
    def carries_state(self) -> bool:
        """Whether what was read is held in a state of fixed size, and never read again."""
        return self.stack.kept is None

    @property
    def padded_vocab(self) -> int:
        """Rows of the token table: `vocab_size` rounded up to a multiple of 64."""
        return -(-self.vocab_size // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE


def _begins_with(block: Block, ended: Block) -> bool:
    """Whether a layer of a decoder can begin with what a layer of an encoder ended with."""
    if isinstance(block, recurrences.PreviousStateAttention):
        return isinstance(ended, recurrences.BothWays)
    if not (isinstance(block, recurrences.Cell) and isinstance(ended, recurrences.Cell)):
        return False
    return (block.kind, block.d_hidden) == (ended.kind, ended.d_out)


def resolve_heads(
    d_model: int, n_heads: int = 0, n_kv_heads: int = 0, d_head: int = 0
) -> tuple[int, int, int]:
    """(n_heads, n_kv_heads, d_head), with what is 0 filled in.

    n_heads = d_model / 64, at least 1; n_kv_heads = n_heads; d_head = d_model / n_heads. Raises
    SpecError where d_head is unset and n_heads does not divide d_model.
    """
    require(d_model >= 1, f"d_model is {d_model}; it must be a whole number of at least 1.")
    require(min(n_heads, n_kv_heads, d_head) >= 0, "A number of heads or d_head is negative.")
    n_heads = n_heads or max(1, d_model // 64)
    require(
        bool(d_head) or d_model % n_heads == 0,
        f"n_heads = {n_heads} does not divide d_model = {d_model}; "
        "choose a divisor, or set d_head yourself.",
    )
    return n_heads, n_kv_heads or n_heads, d_head or d_model // n_heads


def expected_first_loss(spec: Spec) -> float | None:
    """Nats a token that fresh weights lose: ln V + d_model (scale std)^2 / 2 (see `Network`).

    None where no such sum is known: a token table that is read backwards and whose vectors enter
    the stream as large as 1 (T5, PaLM), so that the token itself is what fresh weights expect next;
    layers without a norm (recurrent ones), whose states have no length that is known.
    """
    if isinstance(spec.stack.blocks[0], Recurrent):
        return None
    scale, role = 1.0, "head"
    if not isinstance(spec.head, choices.UntiedHead):
        if spec.initialisation.embedding.std >= 1.0:
            return None
        scale, role = getattr(spec.head, "scale", 1.0), "embedding"
    std = spec.initialisation.rule(role).deviation(spec.n_layers, spec.d_model, spec.vocab_size)
    return math.log(spec.vocab_size) + float(spec.d_model * (scale * std) ** 2 / 2)


CHOICES: dict[str, type] = {
    choice.__name__: choice
    for choice in (
        Spec,
        Stack,
        *(
            value
            for room in (choices, recurrences, initialisation)
            for value in vars(room).values()
            if isinstance(value, type) and is_dataclass(value)
        ),
    )
}


def spec_to_dict(spec: Any) -> dict[str, Any]:
    """The spec as JSON-ready nested dicts; `part` names each choice."""
    rows: dict[str, Any] = {"part": type(spec).__name__}
    for field in fields(spec):
        rows[field.name] = _to_json(getattr(spec, field.name))
    return rows


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return spec_to_dict(value) if is_dataclass(value) else value


def spec_from_dict(data: dict[str, Any]) -> Any:
    """The inverse of `spec_to_dict`. Raises SpecError for an unknown part or field."""
    part = data.get("part")
    choice = CHOICES.get(str(part))
    if choice is None:
        raise SpecError(f"A stored spec names the part {part!r}; known are {', '.join(CHOICES)}.")
    values = {name: _from_json(value) for name, value in data.items() if name != "part"}
    try:
        return choice(**values)
    except TypeError as error:
        raise SpecError(f"A stored {part} does not fit this version: {error}.") from error


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    return spec_from_dict(value) if isinstance(value, dict) else value
