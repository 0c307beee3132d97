"""The neural probabilistic language model (Bengio et al. 2003).

A feed-forward network over the vectors of the last n - 1 words: the first language model that
learns vectors of words. y = b + W x + U tanh(d + H x), where x are these vectors one behind another
and W, the direct connections, may be left out. The output layer is not tied. Before the beginning
of a text there are no words; their vectors count as zeros here.
"""

from hornbook.models.choices import CausalReading, Embedding, UntiedHead
from hornbook.models.exchange import Size
from hornbook.models.initialisation import FanIn, Initialisation, Normal
from hornbook.models.recurrences import Window
from hornbook.models.spec import Spec, Stack

ANCESTOR = ""


def spec(
    *,
    vocab_size: int = 16383,
    max_length: int = 1024,
    d_model: int = 60,
    d_hidden: int = 50,
    order: int = 5,
    direct: bool = True,
    dropout: float = 0.0,
) -> Spec:
    """A model of these dimensions; order counts the predicted word, so order - 1 are read."""
    window = Window(order, d_model, d_hidden, direct, dropout)
    return Spec(
        family="nplm",
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        embedding=Embedding(dropout=dropout),
        stack=Stack(1, (window,)),
        head=UntiedHead(bias=True),
        initialisation=Initialisation(Normal(1.0), Normal(1.0), FanIn(), FanIn()),
        reading=CausalReading(),
    )


PAPER = "Bengio et al. 2003, table 1, on Brown; counted by the formula of section 2"

SIZES = {
    "mlp1": Size({"order": 5, "d_hidden": 50, "d_model": 60}, 5_762_483, source=PAPER),
    "mlp5": Size({"order": 5, "d_hidden": 50, "d_model": 30}, 3_299_033, source=PAPER),
    "mlp7": Size({"order": 3, "d_hidden": 50, "d_model": 30}, 2_313_053, source=PAPER),
    "mlp9": Size(
        {"order": 5, "d_hidden": 100, "d_model": 30, "direct": False}, 2_158_273, source=PAPER
    ),
}

DIFFERENCES = (
    "No ancestor in this house: it learns what n-grams count.",
    "Words have vectors, so that what is learnt of one word serves the words like it.",
)
