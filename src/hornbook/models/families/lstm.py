"""The LSTM language model (Hochreiter and Schmidhuber 1997; Zaremba et al. 2014).

A recurrent model with a second state, the cell, which gates write, keep and read:
c_t = f ∘ c_{t-1} + i ∘ g, h_t = o ∘ tanh(c_t). What the forget gate f lets through is carried on
unchanged, and so is its gradient. Its bias begins at 1 (Jozefowicz et al. 2015). Everything else is
as in the `rnn`.
"""

from hornbook.models.exchange import Size
from hornbook.models.families.rnn import assemble
from hornbook.models.spec import Spec

ANCESTOR = "rnn"


def spec(
    *,
    vocab_size: int = 10000,
    max_length: int = 1024,
    d_model: int = 650,
    n_layers: int = 2,
    d_hidden: int = 0,
    tied: bool = True,
    dropout: float = 0.5,
) -> Spec:
    """A model of these dimensions; d_hidden = d_model where it is 0."""
    return assemble("lstm", vocab_size, max_length, d_model, n_layers, d_hidden, tied, dropout)


PAPER = "Zaremba et al. 2014, section 4.1, gives the shapes; torch's cells have two biases"

SIZES = {
    "medium": Size({"d_model": 650, "tied": False}, 19_780_400, source=PAPER),
    "large": Size({"d_model": 1500, "tied": False, "dropout": 0.65}, 66_034_000, source=PAPER),
}

DIFFERENCES = (
    "Ancestor: the recurrent language model (Elman 1990; Mikolov et al. 2010).",
    "A cell beside the state carries what gates let through, unchanged from step to step.",
    "Three gates, each a map of the input and of the state, decide what is written, kept, read.",
    "Two layers, and dropout between them.",
)
