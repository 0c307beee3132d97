"""What a counted model is, as plain data."""

from dataclasses import dataclass

from hornbook.models.limits import positive, require
from hornbook.models.ngrams import ESTIMATORS

ARPA = "arpa"
"""What stands for the estimator of a model whose file does not name it."""


@dataclass(frozen=True)
class NGramSpec:
    """N-grams of up to `order` tokens. estimator: how counts became probabilities."""

    family: str
    vocab_size: int
    order: int
    estimator: str

    def __post_init__(self) -> None:
        positive(self, "vocab_size", "order")
        known = (*ESTIMATORS, ARPA)
        require(
            self.estimator in known or ":" in self.estimator,
            f"estimator is {self.estimator!r}; known are {', '.join(known)}.",
        )
