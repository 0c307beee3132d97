"""The recurrent language model (Elman 1990; Mikolov et al. 2010).

One state is carried from token to token, so that what may be remembered has no fixed length:
h_t = tanh(W x_t + b + U h_{t-1} + c). Dropout falls on what enters and leaves a layer, never from
step to step (Zaremba et al. 2014). The token table is the output layer too, unless `tied` is off
(Press and Wolf 2017; Inan et al. 2017); then `d_hidden` is free. Matrices are drawn from
U(-1/sqrt(d_hidden), 1/sqrt(d_hidden)) as torch draws them; biases are zero.
"""

from dataclasses import replace

from hornbook.models.choices import CausalReading, Embedding, TiedHead, UntiedHead
from hornbook.models.exchange import Size
from hornbook.models.initialisation import Initialisation, Normal, Uniform
from hornbook.models.recurrences import Recurrence
from hornbook.models.spec import Spec, Stack

ANCESTOR = "nplm"


def assemble(
    kind: str,
    vocab_size: int,
    max_length: int,
    d_model: int,
    n_layers: int,
    d_hidden: int,
    tied: bool,
    dropout: float,
) -> Spec:
    """Recurrent layers of one kind of cell, over a token table and under an output layer."""
    d_hidden = d_hidden or d_model
    first = Recurrence(kind, d_model, d_hidden, dropout)
    rest = replace(first, d_in=d_hidden)
    drawn = Uniform(d_hidden**-0.5)
    return Spec(
        family=kind,
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(),
        stack=Stack(
            n_layers,
            (first,) if first == rest else (first, *[rest] * (n_layers - 1)),
            dropout=dropout,
        ),
        head=TiedHead(bias=True) if tied else UntiedHead(bias=True),
        initialisation=Initialisation(Normal(0.1), Normal(0.1), drawn, drawn),
        reading=CausalReading(),
    )


def spec(
    *,
    vocab_size: int = 10000,
    max_length: int = 1024,
    d_model: int = 200,
    n_layers: int = 1,
    d_hidden: int = 0,
    tied: bool = True,
    dropout: float = 0.0,
) -> Spec:
    """A model of these dimensions; d_hidden = d_model where it is 0."""
    return assemble("rnn", vocab_size, max_length, d_model, n_layers, d_hidden, tied, dropout)


SIZES: dict[str, Size] = {}

DIFFERENCES = (
    "Ancestor: the neural probabilistic language model (Bengio et al. 2003).",
    "A state is carried on instead of a window of words: what is read has no fixed length.",
    "Gradients flow back through the steps of a row, and end at its beginning.",
)
