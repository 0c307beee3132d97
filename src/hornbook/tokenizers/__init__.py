"""Tokenizers: text in, integer ids out, and back again without loss.

In: texts (`str`), or a folder or file that holds a tokenizer. Out: a `Tokenizer`, whose ids every
later room reads; and a folder that other programs (transformers, tokenizers) open as well.

    read first  kinds.byte_pair (the algorithm), tokenizer (what every kind can do), special
    kinds/      one file a kind, and how each cuts text
    files/      opening anyone's tokenizer, writing what other programs open
    learning    train, from texts; build, from a recipe, with a sample of the corpus
    beside      chat (from ids, so that text cannot forge a control token), comparison, remap

Papers: Sennrich et al. 2016 (byte-pair encoding, arXiv:1508.07909); Radford et al. 2019, section
2.2 (byte-level BPE, GPT-2); Schuster and Nakajima 2012 (WordPiece); Kudo 2018 (unigram,
arXiv:1804.10959); Kudo and Richardson 2018 (SentencePiece, arXiv:1808.06226); Xue et al. 2022
(bytes as tokens, ByT5, arXiv:2105.13626).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hornbook.tokenizers.files.load import load_tokenizer
    from hornbook.tokenizers.train import train_tokenizer

__all__ = ["TOKENIZERS", "load_tokenizer", "train_tokenizer"]

TOKENIZERS = {
    "byte-bpe": "hornbook.tokenizers.kinds.byte_bpe:ByteBPE",
    "byte": "hornbook.tokenizers.kinds.byte:ByteTokenizer",
    "character": "hornbook.tokenizers.kinds.character:CharacterTokenizer",
    "word": "hornbook.tokenizers.kinds.word:WordTokenizer",
    "bpe": "hornbook.tokenizers.kinds.word_bpe:WordBPE",
    "wordpiece": "hornbook.tokenizers.kinds.wordpiece:WordPiece",
    "sentencepiece-bpe": "hornbook.tokenizers.kinds.sentencepiece:SentencePieceBPE",
    "sentencepiece-unigram": "hornbook.tokenizers.kinds.sentencepiece:SentencePieceUnigram",
}

OPTIONS_OF = {
    "byte-bpe": ("pattern",),
    "byte": (),
    "character": ("byte_fallback",),
    "word": ("lowercase",),
    "bpe": ("lowercase",),
    "wordpiece": ("lowercase",),
    "sentencepiece-bpe": ("normalization", "byte_fallback"),
    "sentencepiece-unigram": ("normalization", "byte_fallback"),
}
"""What each kind's training takes of the options that not all kinds have."""

_DOORS = {
    "load_tokenizer": "hornbook.tokenizers.files.load",
    "train_tokenizer": "hornbook.tokenizers.train",
}


def __getattr__(name: str) -> Any:
    """Import a door when it is first asked for, so that listing the kinds costs nothing."""
    if name not in _DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_DOORS[name]), name)
