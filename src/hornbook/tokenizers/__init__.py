"""Tokenizers: text in, integer ids out, and back again without loss.

In: texts (`str`), or a folder or file that holds a tokenizer. Out: a `Tokenizer`, whose ids every
later room reads; and a folder that other programs (transformers, tokenizers) open as well.

    read first    byte_pair (the algorithm), tokenizer (what every kind can do), special
    kinds         byte, character, word, word_bpe, byte_bpe, wordpiece, sentencepiece, pipeline
    cutting text  patterns, endless, word_pipeline; learning: train, sample, build, word_merges
    files         files (opens any), folder, layouts, definition, tiktoken_ranks, gpt2_files
    beside        chat (from ids, so that text cannot forge a control token), comparison, remap

Papers: Sennrich et al. 2016 (byte-pair encoding, arXiv:1508.07909); Radford et al. 2019, section
2.2 (byte-level BPE, GPT-2); Schuster and Nakajima 2012 (WordPiece); Kudo 2018 (unigram,
arXiv:1804.10959); Kudo and Richardson 2018 (SentencePiece, arXiv:1808.06226); Xue et al. 2022
(bytes as tokens, ByT5, arXiv:2105.13626).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hornbook.tokenizers.files import load_tokenizer
    from hornbook.tokenizers.train import train_tokenizer

__all__ = ["TOKENIZERS", "load_tokenizer", "train_tokenizer"]

TOKENIZERS = {
    "byte-bpe": "hornbook.tokenizers.byte_bpe:ByteBPE",
    "byte": "hornbook.tokenizers.byte:ByteTokenizer",
    "character": "hornbook.tokenizers.character:CharacterTokenizer",
    "word": "hornbook.tokenizers.word:WordTokenizer",
    "bpe": "hornbook.tokenizers.word_bpe:WordBPE",
    "wordpiece": "hornbook.tokenizers.wordpiece:WordPiece",
    "sentencepiece-bpe": "hornbook.tokenizers.sentencepiece:SentencePieceBPE",
    "sentencepiece-unigram": "hornbook.tokenizers.sentencepiece:SentencePieceUnigram",
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
    "load_tokenizer": "hornbook.tokenizers.files",
    "train_tokenizer": "hornbook.tokenizers.train",
}


def __getattr__(name: str) -> Any:
    """Import a door when it is first asked for, so that listing the kinds costs nothing."""
    if name not in _DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_DOORS[name]), name)
