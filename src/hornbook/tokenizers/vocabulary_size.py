"""What bounds the size of a vocabulary: the bytes it begins with, and what a text supports."""

from hornbook.errors import TokenizerError

BYTES = 256
"""Ids that kinds spend on single bytes, so that no text is unknown."""


def too_little_text(vocab_size: int, reached: int, because: str = "") -> TokenizerError:
    """The error for a vocabulary that the text does not support; `because` says what it has."""
    return TokenizerError(
        f"Vocabulary of {vocab_size} asked, the text supports {reached}"
        f"{f' ({because})' if because else ''}: set tokenizer.vocab_size to {reached} or less, or "
        "give more text."
    )
