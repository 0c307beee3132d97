"""Attention after the step: Luong et al. 2015, "Effective Approaches to Attention".

LSTM layers write; their last state, after each step, is compared with the places of the source by
one of three scores: dot, general (a map between them), concat (as Bahdanau's). State and what was
read make h~, which predicts and, with input feeding, enters the next step. With a `window` only the
places around a predicted one are read ("local-p"). One token table serves source and target here;
the output layer is not tied. Uniform between -0.1 and 0.1, as section 4.1.
"""

from hornbook.models.choices import Embedding, UntiedHead
from hornbook.models.exchange import Size
from hornbook.models.initialisation import Initialisation, Normal, Uniform
from hornbook.models.recurrences import (
    CurrentStateAttention,
    Recurrence,
    RecurrentSourceReading,
)
from hornbook.models.spec import Spec, Stack

ANCESTOR = "bahdanau"


def spec(
    *,
    vocab_size: int = 50000,
    max_length: int = 512,
    d_model: int = 1000,
    n_layers: int = 4,
    score: str = "general",
    input_feeding: bool = True,
    window: int = 0,
    start_id: int = 0,
    dropout: float = 0.2,
) -> Spec:
    """A model of these dimensions, with as many layers in the encoder as in the decoder."""
    writer = CurrentStateAttention(
        "lstm", d_model, d_model, d_model, n_layers, score, input_feeding, window, dropout
    )
    return Spec(
        family="luong",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(),
        stack=Stack(1, (writer,), dropout=dropout),
        head=UntiedHead(),
        initialisation=Initialisation(Normal(0.1), Normal(0.1), Uniform(0.1), Uniform(0.1)),
        reading=RecurrentSourceReading(start_id),
        encoder=Stack(n_layers, (Recurrence("lstm", d_model, d_model, dropout),)),
    )


SIZES: dict[str, Size] = {}

DIFFERENCES = (
    "Ancestor: RNNsearch (Bahdanau et al. 2015).",
    "The state after the step looks at the source, not the one before it.",
    "Layers of LSTMs in both stacks, read from left to right; states are taken over as they are.",
    "Scores are products; what was read is mixed with the state by one map and a tanh.",
)
