"""Kinds whose inner loop is a pipeline of the `tokenizers` library: normalise, cut, look up.

A subclass trains such a pipeline, or reads one; here it is run. The pipeline's definition, the
content of a `tokenizer.json`, is all there is to it: it is what is saved, and what is hashed.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

import tokenizers
from hornbook.tokenizers.special import END_OF_TEXT
from hornbook.tokenizers.tokenizer import Tokenizer, utf8


class LibraryTokenizer(Tokenizer):
    """A pipeline of the `tokenizers` library.

    definition: the content of a `tokenizer.json`.
    tokens: the bytes that each ordinary id shows in decoded text (see `Tokenizer`).
    """

    lossless = False

    def __init__(
        self,
        definition: Mapping[str, Any],
        tokens: Mapping[int, bytes],
        special_tokens: Mapping[str, int],
        end_of_text_name: str = END_OF_TEXT,
    ) -> None:
        super().__init__(tokens, special_tokens, end_of_text_name)
        self._definition = definition

    def encode(self, text: str) -> Int64[ndarray, " tokens"]:
        """The ids of a text, through the library."""
        utf8(text)
        return np.array(self._library.encode(text, add_special_tokens=False).ids, dtype=np.int64)

    def encode_batch(self, texts: Iterable[str]) -> list[Int64[ndarray, " tokens"]]:
        """`encode` for each text, by all of the library's threads."""
        listed = list(texts)
        for text in listed:
            utf8(text)
        encoded = self._library.encode_batch_fast(listed, add_special_tokens=False)
        return [np.array(one.ids, dtype=np.int64) for one in encoded]

    def offsets(self, text: str) -> tuple[Int64[ndarray, " tokens"], Int64[ndarray, "tokens 2"]]:
        """The ids of a text, and for each the characters [start, end) that it was made from."""
        utf8(text)
        encoded = self._library.encode(text, add_special_tokens=False)
        spans = np.array(encoded.offsets, dtype=np.int64).reshape(-1, 2)
        return np.array(encoded.ids, dtype=np.int64), spans

    def normalize(self, text: str) -> str:
        """The text after the pipeline's normaliser."""
        normalizer = self._library.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def definition(self) -> dict[str, Any]:
        """The content of `tokenizer.json`."""
        return dict(self._definition)

    def identity(self) -> dict[str, Any]:
        """The pipeline itself."""
        return {"definition": self._definition}

    @cached_property
    def _library(self) -> Any:
        library = tokenizers.Tokenizer.from_str(json.dumps(self._definition))
        library.encode_special_tokens = True  # text that looks like a special token stays text
        return library

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_library"}
