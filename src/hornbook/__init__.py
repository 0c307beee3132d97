"""Hornbook: from raw text to a language model that talks, in one command.

The public names, imported when they are first used:

    run, Recipe                        make a run from a recipe
    load, build                        open a model, or make a fresh one
    train_pairs                        train an encoder-decoder on sources and targets
    load_tokenizer, train_tokenizer    open a tokenizer, or train one
    with_vocabulary                    a model carried over to another tokenizer
    read_documents, extract            read sources as documents; the main text of one page
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hornbook.corpus.extract import extract
    from hornbook.corpus.read import read_documents
    from hornbook.handle.opening import build, load
    from hornbook.handle.pairs import train_pairs
    from hornbook.handle.vocabulary import with_vocabulary
    from hornbook.recipe.recipe import Recipe
    from hornbook.stages.run import run
    from hornbook.tokenizers import load_tokenizer, train_tokenizer

__version__ = "0.1.0"
__all__ = [
    "Recipe",
    "build",
    "extract",
    "load",
    "load_tokenizer",
    "read_documents",
    "run",
    "train_pairs",
    "train_tokenizer",
    "with_vocabulary",
]

DOORS: dict[str, str] = {
    "Recipe": "hornbook.recipe.recipe:Recipe",
    "build": "hornbook.handle.opening:build",
    "extract": "hornbook.corpus.extract:extract",
    "load": "hornbook.handle.opening:load",
    "load_tokenizer": "hornbook.tokenizers.files.load:load_tokenizer",
    "read_documents": "hornbook.corpus.read:read_documents",
    "run": "hornbook.stages.run:run",
    "train_pairs": "hornbook.handle.pairs:train_pairs",
    "train_tokenizer": "hornbook.tokenizers.train:train_tokenizer",
    "with_vocabulary": "hornbook.handle.vocabulary:with_vocabulary",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, thing = DOORS[name].partition(":")
    return getattr(import_module(module), thing)


def __dir__() -> list[str]:
    """The public names."""
    return [*__all__, "__version__"]
