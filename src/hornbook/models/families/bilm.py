"""The bidirectional LSTM language model of ELMo (Peters et al. 2018).

Two LSTM language models over one text, one from each end. They share the token table and the output
layer, and nothing else. What a layer of both says of a token, h_j = [forward ; backward], is its
contextual vector; a task reads a weighted sum of all layers. The forward half alone writes text and
has bits per byte, as an `lstm` does.

ELMo makes the vectors that enter of characters, by convolutions; here they are rows of a token
table. Its cells are wider than what they give (4096 and 512, with a projection between them, both
clipped at 3); here they are as wide. Every layer has the width d_model, so that layers can be added
up. So no published size can be expressed. The output layer is the token table again, unless `tied`
is off; ELMo's were two.
"""

from dataclasses import replace

from hornbook.models.exchange import Size
from hornbook.models.families.rnn import assemble
from hornbook.models.recurrences import ResidualRecurrence, TwoWayReading
from hornbook.models.spec import Spec

ANCESTOR = "lstm"


def spec(
    *,
    vocab_size: int = 10000,
    max_length: int = 1024,
    d_model: int = 512,
    n_layers: int = 2,
    tied: bool = True,
    dropout: float = 0.1,
) -> Spec:
    """A model of these dimensions; `n_layers` are those of each direction."""
    one_way = assemble("lstm", vocab_size, max_length, d_model, n_layers, 0, tied, dropout)
    above = ResidualRecurrence("lstm", d_model, d_model, dropout)
    blocks = (one_way.stack.layer(0), *[above] * (n_layers - 1))
    return replace(
        one_way,
        family="bilm",
        stack=replace(one_way.stack, blocks=blocks),
        reading=TwoWayReading(),
    )


SIZES: dict[str, Size] = {}

DIFFERENCES = (
    "Ancestor: the LSTM language model (Hochreiter and Schmidhuber 1997; Zaremba et al. 2014).",
    "A second stack reads the text from its end and predicts the token before.",
    "Both share the token table and the output layer; losses are added up.",
    "Each layer above the first adds what it makes to what it reads.",
    "Token vectors depend on the whole text: [forward ; backward] of each layer, mixed for a task.",
)
