"""Byte-level byte-pair encoding, as GPT-2 has it: no text is unknown, and common text is short.

Training cuts text into words (`patterns.py`), starts from single bytes, and again and again joins
the most frequent adjacent pair into a new token. Encoding cuts the same way and applies the joins
in the order they were learned. `byte_pair.py` is this in sixty readable lines; here the
`tokenizers` library learns and tiktoken encodes, both held equal to it.

Ids: the 256 bytes in GPT-2's order (`byte_map.py`), the merges in the order learned, the special
tokens last. Ties between equally frequent pairs go to the smaller pair of ids, so that training
gives the same tokenizer in any order of texts and with any number of threads.

Sources: Sennrich et al. 2016, arXiv:1508.07909; Radford et al. 2019 (GPT-2), section 2.2.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken
from jaxtyping import Int64
from numpy import ndarray

import tokenizers
from hornbook.errors import TokenizerError
from hornbook.tokenizers.byte_map import BYTE_ORDER, from_printable
from hornbook.tokenizers.files.definition import bpe_definition
from hornbook.tokenizers.files.recipes import Merge, beyond_merges
from hornbook.tokenizers.kinds.byte_parts import (
    LETTER,
    NUMBER,
    SIGN,
    ends_inside_words,
    seam_before,
)
from hornbook.tokenizers.kinds.endless import cut_endless_space, may_hold_endless_space
from hornbook.tokenizers.kinds.gigatoken_engine import GigatokenEngine, is_installed
from hornbook.tokenizers.kinds.in_parts import PART, TAIL, Ids, Seam, encode_in_parts
from hornbook.tokenizers.kinds.patterns import PATTERNS
from hornbook.tokenizers.special import CHAT, END_OF_TEXT, part_name
from hornbook.tokenizers.tokenizer import Tokenizer, checked, utf8
from hornbook.tokenizers.vocabulary_size import too_little_text
from tokenizers import models, pre_tokenizers, trainers

MINIMUM_PAIR_COUNT = 2
"""A pair that the text shows once is no pattern: it never becomes a token."""

MUCH_TEXT = 1 << 16
"""Characters from which on another engine is worth waking."""

WHOLE = r"[\s\S]+"
"""The pattern that cuts nothing."""


class ByteBPE(Tokenizer):
    """Byte-pair merges over bytes.

    tokens: bytes to id, the 256 single bytes among them; a smaller id merges first.
    merges: the pairs in the order learned; the files need them, encoding reads only the ids.
    pattern: the regular expression that cuts text into words; an empty one cuts nothing.
    """

    kind = "byte-bpe"

    def __init__(
        self,
        tokens: Mapping[bytes, int],
        merges: Sequence[Merge],
        pattern: str,
        special_tokens: Mapping[str, int],
        end_of_text_name: str = END_OF_TEXT,
    ) -> None:
        super().__init__(
            {number: token for token, number in tokens.items()}, special_tokens, end_of_text_name
        )
        self.tokens = dict(tokens)
        self.merges = tuple(merges)
        self.pattern = pattern
        self._is_known_cut = not pattern or pattern in PATTERNS.values()
        if not self._is_known_cut:
            _require_cuts(pattern)
        self._fast = self._engine(pattern if pattern and self._is_known_cut else WHOLE)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int = 4096,
        pattern: str = "cl100k",
        special_tokens: Sequence[str] = CHAT,
    ) -> "ByteBPE":
        """Learn merges from texts.

        vocab_size: ids in all, with the 256 bytes and the special tokens.
        pattern: a name of PATTERNS, or a regular expression.
        special_tokens: their names, which take the last ids.

        Of a word without end it learns in parts.

        Raises TokenizerError when the text has too few repeated pairs for so many tokens, and says
        how many it supports.
        """
        fixed = len(BYTE_ORDER) + len(special_tokens)
        if vocab_size < fixed:
            raise TokenizerError(
                f"A vocabulary of {vocab_size} cannot hold the {len(BYTE_ORDER)} bytes and "
                f"{len(special_tokens)} special tokens: set tokenizer.vocab_size to {fixed} or "
                "more."
            )
        expression = PATTERNS.get(pattern, pattern)
        _require_cuts(expression)
        tokens, merges = _learn(texts, vocab_size - len(special_tokens), expression)
        reached = len(tokens) + len(special_tokens)
        if reached < vocab_size:
            raise too_little_text(vocab_size, reached)
        specials = {name: len(tokens) + index for index, name in enumerate(special_tokens)}
        return cls(tokens, merges, expression, specials, part_name("end_of_text", specials))

    def encode(self, text: str) -> Int64[ndarray, " tokens"]:
        """The ids of a text, through tiktoken; what its engine gives up on, through the library.

        Endless whitespace is cut before tiktoken sees it (`endless.py`), and endless words are
        merged in parts (`in_parts.py`). All give the same ids for PATTERNS; others the two engines
        read differently (`^`, `$`), so the library cuts by them, as it did in training.
        """
        if not text.isascii():
            utf8(text)
        if not self._is_known_cut:
            return self._encode_exact(text)
        try:
            return self._run(self._fast, text) if len(text) < 2 * PART else self._encode_long(text)
        except ValueError:  # a backtracking limit
            return self._encode_exact(text)
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # Rust's: no Exception, not importable
                raise
            return self._encode_exact(text)

    def encode_batch(self, texts: Iterable[str]) -> list[Int64[ndarray, " tokens"]]:
        """`encode` for each text; much text goes through gigatoken, where that is installed."""
        listed = list(texts)
        if sum(map(len, listed)) < MUCH_TEXT or self._gigatoken is None:
            return super().encode_batch(listed)
        return self._gigatoken.encode_batch(listed)

    def _encode_long(self, text: str) -> Ids:
        """`encode`, whose time does not depend on how much of one kind stands in a row."""
        if not self.pattern or not may_hold_endless_space(text):
            return self._encode_in_parts(text, whole=not self.pattern)
        parts = cut_endless_space(text, self.pattern != PATTERNS["gpt2"])
        return np.concatenate([self._encode_in_parts(part, whole) for part, whole in parts])

    def _encode_in_parts(self, text: str, whole: bool) -> Ids:
        """The ids of a text that is cut by the pattern, or is one whole piece."""
        engine = self._whole if whole else self._fast
        if self._longest_token > TAIL:
            return self._run(engine, text)
        ends = _ends(text, whole, self.pattern)

        def encode(start: int, end: int) -> tuple[Ids, Seam | None]:
            ids = self._run(engine, text[start:end])
            last = end == len(text)
            return ids, None if last else seam_before(text, end, ids, self.byte_lengths)

        ids = encode_in_parts(len(text), ends, encode)
        return self._run(engine, text) if ids is None else ids

    def _encode_exact(self, text: str) -> Int64[ndarray, " tokens"]:
        """Through the library; ranks that its merges cannot say are merged piece by piece."""
        if not self._beyond_merges:
            return np.array(self._exact.encode(text, add_special_tokens=False).ids, dtype=np.int64)
        cut = self._exact.pre_tokenizer.pre_tokenize_str(text)
        ids = [self._run(self._whole, text[start:end]) for _, (start, end) in cut]
        return np.concatenate([np.zeros(0, dtype=np.int64), *ids])

    @staticmethod
    def _run(engine: tiktoken.Encoding, text: str) -> Int64[ndarray, " tokens"]:
        return engine.encode_to_numpy(text, disallowed_special=()).astype(np.int64)

    def _engine(self, pattern: str) -> tiktoken.Encoding:
        """tiktoken with these tokens and a cut; what a pattern does not match, it leaves out."""
        return tiktoken.Encoding(
            "hornbook",
            pat_str=pattern,
            mergeable_ranks=self.tokens,
            special_tokens=dict(self.special_tokens),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Without the faster engine, which belongs to this process's threads."""
        return {name: value for name, value in self.__dict__.items() if name != "_gigatoken"}

    def definition(self) -> dict[str, Any]:
        """The content of `tokenizer.json`.

        Raises TokenizerError for ranks that no list of merges says.
        """
        if self._beyond_merges:
            raise TokenizerError(
                "A tokenizer.json cannot hold this tokenizer: its token "
                f"{self._beyond_merges[0]!r} ranks below "
                'one of its own parts; save it with layout="tiktoken".'
            )
        return bpe_definition(self.tokens, self.merges, self.pattern, self.special_tokens)

    def save_pair(self, directory: str | Path) -> None:
        """Write GPT-2's two files; raises TokenizerError where they cannot hold this."""
        from hornbook.tokenizers.files.gpt2_files import save_pair  # which opens this kind

        save_pair(self, directory)

    def save_ranks(self, path: str | Path) -> None:
        """Write tiktoken's ranks, and what they lack beside them."""
        from hornbook.tokenizers.files.tiktoken_ranks import save_ranks  # which opens this kind

        save_ranks(self, path)

    def identity(self) -> dict[str, Any]:
        """The cut, and the bytes of every id in order."""
        by_id = sorted(self.tokens.items(), key=lambda item: item[1])
        return {
            "pattern": self.pattern,
            "tokens": [[number, token.hex()] for token, number in by_id],
        }

    @cached_property
    def _beyond_merges(self) -> list[bytes]:
        """Tokens that ranks reach and a list of merges does not."""
        return beyond_merges(self.tokens, self.merges)

    @cached_property
    def _whole(self) -> tiktoken.Encoding:
        """Merges a text as one piece."""
        return self._engine(WHOLE) if self.pattern else self._fast

    @cached_property
    def _longest_token(self) -> int:
        """Bytes."""
        return int(self.byte_lengths.max())

    @cached_property
    def _gigatoken(self) -> GigatokenEngine | None:
        """The faster engine, for what it knows: the cuts of PATTERNS, and tokens made by merges."""
        tokens = sorted(self.tokens.values())
        made = len(self.merges) + len(BYTE_ORDER) == len(tokens) == tokens[-1] + 1
        if not (is_installed() and made and self.pattern in PATTERNS.values()):
            return None
        return GigatokenEngine(self.tokens, self.merges, self.pattern, self.encode)

    @cached_property
    def _exact(self) -> Any:
        """The same tokenizer in the `tokenizers` library, made when first needed."""
        definition = bpe_definition(self.tokens, self.merges, self.pattern, special_tokens={})
        return tokenizers.Tokenizer.from_str(json.dumps(definition))


def _require_cuts(pattern: str) -> None:
    """Raise TokenizerError where the library that cuts by it cannot read a pattern."""
    try:
        tokenizers.Regex(pattern)
    except Exception as error:  # the library raises nothing narrower
        why = " ".join(str(error).split())
        raise TokenizerError(
            f"The pattern {pattern!r} cannot cut text into words ({why}): use one of "
            f"{', '.join(PATTERNS)}, or a regular expression that Oniguruma reads."
        ) from None


def _ends(text: str, whole: bool, pattern: str) -> Iterable[int]:
    """Where a text may be parted that is one whole piece, or cut by a pattern of PATTERNS."""
    if whole:
        return range(PART, len(text), PART)
    numbers = (NUMBER,) if pattern == PATTERNS["gpt2"] else ()  # the others cut digits apart
    return ends_inside_words(text, (LETTER, SIGN, *numbers))


def _without_endless_words(texts: Iterable[str], pattern: str) -> Iterator[str]:
    """The texts, in parts where a word is endless: the library's trainer is quadratic in a word."""
    for text in texts:
        if len(text) < 2 * PART or pattern not in PATTERNS.values():
            yield text
            continue
        for part, whole in cut_endless_space(text, pattern != PATTERNS["gpt2"]):
            for start, end in pairwise([0, *_ends(part, whole, pattern), len(part)]):
                yield part[start:end]


def _learn(texts: Iterable[str], size: int, pattern: str) -> tuple[dict[bytes, int], list[Merge]]:
    """Bytes and merges, at most `size` tokens, learned by the `tokenizers` library."""
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=MINIMUM_PAIR_COUNT,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
        show_progress=False,
    )
    library.train_from_iterator(_without_endless_words(checked(texts), pattern), trainer)
    model = json.loads(library.to_str())["model"]
    tokens = {from_printable(token): number for token, number in model["vocab"].items()}
    merges = [(from_printable(left), from_printable(right)) for left, right in model["merges"]]
    return tokens, merges
