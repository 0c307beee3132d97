"""The GRU language model (Cho et al. 2014; Chung et al. 2014).

An LSTM's idea with one state and two gates: h_t = (1 - z) ∘ n + z ∘ h_{t-1}, where z says how much
of the state is kept and r how much of it the candidate n sees. r acts after the product with the
state, as in torch and cuDNN; the paper multiplies before it. Everything else is as in the `rnn`.
"""

from hornbook.models.exchange import Size
from hornbook.models.families.rnn import assemble
from hornbook.models.spec import Spec

ANCESTOR = "lstm"


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
    return assemble("gru", vocab_size, max_length, d_model, n_layers, d_hidden, tied, dropout)


SIZES: dict[str, Size] = {}

DIFFERENCES = (
    "Ancestor: the LSTM (Hochreiter and Schmidhuber 1997).",
    "There is no cell beside the state, and no gate on what is read from it.",
    "One gate decides what is kept and what is written: the one is 1 minus the other.",
)
