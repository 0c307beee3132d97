"""The parts before the Transformer that a spec chooses among, as plain data; see `choices.py`.

They read from left to right and hold what they have read in a state of fixed size, or in the last
few tokens; none has positions. Widths may differ from layer to layer, so each names its own.
"""

from dataclasses import dataclass

from hornbook.models.choices import CausalReading, SourceReading
from hornbook.models.limits import among, positive, rate, require

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
"""Kinds of cells, and how many maps of the state and of the input each has."""

CARRIED = {"rnn": 1, "lstm": 2, "gru": 1}
"""How many tensors of its width each kind carries from token to token."""

SCORES = ("dot", "general", "concat")
"""How Luong's attention compares a state with a place of the source."""


@dataclass(frozen=True)
class Cell:
    """A recurrent cell of a kind: "rnn" (tanh), "lstm" or "gru"; d_in numbers in, d_hidden out."""

    kind: str
    d_in: int
    d_hidden: int

    def __post_init__(self) -> None:
        among(self, "kind", tuple(GATES))
        positive(self, "d_in", "d_hidden")

    @property
    def d_out(self) -> int:
        """The width of what it gives."""
        return self.d_hidden


@dataclass(frozen=True)
class Recurrence(Cell):
    """One recurrent layer, read from left to right; dropout on what enters it."""

    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        rate(self, "dropout")


@dataclass(frozen=True)
class BothWays(Recurrence):
    """Two cells, one from each end; [forward ; backward] at every place."""

    @property
    def d_out(self) -> int:
        """Both states."""
        return 2 * self.d_hidden


@dataclass(frozen=True)
class ResidualRecurrence(Recurrence):
    """A recurrent layer whose output is added to its input (Peters et al. 2018)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.d_in == self.d_hidden,
            f"A residual adds what has a width of {self.d_hidden} to {self.d_in}; make them equal.",
        )


@dataclass(frozen=True)
class Window:
    """A feed-forward layer over the last `order - 1` token vectors (Bengio et al. 2003).

    direct: the vectors themselves go on to the output layer as well.
    """

    order: int
    d_in: int
    d_hidden: int
    direct: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        positive(self, "order", "d_in", "d_hidden")
        rate(self, "dropout")
        require(self.order >= 2, f"Window.order is {self.order}; it must be at least 2.")

    @property
    def d_read(self) -> int:
        """The width of the vectors read, one behind another."""
        return (self.order - 1) * self.d_in

    @property
    def d_out(self) -> int:
        """The hidden width, and what is read where it goes on directly."""
        return self.d_hidden + (self.d_read if self.direct else 0)

    def kept(self, d_model: int) -> tuple[int, int, int]:
        """What a cache keeps of a token: its vector."""
        return 1, 1, self.d_in


@dataclass(frozen=True)
class PreviousStateAttention(Cell):
    """A GRU that reads the source by its previous state, before each step (Bahdanau et al. 2015).

    d_source: width of the encoder's states, both directions together. d_align: inner width of the
    scores. d_readout: pairs of numbers of which the larger goes to the output layer.
    """

    d_source: int
    d_align: int
    d_readout: int

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "d_source", "d_align", "d_readout")
        among(self, "kind", ("gru",))

    @property
    def d_out(self) -> int:
        """The readout's width."""
        return self.d_readout


@dataclass(frozen=True)
class CurrentStateAttention(Cell):
    """Recurrent layers whose last state reads the source after each step (Luong et al. 2015).

    d_source: width of the encoder's states. n_states: layers, which begin with the last states of
    as many of the encoder's. score: a row of SCORES. input_feeding: what was read enters the next
    step. window: places to each side of a predicted one that are read; 0 reads the whole source.
    dropout: on what enters each layer.
    """

    d_source: int
    n_states: int = 1
    score: str = "general"
    input_feeding: bool = True
    window: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "d_source", "n_states")
        among(self, "score", SCORES)
        rate(self, "dropout")
        require(self.window >= 0, f"window is {self.window}; it must be 0 (the whole) or more.")
        require(
            self.score != "dot" or self.d_source == self.d_hidden,
            f"The score dot multiplies states of {self.d_hidden} with those of a source, which "
            f"have {self.d_source}; make them equal, or take general or concat.",
        )


@dataclass(frozen=True)
class TwoWayReading(CausalReading):
    """One stack reads causally, another of the same parts reads from the end (ELMo)."""


@dataclass(frozen=True)
class RecurrentSourceReading(SourceReading):
    """As a source reading; the decoder begins with the states that the encoder ended with.

    reverse: the encoder reads the source from its end (Sutskever et al. 2014, section 3.3).
    """

    reverse: bool = False
