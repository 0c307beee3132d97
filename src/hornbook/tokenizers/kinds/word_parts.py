"""Where a pipeline that cuts words may part a long text: between two words, else inside one.

What its steps make of a character is asked of the pipeline itself, once each. That is enough where
they look at one character at a time; only where they compose characters is no mark parted from what
it stands on, and no Korean letter from the one before.
"""

import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

from hornbook.tokenizers.kinds.in_parts import PART
from hornbook.tokenizers.kinds.word_merges import ALONE, INSIDE, SPACE

VANISHES = 0
"""What a character does, beside SPACE, ALONE and INSIDE: the pipeline drops it."""

SEARCHED = 64
"""Characters in which the end of a word is looked for."""

MARGIN = 8
"""Characters of a word after a seam inside it, and before what is encoded twice."""

SAFE_STEPS = {"BertNormalizer", "Lowercase", "NFD", "StripAccents", "NFC"}
"""Normalisers that look at one character at a time, or compose."""


class WordParts:
    """Places in texts.

    words: a text as its words, one space between two.
    tail: characters before a seam inside a word that are encoded twice.
    """

    def __init__(self, words: Callable[[str], str], tail: int) -> None:
        self._words = words
        self._tail = tail
        self._composes = words("e\u0301") != "e\u0301"
        self.place_of = cache(self._look_up_place)

    def ends(self, text: str) -> Iterator[int]:
        """Places about PART apart."""
        for target in range(PART, len(text), PART):
            near = range(target, target - SEARCHED, -1)
            between = next((place for place in near if self.is_between(text, place)), None)
            if between is not None:
                yield between
            elif self._is_inside(text[max(0, target - self._tail - MARGIN) : target + MARGIN]):
                yield target

    def is_between(self, text: str, place: int) -> bool:
        """Whether one word has ended before that character, however the text goes on."""
        edges = {self.place_of(text[place - 1]), self.place_of(text[place])}
        return bool(edges & {SPACE, ALONE}) and not self._joins(text[place])

    def _is_inside(self, text: str) -> bool:
        """Whether a text is part of one word, of which every character stays."""
        return len(text) == self._tail + 2 * MARGIN and all(
            self.place_of(character) == INSIDE and not self._joins(character)
            for character in set(text)
        )

    def _joins(self, character: str) -> bool:
        """Whether it may become one with the characters before it."""
        jamo = "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7ff"
        return self._composes and (jamo or unicodedata.category(character)[0] == "M")

    def _look_up_place(self, character: str) -> int:
        between = self._words(f"a{character}a").count(" ")
        if between == 0 and not self._words(character):
            return VANISHES
        return {0: INSIDE, 1: SPACE, 2: ALONE}[between]
