"""What a family of word vectors is, as plain data."""

from dataclasses import dataclass

from hornbook.models.limits import among, positive, require

ARCHITECTURES = ("skip_gram", "cbow")


@dataclass(frozen=True)
class VectorSpec:
    """Two tables of vectors and how they are learnt.

    architecture: what predicts the word in the middle: each word near it ("skip_gram"), or their
    mean ("cbow"). window: words on each side, at most. negatives: wrong words for each right one,
    drawn by count to the noise_power. threshold: words that make up more of the text are thinned
    out; 0 keeps all. minimum_count: rarer words are left out of the text. learning_rate: the first;
    it falls in a straight line to a ten-thousandth of it.
    """

    family: str
    vocab_size: int
    d_model: int
    architecture: str
    window: int
    negatives: int
    noise_power: float
    threshold: float
    minimum_count: int
    learning_rate: float
    epochs: int

    def __post_init__(self) -> None:
        positive(self, "vocab_size", "d_model", "window", "negatives", "minimum_count", "epochs")
        among(self, "architecture", ARCHITECTURES)
        for name in ("noise_power", "threshold"):
            value = getattr(self, name)
            require(value >= 0, f"{name} is {value!r}; it must be at least 0.")
        rate = self.learning_rate
        require(rate > 0, f"learning_rate is {rate!r}; it must be more than 0.")

    @property
    def n_parameters(self) -> int:
        """An input and an output vector for each word: 2 V d."""
        return 2 * self.vocab_size * self.d_model
