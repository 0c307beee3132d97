"""Kinds that cut text into words first and drop the space between them.

What they share: how a text looks as words, how ids look as text, and what a definition must hold
to be one. Each kind adds its model: whole words (`word.py`), merges (`word_bpe.py`), pieces
(`wordpiece.py`).
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from hornbook.errors import TokenizerError
from hornbook.tokenizers.files.definition import added_tokens
from hornbook.tokenizers.kinds.in_parts import PART, TAIL, Ids, Seam, encode_in_parts
from hornbook.tokenizers.kinds.library import LibraryTokenizer
from hornbook.tokenizers.kinds.word_parts import WordParts
from hornbook.tokenizers.special import END_OF_TEXT, part_name
from hornbook.tokenizers.tokenizer import utf8


class WordPipeline(LibraryTokenizer):
    """A pipeline of the `tokenizers` library that cuts text into words.

    Text that holds no unknown word comes back as `normalize` shows it. Raises TokenizerError where
    the library refuses the definition, or text would encode to a special token.
    """

    def __init__(
        self,
        definition: Mapping[str, Any],
        tokens: Mapping[int, bytes],
        special_tokens: Mapping[str, int],
        end_of_text_name: str = END_OF_TEXT,
    ) -> None:
        super().__init__(definition, tokens, special_tokens, end_of_text_name)
        if self.edge_space == "before":  # a name stands among words as a word
            for number in special_tokens.values():
                self._shown[number] = b" " + self._shown[number]
        try:
            cut = self._library.pre_tokenizer
        except Exception as error:  # the library raises nothing narrower
            raise TokenizerError(
                f"The {self.kind} tokenizer's definition is damaged: the tokenizers library says "
                f"{error}."
            ) from None
        if cut is None:
            raise TokenizerError(
                f"The {self.kind} tokenizer's definition is damaged: it cuts no words."
            )
        self._refuse_names_in_text()

    def _refuse_names_in_text(self) -> None:
        """A special token lies in the library's vocabulary, so the cut must keep text off it."""
        for name, number in self.special_tokens.items():
            if number != self.unknown and number in self.encode(f"{name} {name}{name}"):
                raise TokenizerError(
                    f"The special token {name!r} looks like an ordinary word, so that text would "
                    f"encode to it: give it a name with signs, such as <{name}>."
                )

    def encode(self, text: str) -> Ids:
        """The ids of a text, through the library; of a long one in parts."""
        if len(text) < 2 * PART or self._parts is None:
            return super().encode(text)
        utf8(text)
        ids = encode_in_parts(
            len(text), self._parts.ends(text), lambda start, end: self._part(text, start, end)
        )
        return super().encode(text) if ids is None else ids

    def encode_batch(self, texts: Iterable[str]) -> list[Ids]:
        """`encode` for each text, by all of the library's threads but for endless words."""
        listed = list(texts)
        apart = [self._independent_parts(text) for text in listed]
        encoded = iter(super().encode_batch(part for parts in apart for part in parts))
        return [
            np.concatenate([next(encoded) for _ in parts]) if parts else self.encode(text)
            for text, parts in zip(listed, apart, strict=True)
        ]

    def _independent_parts(self, text: str) -> list[str]:
        """The text in parts that end between words, or as a whole; none if one ends inside."""
        if len(text) < 2 * PART or self._parts is None:
            return [text]
        utf8(text)
        ends = [*self._parts.ends(text)]
        if not all(self._parts.is_between(text, end) for end in ends):
            return []
        return [text[start:end] for start, end in pairwise([0, *ends, len(text)])]

    def _part(self, text: str, start: int, end: int) -> tuple[Ids, Seam | None]:
        """The ids of the characters [start, end), and how the next part takes over."""
        encoded = self._library.encode(text[start:end], add_special_tokens=False)
        ids = np.array(encoded.ids, dtype=np.int64)
        if end == len(text) or self._parts is None:
            return ids, None
        if self._parts.is_between(text, end):
            return ids, (len(ids), end)
        if self.longest_word is not None:
            return ids, (len(ids) - 1, end - TAIL)
        begins = (begin for begin, _ in encoded.offsets)
        again = end - start - TAIL
        number, begin = next(((n, b) for n, b in enumerate(begins) if b >= again), (0, 0))
        return ids, (number, start + begin) if begin else None

    def normalize(self, text: str) -> str:
        """The text's words as the kind sees them, one space between two."""
        seen = super().normalize(text)
        return " ".join(word for word, _ in self._library.pre_tokenizer.pre_tokenize_str(seen))

    @property
    def longest_word(self) -> int | None:
        """Characters; a longer word is unknown, one id. None: its characters are merged."""
        return None

    @abstractmethod
    def as_written(self) -> Mapping[str, Any]:
        """The definition that the kind itself writes for these tokens and this casing."""

    @cached_property
    def _parts(self) -> WordParts | None:
        """Where texts may be parted; None for anyone else's steps, which may look further."""
        if self._definition != self.as_written():
            return None
        return WordParts(self.normalize, inside=(self.longest_word or 0) < TAIL)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_parts"}


def pipeline(
    normalizer: Mapping[str, Any] | None,
    pre_tokenizer: Mapping[str, Any],
    model: Mapping[str, Any],
    decoder: Mapping[str, Any] | None,
    special_tokens: Mapping[str, int],
) -> dict[str, Any]:
    """The content of a `tokenizer.json` of these steps."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(special_tokens),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }


def read_pipeline(
    definition: Mapping[str, Any], model_type: str
) -> tuple[dict[str, int], dict[str, int], str]:
    """Ordinary tokens and special tokens by name, and the name that ends a text.

    Raises TokenizerError for a model of another type, or one whose ids are not 0 to n - 1.
    """
    model = definition["model"]
    if model.get("type") != model_type:
        raise TokenizerError(
            f"The definition holds a model of type {model.get('type')!r}, not {model_type!r}: it "
            "is another kind's, or damaged."
        )
    vocabulary: dict[str, int] = dict(model["vocab"])
    numbers = [number for number in vocabulary.values() if isinstance(number, int)]
    if sorted(numbers) != list(range(len(vocabulary))):
        raise TokenizerError(
            f"The ids of the {model_type} vocabulary are not 0 to {len(vocabulary) - 1}, each "
            "once: the file is damaged; fetch or save it again."
        )
    specials = {token["content"]: int(token["id"]) for token in definition["added_tokens"]}
    strayed = [name for name, number in specials.items() if vocabulary.pop(name, None) != number]
    if strayed or not part_name("unknown", specials) or not vocabulary:
        fault = f"{strayed[0]!r} has another id there" if strayed else "it has no unknown token"
        raise TokenizerError(
            f"The special tokens do not fit the {model_type} vocabulary ({fault}): the file is "
            "damaged; fetch or save it again."
        )
    return vocabulary, specials, part_name("end_of_text", specials)


def with_specials(
    tokens: Sequence[str], special_tokens: Sequence[str], first: bool = False
) -> tuple[dict[str, int], dict[str, int]]:
    """Ids for tokens in their order, the special ones after them (or first): all, and specials.

    Raises TokenizerError where a special token's name is an ordinary token.
    """
    taken = set(tokens).intersection(special_tokens)
    if taken:
        raise TokenizerError(
            f"The special token {min(taken)!r} is a token of the text too: give it another name, "
            f"such as <{min(taken)}>."
        )
    ordered = [*special_tokens, *tokens] if first else [*tokens, *special_tokens]
    ids = {token: number for number, token in enumerate(ordered)}
    return ids, {name: ids[name] for name in special_tokens}
