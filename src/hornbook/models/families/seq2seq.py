"""Sequence to sequence learning (Sutskever et al. 2014).

An LSTM reads the source from its end to its beginning; another begins with the states that the
first ended with, layer by layer, and writes the target. All that is known of the source is in these
states, however long it was. One token table serves source and target here (the paper had one for
each language), and the output layer is not tied. Uniform between -0.08 and 0.08, as section 3.4.
"""

from hornbook.models.choices import Embedding, UntiedHead
from hornbook.models.exchange import Size
from hornbook.models.initialisation import Initialisation, Normal, Uniform
from hornbook.models.recurrences import Recurrence, RecurrentSourceReading
from hornbook.models.spec import Spec, Stack

ANCESTOR = "lstm"


def spec(
    *,
    vocab_size: int = 80000,
    max_length: int = 512,
    d_model: int = 1000,
    n_layers: int = 4,
    start_id: int = 0,
    reverse: bool = True,
    dropout: float = 0.0,
) -> Spec:
    """A model of these dimensions, with as many layers in the encoder as in the decoder."""
    layer = Recurrence("lstm", d_model, d_model, dropout)
    return Spec(
        family="seq2seq",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(),
        stack=Stack(n_layers, (layer,), dropout=dropout),
        head=UntiedHead(),
        initialisation=Initialisation(Normal(0.08), Normal(0.08), Uniform(0.08), Uniform(0.08)),
        reading=RecurrentSourceReading(start_id, reverse),
        encoder=Stack(n_layers, (layer,)),
    )


SIZES: dict[str, Size] = {}

DIFFERENCES = (
    "Ancestor: the LSTM language model.",
    "Two of them: what the first has read is where the second begins.",
    "The source is read from its end, so that its beginning is near the target's.",
)
