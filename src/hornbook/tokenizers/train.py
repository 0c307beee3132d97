"""The door through which a tokenizer is trained, by the name of its kind."""

from collections.abc import Iterable
from typing import Any

from hornbook.errors import TokenizerError
from hornbook.recipe.faults import nearest
from hornbook.recipe.plugins import find
from hornbook.tokenizers import TOKENIZERS
from hornbook.tokenizers.special import SPECIAL_SETS, require_names
from hornbook.tokenizers.tokenizer import Tokenizer


def train_tokenizer(
    kind: str, texts: Iterable[str], vocab_size: int = 4096, **options: Any
) -> Tokenizer:
    """Train a tokenizer of a kind in TOKENIZERS (or "module:Class") on texts.

    vocab_size counts all ids, the special tokens included. options go to the kind's `train`; which
    it takes, `OPTIONS_OF` lists (byte-bpe: pattern="gpt2" | "cl100k" | "digits").
    special_tokens is a name of SPECIAL_SETS, or the names themselves.

    Raises TokenizerError for an unknown kind, names that cannot be special tokens', or text that
    does not support the vocabulary.
    """
    if kind not in TOKENIZERS and ":" not in kind:
        raise TokenizerError(
            f"No tokenizer is called {kind!r}: there are {', '.join(TOKENIZERS)}"
            f"{nearest(kind, TOKENIZERS)}"
        )
    named = options.get("special_tokens")
    if isinstance(named, str):
        if named not in SPECIAL_SETS:
            raise TokenizerError(
                f"No set of special tokens is called {named!r}: there are "
                f"{', '.join(SPECIAL_SETS)}{nearest(named, SPECIAL_SETS)}"
            )
        options["special_tokens"] = SPECIAL_SETS[named]
    require_names(options.get("special_tokens", ()))
    trained = find(kind, TOKENIZERS).train(texts, vocab_size, **options)
    assert isinstance(trained, Tokenizer)
    return trained
