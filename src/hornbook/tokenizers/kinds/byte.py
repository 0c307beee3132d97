"""Bytes as tokens: id = byte value, special tokens after them. Nothing to train, nothing lost.

Source: Xue et al. 2022 (ByT5, arXiv:2105.13626), section 3; there three special tokens come first,
here they come last, as in every tokenizer of this package.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from hornbook.errors import TokenizerError
from hornbook.tokenizers.files.definition import bpe_definition
from hornbook.tokenizers.special import CHAT, END_OF_TEXT, part_name
from hornbook.tokenizers.tokenizer import Tokenizer, utf8
from hornbook.tokenizers.vocabulary_size import BYTES


class ByteTokenizer(Tokenizer):
    """One id a byte of UTF-8."""

    kind = "byte"

    def __init__(
        self,
        special_tokens: Mapping[str, int] | None = None,
        end_of_text_name: str = END_OF_TEXT,
    ) -> None:
        if special_tokens is None:
            special_tokens = {name: BYTES + index for index, name in enumerate(CHAT)}
        super().__init__(
            {byte: bytes([byte]) for byte in range(BYTES)}, special_tokens, end_of_text_name
        )

    @classmethod
    def train(
        cls,
        texts: Iterable[str] = (),
        vocab_size: int = BYTES + len(CHAT),
        special_tokens: Sequence[str] = CHAT,
    ) -> "ByteTokenizer":
        """The one byte tokenizer there is for these special tokens; the texts are not read.

        Raises TokenizerError for any other vocabulary size.
        """
        size = BYTES + len(special_tokens)
        if vocab_size != size:
            raise TokenizerError(
                f"A byte tokenizer has {size} ids (256 bytes, {len(special_tokens)} special "
                f"tokens), not {vocab_size}: set tokenizer.vocab_size to {size}."
            )
        ids = {name: BYTES + index for index, name in enumerate(special_tokens)}
        return cls(ids, part_name("end_of_text", ids))

    def encode(self, text: str) -> Int64[ndarray, " tokens"]:
        """The bytes of the text's UTF-8."""
        return np.frombuffer(utf8(text), dtype=np.uint8).astype(np.int64)

    def definition(self) -> dict[str, Any]:
        """The content of `tokenizer.json`: byte-pair encoding without a merge, without a cut."""
        tokens = {bytes([byte]): byte for byte in range(BYTES)}
        return bpe_definition(tokens, [], "", self.special_tokens)

    def identity(self) -> dict[str, Any]:
        """Nothing beyond the kind and the special tokens."""
        return {}
