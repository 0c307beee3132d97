"""Merges inside words, learned by the `tokenizers` library and the same on every run.

Left alone, the library numbers the first symbols in the order of a hash table that changes with
every process, and ties between pairs follow those numbers. So all first symbols are found here and
given in a fixed order; from there on its result is determined.

A symbol is a character with the mark of its place in the word: WordPiece marks what continues a
word (`##x`), GPT-1 what ends one (`x</w>`). Characters beyond COVERAGE of the text have no symbol
and are unknown.

Sources: Sennrich et al. 2016, arXiv:1508.07909, algorithm 1 (the mark of the end of a word); Kudo &
Richardson 2018, arXiv:1808.06226 (character coverage).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, Int64
from numpy import ndarray

import tokenizers
from hornbook.errors import TokenizerError
from hornbook.tokenizers.kinds.byte_bpe import MINIMUM_PAIR_COUNT
from hornbook.tokenizers.tokenizer import checked, code_points
from hornbook.tokenizers.vocabulary_size import too_little_text
from tokenizers import models, normalizers, pre_tokenizers, trainers

COVERAGE = 0.9995
"""The share of the text's characters that must have symbols."""

LONGEST_WORD = 1000
"""Characters: the library's time to learn from a word grows with the square of its length."""

CODE_POINTS = 0x110000
SPACE, ALONE, INSIDE = 1, 2, 3
"""What a character does: part words; be one by itself; stand inside one."""

CUT = {"type": "BertPreTokenizer"}
"""Words end at whitespace; each punctuation sign (ASCII's non-alphanumerics among them) is one."""


@dataclass(frozen=True)
class Mark:
    """How a symbol shows its place: a prefix if it continues a word, or a suffix if it ends one."""

    prefix: str = ""
    suffix: str = ""

    def on(self, character: str) -> str:
        """The character as it is written in that place."""
        return f"{self.prefix}{character}{self.suffix}"


def cleaning(lowercase: bool) -> dict[str, Any]:
    """BERT's normaliser: control characters go, ideographs are spaced, accents go with the case."""
    return {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": lowercase,
    }


def learn(
    texts: Iterable[str], vocab_size: int, specials: int, mark: Mark, lowercase: bool
) -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens in the order of their ids (symbols sorted, then merges), and the merges.

    vocab_size: ids in all, `specials` of them kept free for special tokens.

    Raises TokenizerError when the symbols do not fit, or the text has too few repeated pairs.
    """
    listed = [_with_long_words_cut(text) for text in checked(texts)]
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    plain, marked = count_symbols((normalizer.normalize_str(text) for text in listed), mark)
    alphabet = covering(plain + marked)
    symbols = sorted(c for c in alphabet if plain[ord(c)])
    symbols += sorted(mark.on(c) for c in alphabet if marked[ord(c)])
    fixed = len(symbols) + specials
    if vocab_size < fixed or not symbols:
        raise TokenizerError(
            f"A vocabulary of {vocab_size} cannot hold the text's {len(symbols)} symbols "
            f"({len(alphabet)} characters by their place in words) and {specials} special tokens: "
            f"set tokenizer.vocab_size to {max(fixed, specials + 1)} or more."
            if symbols
            else "There is no word in the text to train a tokenizer on: give more text."
        )
    tokens, merges = _merges(listed, vocab_size - specials, mark, normalizer, alphabet, symbols)
    if len(tokens) + specials < vocab_size:
        raise too_little_text(vocab_size, len(tokens) + specials)
    return tokens, merges


def _with_long_words_cut(text: str) -> str:
    """The text, words of more than LONGEST_WORD characters in parts; the rest is as it was."""
    if max(map(len, text.split()), default=0) <= LONGEST_WORD:
        return text
    return re.sub(rf"\S{{1,{LONGEST_WORD}}}", r"\g<0> ", text)


def count_symbols(
    texts: Iterable[str], mark: Mark
) -> tuple[Int64[ndarray, " code_points"], Int64[ndarray, " code_points"]]:
    """How often each character stands in words without the mark, and with it."""
    places = np.zeros(CODE_POINTS, dtype=np.int8)
    plain, marked = np.zeros((2, CODE_POINTS), dtype=np.int64)
    for text in texts:
        codes = code_points(text)
        _look_up_places(codes, places)
        place = places[codes]
        words = place != SPACE
        has_mark = (_begins(place[::-1])[::-1] if mark.suffix else ~_begins(place)) & words
        for counts, chosen in ((plain, words & ~has_mark), (marked, has_mark)):
            points, number = np.unique(codes[chosen], return_counts=True)
            counts[points] += number
    return plain, marked


def _begins(place: Int32[ndarray, " characters"]) -> Bool[ndarray, " characters"]:
    """Whether a word begins at each character of a text (backwards: whether one ends there)."""
    inside = place == INSIDE
    begins: Bool[ndarray, " characters"] = place != SPACE
    begins[1:] &= ~(inside[1:] & inside[:-1])
    return begins


def _look_up_places(
    codes: Int32[ndarray, " characters"], places: Int32[ndarray, " code_points"]
) -> None:
    """Ask the library about each character that is met for the first time: `a?a` is cut how?"""
    met = np.unique(codes)
    for point in met[places[met] == 0].tolist():
        pieces = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(f"a{chr(point)}a")
        places[point] = {1: INSIDE, 2: SPACE, 3: ALONE}[len(pieces)]


def covering(counts: Int64[ndarray, " code_points"]) -> list[str]:
    """The fewest characters that make up COVERAGE of the text, sorted; of equals the smaller."""
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    if not len(order):
        return []
    reached = np.cumsum(counts[order])
    needed = int(np.searchsorted(reached, COVERAGE * reached[-1])) + 1
    return sorted(map(chr, order[:needed].tolist()))


def _merges(
    texts: Sequence[str],
    size: int,
    mark: Mark,
    normalizer: Any,
    alphabet: Sequence[str],
    symbols: Sequence[str],
) -> tuple[list[str], list[tuple[str, str]]]:
    """What the library learns: at most `size` tokens, the symbols first."""
    # The library wants each character without its mark too; those that are no symbol go again.
    extra = sorted(set(alphabet) - set(symbols))
    library = tokenizers.Tokenizer(
        models.BPE(continuing_subword_prefix=mark.prefix, end_of_word_suffix=mark.suffix)
    )
    library.normalizer = normalizer
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=size + len(extra),
        min_frequency=MINIMUM_PAIR_COUNT,
        special_tokens=[*symbols, *extra],
        initial_alphabet=list(alphabet),
        limit_alphabet=len(alphabet),
        show_progress=False,
        continuing_subword_prefix=mark.prefix,
        end_of_word_suffix=mark.suffix,
    )
    library.train_from_iterator(texts, trainer)
    model: Mapping[str, Any] = json.loads(library.to_str())["model"]
    unused = set(extra)
    tokens = sorted(model["vocab"], key=lambda token: int(model["vocab"][token]))
    merges = [(left, right) for left, right in model["merges"]]
    return [token for token in tokens if token not in unused], merges
