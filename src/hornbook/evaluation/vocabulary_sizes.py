"""What a small model came to on one vocabulary."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SizeLoss:
    """A small model trained on one tokenizer's tokens, and its bits a byte by source.

    tokens, bytes: read in training, the bytes by the tokenizer's own mean; flops: the arithmetic
    that all sizes are given; seconds: of the training.
    """

    name: str
    kind: str
    vocab_size: int
    parameters: int
    steps: int
    tokens: int
    bytes: float
    flops: float
    seconds: float
    bits_per_byte: Mapping[str, float]
