"""Train a SentencePiece model, with every option that decides the result set here.

Sources: Kudo and Richardson 2018 (SentencePiece, arXiv:1808.06226); Kudo 2018 (unigram language
model, arXiv:1804.10959); Touvron et al. 2023 (LLaMA, arXiv:2302.13971), section 2.1 (single digits,
bytes for unknown characters); Raffel et al. 2020 (T5, arXiv:1910.10683), section 2.2.
"""

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import sentencepiece

from hornbook.errors import TokenizerError
from hornbook.tokenizers.files.sentencepiece_model import Piece, PieceType, read_model, with_pieces
from hornbook.tokenizers.special import SENTINELS, part_name
from hornbook.tokenizers.tokenizer import utf8
from hornbook.tokenizers.vocabulary_size import BYTES, too_little_text

SCORE_STEPS = 64
"""Unigram scores are rounded to 1/64. SentencePiece adds them in 32 bits, other programs in 64, and
cuts of equal score (four spaces and eight, or eight and four) are then chosen by a rounding error;
rounded so, sums down to -2^24/64 (of some 30,000 tokens) are exact in both, and so are the ids."""

OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "character_coverage": 0.99995,
        "max_sentence_length": 1 << 30,  # the default drops every line of more than 4192 bytes
        "max_sentencepiece_length": 16,
        "input_sentence_size": 0,
        "shuffle_input_sentence": False,
        "split_by_unicode_script": True,
        "split_by_number": True,
        "split_by_whitespace": True,
        "add_dummy_prefix": True,
        "hard_vocab_limit": False,  # `train_model` counts, and says what the text supports
        # Unigram sums counts thread by thread, and the last digit of a sum depends on how many
        # threads there are: a constant, so that every machine learns the same pieces.
        "num_threads": 4,
        "minloglevel": 3,
    }
)

NORMALIZATIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Newline and tab are pieces of their own: else they would become bytes, and a space
        # would stand before every line.
        "identity": {
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
            "allow_whitespace_only_pieces": True,
            "user_defined_symbols": ["\n", "\t"],
            "split_digits": True,
        },
        "nfkc": {
            "normalization_rule_name": "nmt_nfkc",
            "remove_extra_whitespaces": True,
            "allow_whitespace_only_pieces": False,
            "split_digits": False,
        },
    }
)

RESERVED = str.maketrans("\u2585", "\n")
"""The trainer means the unknown by this sign, and drops every text that has one: a line end parts
words as it does, and the sign itself becomes no piece."""

PART = re.compile(r".{1,4000}(?:\n|\Z)|.{4000}", re.DOTALL)
"""A text goes to the trainer in parts, which end at line ends if they can: Unigram's time grows
with the square of how far a text repeats itself, but not beyond a part's end."""


def train_model(
    texts: Iterable[str],
    model_type: str,
    vocab_size: int,
    special_tokens: Sequence[str],
    normalization: str,
    byte_fallback: bool,
) -> bytes:
    """The bytes of a `.model` file, learned from texts.

    special_tokens: take the first ids in their order, after <unk> where none of them means that;
    but T5's sentinels take the last.

    Raises TokenizerError where the text has fewer pieces than that, or more characters.
    """
    if normalization not in NORMALIZATIONS:
        raise TokenizerError(
            f"No normalization is called {normalization!r}: there are {', '.join(NORMALIZATIONS)}."
        )
    first = [name for name in special_tokens if name not in SENTINELS]
    last = [name for name in special_tokens if name in SENTINELS]
    if not part_name("unknown", first):
        first.insert(0, "<unk>")
    fixed = len(first) + len(last) + BYTES * byte_fallback
    if vocab_size <= fixed:
        raise _too_small(vocab_size, fixed + 1)
    options = {
        **OPTIONS,
        **NORMALIZATIONS[normalization],
        **_special_options(first),
        "model_type": model_type,
        "byte_fallback": byte_fallback,
        "vocab_size": vocab_size - len(last),
    }
    data = _learn(texts, options, len(last))
    learned = read_model(data, "The learned model").pieces
    reached = len(learned) + len(last)
    if reached < vocab_size:
        raise too_little_text(vocab_size, reached)
    if model_type == "unigram":
        learned = tuple(
            replace(piece, score=round(piece.score * SCORE_STEPS) / SCORE_STEPS)
            for piece in learned
        )
    sentinels = [Piece(name, 0.0, PieceType.CONTROL) for name in last]
    return with_pieces(data, [*learned, *sentinels])


def _special_options(names: Sequence[str]) -> dict[str, Any]:
    """Special tokens as the trainer takes them: the four that it knows by id, the rest in a list.

    The list fills the ids left free, in its order, so that every name's id is its place.
    """
    known = {
        "unk": part_name("unknown", names),
        "bos": part_name("begin_of_text", names),
        "eos": part_name("end_of_text", names),
        "pad": part_name("padding", names),
    }
    options: dict[str, Any] = {
        "control_symbols": [name for name in names if name not in known.values()]
    }
    for part, name in known.items():
        options[f"{part}_id"] = names.index(name) if name else -1
        if name:
            options[f"{part}_piece"] = name
    return options


def _learn(texts: Iterable[str], options: Mapping[str, Any], later: int) -> bytes:
    """Run the trainer; `later` counts the ids to be added after it, for messages."""
    written = io.BytesIO()
    failures: list[BaseException] = []
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_sentences(texts, failures), model_writer=written, **options
        )
    except RuntimeError as error:
        if failures:
            raise failures[0] from None
        needed = re.search(r"required_chars\. \d+ vs (\d+)", str(error))
        if needed:
            raise _too_small(options["vocab_size"] + later, int(needed[1]) + later) from None
        if "sentences_.empty()" in str(error):
            raise TokenizerError(
                "There is no text to learn pieces from: give texts that hold more than space."
            ) from None
        raise TokenizerError(f"SentencePiece cannot learn from this text: {error}") from None
    return written.getvalue()


def _sentences(texts: Iterable[str], failures: list[BaseException]) -> Iterator[str]:
    """The texts as the trainer can take them.

    What reading them raises is kept in `failures`: the library makes a RuntimeError of it.
    """
    try:
        for text in texts:
            utf8(text)
            for part in PART.finditer(text.translate(RESERVED)):
                yield part[0]
    except BaseException as error:
        failures.append(error)
        raise


def _too_small(vocab_size: int, needed: int) -> TokenizerError:
    return TokenizerError(
        f"A vocabulary of {vocab_size} cannot hold the special tokens, single bytes and characters "
        f"of this text: set tokenizer.vocab_size to {needed} or more."
    )
