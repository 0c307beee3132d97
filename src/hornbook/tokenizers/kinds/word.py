"""Words as tokens: the most frequent words of the training text, and one id for all others.

A word is a run of letters, digits and marks; each CJK ideograph is one by itself (Chinese writes no
spaces), and so is each other sign. Whitespace is dropped. `lowercase` also takes accents off.

The share of unknown words (`unknown`) belongs beside any figure of bytes per token: what has no
token costs next to nothing here, and is lost.

Sources: the cut is our own, after Bengio et al. 2003 (a vocabulary of frequent words and one symbol
for the rest), section 4, https://www.jmlr.org/papers/v3/bengio03a.html.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import tokenizers
from hornbook.errors import TokenizerError
from hornbook.tokenizers.kinds.word_pipeline import (
    WordPipeline,
    pipeline,
    read_pipeline,
    with_specials,
)
from hornbook.tokenizers.special import CHAT, part_name, with_unknown
from hornbook.tokenizers.tokenizer import checked
from hornbook.tokenizers.vocabulary_size import too_little_text
from tokenizers import trainers

WORD = r"\p{Han}|[\p{L}\p{N}\p{M}&&[^\p{Han}]]+|[^\s\p{L}\p{N}\p{M}]"
"""An ideograph; or a run of letters, digits and marks; or one other sign."""

CUT = {"type": "Split", "pattern": {"Regex": WORD}, "behavior": "Removed", "invert": True}
LOWERCASE = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Lowercase"},
        {"type": "NFD"},
        {"type": "StripAccents"},
        {"type": "NFC"},
    ],
}


class WordTokenizer(WordPipeline):
    """One id a word, the most frequent first; special tokens last, the unknown word among them."""

    kind = "word"
    edge_space = "before"

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int = 4096,
        special_tokens: Sequence[str] = CHAT,
        lowercase: bool = False,
    ) -> "WordTokenizer":
        """Count words; of equally frequent ones the first in code-point order is preferred.

        vocab_size: ids in all; `<unk>` joins the special tokens where none of them means unknown.
        lowercase: whether case and accents are dropped.

        Raises TokenizerError when the text has fewer words, and says how many it supports.
        """
        names = with_unknown(special_tokens)
        room = vocab_size - len(names)
        if room < 1:
            raise TokenizerError(
                f"A vocabulary of {vocab_size} cannot hold {len(names)} special tokens and a word: "
                f"set tokenizer.vocab_size to {len(names) + 1} or more."
            )
        words = _frequent(texts, room, lowercase)
        if len(words) < room:
            raise too_little_text(vocab_size, len(words) + len(names))
        ids, specials = with_specials(words, names)
        return cls.from_definition(_definition(ids, specials, lowercase))

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> "WordTokenizer":
        """The tokenizer whose `definition` this is; raises TokenizerError where it is damaged."""
        words, specials, end = read_pipeline(definition, "WordLevel")
        tokens = {number: b" " + word.encode() for word, number in words.items()}
        return cls(definition, tokens, specials, end)

    def as_written(self) -> Mapping[str, Any]:
        """The definition that the kind itself writes for these tokens and this casing."""
        lowercase = self._definition.get("normalizer") is not None
        return _definition(self._definition["model"]["vocab"], self.special_tokens, lowercase)

    @cached_property
    def longest_word(self) -> int:
        """Characters; a longer word is unknown."""
        return max(map(len, self._definition["model"]["vocab"]))


def _definition(
    ids: Mapping[str, int], specials: Mapping[str, int], lowercase: bool
) -> dict[str, Any]:
    model = {
        "type": "WordLevel",
        "vocab": dict(ids),
        "unk_token": part_name("unknown", specials),
    }
    return pipeline(LOWERCASE if lowercase else None, CUT, model, None, specials)


def _frequent(texts: Iterable[str], room: int, lowercase: bool) -> list[str]:
    """At most `room` words, by falling count, then code points; the library counts."""
    empty = _definition({"<unk>": 0}, {"<unk>": 0}, lowercase)
    library = tokenizers.Tokenizer.from_str(json.dumps(empty))
    trainer = trainers.WordLevelTrainer(vocab_size=room, special_tokens=[], show_progress=False)
    library.train_from_iterator(checked(texts), trainer)
    ids: dict[str, int] = json.loads(library.to_str())["model"]["vocab"]
    return sorted(ids, key=lambda word: ids[word])
