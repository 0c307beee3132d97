"""What one rung of a ladder came to: a kind of model, trained once a seed, or counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hornbook.evaluation.baseline import ALL
from hornbook.evaluation.significance import student


@dataclass(frozen=True)
class Climbed:
    """One rung as far as it was climbed: bits a byte by source, one number a seed.

    tokens: read in training; flops: of training, or what counting was charged; seconds: a seed.
    counted: whether it counts instead of learning, and so is the same for every seed.
    """

    name: str
    counted: bool
    parameters: int
    tokens: int
    flops: float
    seconds: float
    bits_per_byte: Mapping[str, Sequence[float]]

    def interval(self, source: str = ALL) -> tuple[float, float]:
        """Mean bits a byte over seeds and the half-width of its 95 % interval; 0 for counting."""
        mean, half = student(self.bits_per_byte[source])
        return mean, 0.0 if self.counted else half
