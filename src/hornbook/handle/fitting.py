"""Whether a model and a tokenizer that lie together belong together, as far as sizes tell."""

import warnings
from pathlib import Path

from hornbook.errors import InputError
from hornbook.tokenizers.tokenizer import Tokenizer

MULTIPLES = (64, 128)
"""Published models have rows beyond their vocabulary, up to the next multiple of one of these."""


def require_fit(path: Path, rows: int, tokenizer: Tokenizer, stacklevel: int = 3) -> None:
    """Hold the rows of a model's token table against the ids of the tokenizer near it.

    More rows than ids are a warning, unless they end where padding would end. Raises InputError for
    fewer rows than ids: the tokenizer would give ids that the model cannot read.
    """
    ids = tokenizer.vocab_size
    if rows < ids:
        raise InputError(
            f"{path}: the tokenizer has {ids} ids, but the model knows only {rows}; they do not "
            "belong together: put the model's own tokenizer beside it, or carry the model over "
            "with hornbook.with_vocabulary."
        )
    padded = {-(-ids // multiple) * multiple for multiple in MULTIPLES}
    if rows not in {ids, *padded}:
        warnings.warn(
            f"{path}: the model has {rows} token rows and the tokenizer {ids} ids, {rows - ids} "
            "fewer; what the model says with the others cannot be shown: check that the "
            "tokenizer is the model's own.",
            stacklevel=stacklevel,
        )
