"""Attention as it began: RNNsearch (Bahdanau et al. 2015).

A GRU reads the source from both ends. Before each step the decoder's state is compared with every
place of the source, and the mean of these places, weighted by how well they go together, enters the
step. So a long source need not fit into one state. One token table serves source and target here;
the output layer is not tied and reads a maxout of state, token and what was read. Matrices are
drawn from N(0, 1 / inputs); appendix B.1 has N(0, 0.01^2), and recurrent ones orthogonal.
"""

from hornbook.models.choices import Embedding, UntiedHead
from hornbook.models.exchange import Size
from hornbook.models.initialisation import FanIn, Initialisation, Normal
from hornbook.models.recurrences import (
    BothWays,
    PreviousStateAttention,
    RecurrentSourceReading,
)
from hornbook.models.spec import Spec, Stack

ANCESTOR = "seq2seq"


def spec(
    *,
    vocab_size: int = 30000,
    max_length: int = 512,
    d_model: int = 620,
    d_hidden: int = 1000,
    d_align: int = 0,
    d_readout: int = 0,
    start_id: int = 0,
    dropout: float = 0.0,
) -> Spec:
    """A model of these dimensions; d_align = d_hidden and d_readout = d_hidden / 2 where 0."""
    source, readout = 2 * d_hidden, d_readout or max(1, d_hidden // 2)
    numbers = (source, d_align or d_hidden, readout)
    writer = PreviousStateAttention("gru", d_model, d_hidden, *numbers)
    return Spec(
        family="bahdanau",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(dropout=dropout),
        stack=Stack(1, (writer,), dropout=dropout),
        head=UntiedHead(),
        initialisation=Initialisation(Normal(0.1), Normal(0.1), FanIn(), FanIn()),
        reading=RecurrentSourceReading(start_id),
        encoder=Stack(1, (BothWays("gru", d_model, d_hidden),)),
    )


SIZES: dict[str, Size] = {}

DIFFERENCES = (
    "Ancestor: Seq2seq with the last state only (Sutskever et al. 2014).",
    "The decoder looks at all of the source before each step, by its state before that step.",
    "The source is read from both ends, by GRUs of one layer.",
    "The first state is made of what the encoder read backwards, by a map.",
    "A maxout stands between state and output layer.",
)
