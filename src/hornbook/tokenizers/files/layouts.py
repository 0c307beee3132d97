"""The files of other programs that a tokenizer can be saved as, beside its own folder.

gpt2            vocab.json and merges.txt
tiktoken        tokenizer.tiktoken, with what it lacks in tokenizer.tiktoken.json
wordpiece       vocab.txt
sentencepiece   tokenizer.model

A kind that can write one has a method for it, which refuses what the format cannot hold.
"""

from collections.abc import Mapping
from pathlib import Path

from hornbook.errors import TokenizerError
from hornbook.recipe.faults import nearest

FOLDER = "folder"

LAYOUTS: Mapping[str, tuple[str, str]] = {
    "gpt2": ("save_pair", ""),
    "tiktoken": ("save_ranks", "tokenizer.tiktoken"),
    "wordpiece": ("save_vocabulary", "vocab.txt"),
    "sentencepiece": ("save_model", "tokenizer.model"),
}
"""The method that writes each, and the name of the file it is given; none for the directory."""


def save_layout(tokenizer: object, kind: str, directory: Path, layout: str) -> None:
    """Save a tokenizer of a kind in one of LAYOUTS.

    Raises TokenizerError, naming the layouts that the kind has, for any other.
    """
    method, name = LAYOUTS.get(layout, ("", ""))
    write = getattr(tokenizer, method, None) if method else None
    if write is None:
        known = [FOLDER, *(other for other in LAYOUTS if hasattr(tokenizer, LAYOUTS[other][0]))]
        raise TokenizerError(
            f"A {kind} tokenizer cannot be saved in the layout {layout!r}: it can in "
            f"{', '.join(known)}{nearest(layout, known)}"
        )
    directory.mkdir(parents=True, exist_ok=True)
    write(directory / name)
