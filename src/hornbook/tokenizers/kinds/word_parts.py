"""Where a pipeline that cuts words may part a long text: between two words, else inside one.

What the steps of the kinds' own pipelines make of a character is asked of them, once each: they
look at one character at a time, but for the composing of characters after accents are dropped. So
no Korean letter is parted there from the one before, and no mark from what it stands on.
"""

import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

from hornbook.tokenizers.kinds.in_parts import PART, TAIL
from hornbook.tokenizers.kinds.word_merges import ALONE, INSIDE, SPACE

VANISHES = 0
"""What a character does, beside SPACE, ALONE and INSIDE."""

SEARCHED = 64
"""Characters in which the end of a word is looked for."""

MARGIN = 8
"""Characters of a word that are looked at beyond what is encoded twice, before it and after."""


class WordParts:
    """Places in texts.

    words: a text as its words, one space between two.
    inside: whether words may be parted.
    """

    def __init__(self, words: Callable[[str], str], inside: bool) -> None:
        self._words = words
        self._inside = inside
        self._composes = words("e\u0301") != "e\u0301"
        self.place_of = cache(self._look_up_place)

    def ends(self, text: str) -> Iterator[int]:
        """Places about PART apart."""
        for target in range(PART, len(text), PART):
            near = range(target, target - SEARCHED, -1)
            between = next((place for place in near if self.is_between(text, place)), None)
            if between is not None:
                yield between
            elif self._inside and self._is_inside(text[target - TAIL - MARGIN : target + MARGIN]):
                yield target

    def is_between(self, text: str, place: int) -> bool:
        """Whether one word has ended before that character, however the text goes on."""
        edges = {self.place_of(text[place - 1]), self.place_of(text[place])}
        return bool(edges & {SPACE, ALONE}) and not self._joins(text[place])

    def _is_inside(self, text: str) -> bool:
        """Whether a text is part of one word, of which every character stays."""
        return len(text) == TAIL + 2 * MARGIN and all(
            self.place_of(character) == INSIDE and not self._joins(character)
            for character in set(text)
        )

    def _joins(self, character: str) -> bool:
        """Whether it may become one with the characters before it."""
        jamo = "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7ff"
        return self._composes and (jamo or unicodedata.category(character)[0] == "M")

    def _look_up_place(self, character: str) -> int:
        words = self._words(f"a{character}a").split(" ")
        if len(words) == 1:
            return INSIDE if self._words(character) else VANISHES
        return SPACE if len(words) == 2 else ALONE
