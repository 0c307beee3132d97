"""word2vec with negative sampling (Mikolov et al. 2013a, arXiv:1301.3781; 2013b, arXiv:1310.4546).

Each word has two vectors: v where it is read, u where it is predicted. A word is predicted from
the words near it, against a few wrong words drawn at random; nothing is normalised over the
vocabulary, so a step costs the same for any number of words. v is what is kept.

    loss = -ln σ(u_o · h) - Σ_k ln σ(-u_k · h)        o the word, k the wrong words

h is the vector of one word near it (skip-gram) or the mean of all of them (CBOW). The papers say
that skip-gram predicts the context from the word; the released code reads each context word and
predicts the word in the middle, which goes through the same pairs, and so do we. Defaults are those
of the released code, but for the architecture, where it takes CBOW unless told otherwise.
"""

from hornbook.models.vectors.spec import VectorSpec

ANCESTOR = ""

LEARNING_RATES = {"skip_gram": 0.025, "cbow": 0.05}


def spec(
    *,
    vocab_size: int = 100_000,
    d_model: int = 100,
    architecture: str = "skip_gram",
    window: int = 5,
    negatives: int = 5,
    noise_power: float = 0.75,
    threshold: float = 1e-3,
    minimum_count: int = 5,
    learning_rate: float = 0.0,
    epochs: int = 5,
) -> VectorSpec:
    """word2vec of these numbers; a learning rate of 0 takes the architecture's own."""
    return VectorSpec(
        family="word2vec",
        vocab_size=vocab_size,
        d_model=d_model,
        architecture=architecture,
        window=window,
        negatives=negatives,
        noise_power=noise_power,
        threshold=threshold,
        minimum_count=minimum_count,
        learning_rate=learning_rate or LEARNING_RATES.get(architecture, 0.025),
        epochs=epochs,
    )


DIFFERENCES = (
    "Of the feed-forward model of Bengio et al. 2003 only the table of vectors is left: no hidden "
    "layer, no order of the context words, no softmax; the words on both sides are read.",
    "The window is shrunk to a width drawn anew for each word, so that near words count more.",
    "Frequent words are thinned out before windows are formed, by the released code's rule, not "
    "the paper's.",
    "CBOW's mean of the context vectors enters, but each of them takes the whole error, undivided.",
    "The sigmoid is 0 or 1 beyond scores of -6 and 6, where nothing more is learnt.",
)
