"""Characters as tokens: one id a Unicode code point of the training text.

What has no token becomes its UTF-8 bytes (`byte_fallback`, so that nothing is lost), or the unknown
token. A character is a code point, not what a reader sees as one: `e` with a combining accent is
two. Encoding is one look-up in a table of all code points.

Ids: the 256 bytes where there is fallback, the characters in the order of their code points, the
special tokens last.

Sources: Al-Rfou et al. 2019 (characters as the units of a Transformer), arXiv:1808.04444; the way
out into bytes is SentencePiece's byte_fallback.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32, Int64
from numpy import ndarray

from hornbook.errors import TokenizerError
from hornbook.tokenizers.files.definition import added_tokens
from hornbook.tokenizers.special import CHAT, END_OF_TEXT, part_name, with_unknown
from hornbook.tokenizers.tokenizer import Tokenizer, code_points, utf8
from hornbook.tokenizers.vocabulary_size import BYTES, too_little_text

CODE_POINTS = 0x110000
NO_TOKEN = -1


class CharacterTokenizer(Tokenizer):
    """One id a character.

    characters: those that have an id, in code-point order.
    byte_fallback: whether the 256 bytes have ids too; without them a special token must mean
        unknown text.
    """

    kind = "character"

    def __init__(
        self,
        characters: str,
        byte_fallback: bool,
        special_tokens: Mapping[str, int],
        end_of_text_name: str = END_OF_TEXT,
    ) -> None:
        first = BYTES if byte_fallback else 0
        tokens = {byte: bytes([byte]) for byte in range(first)}
        for index, character in enumerate(characters):
            tokens[first + index] = utf8(character)
        super().__init__(tokens, special_tokens, end_of_text_name)
        self.characters = characters
        self.byte_fallback = byte_fallback
        self.lossless = byte_fallback
        self._require_sound_names()
        codes = code_points(characters)
        self._table: Int32[ndarray, " code_points"] = np.full(CODE_POINTS, NO_TOKEN, np.int32)
        self._table[codes] = np.arange(first, first + len(codes))

    def _require_sound_names(self) -> None:
        short = [name for name in self.special_tokens if len(name) == 1]
        if short:
            raise TokenizerError(
                f"The special token {short[0]!r} is a character, so that text would encode to it: "
                f"give it a longer name, such as <{short[0]}>."
            )
        if not self.byte_fallback and self.unknown is None:
            raise TokenizerError(
                "A character tokenizer without byte fallback needs a special token for unknown "
                "text, such as <unk>."
            )

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int = 4096,
        special_tokens: Sequence[str] = CHAT,
        byte_fallback: bool = True,
    ) -> "CharacterTokenizer":
        """Take the most frequent characters; of equally frequent ones the smaller code point.

        vocab_size: ids in all, with the bytes and the special tokens.
        byte_fallback: False adds `<unk>` where no special token means unknown text.

        Raises TokenizerError when the text has fewer characters, and says how many it supports.
        """
        names = tuple(special_tokens) if byte_fallback else with_unknown(special_tokens)
        fixed = len(names) + (BYTES if byte_fallback else 0)
        if vocab_size < max(fixed, 2):
            raise TokenizerError(
                f"A vocabulary of {vocab_size} cannot hold "
                f"{'256 bytes and ' if byte_fallback else ''}{len(names)} special tokens: set "
                f"tokenizer.vocab_size to {max(fixed, 2)} or more."
            )
        counts: Counter[str] = Counter()
        for text in texts:
            utf8(text)
            counts.update(text)
        if fixed + len(counts) < vocab_size:
            reached = fixed + len(counts)
            raise too_little_text(vocab_size, reached, f"it has {len(counts)} characters")
        frequent = sorted(counts, key=lambda character: (-counts[character], character))
        kept = "".join(sorted(frequent[: vocab_size - fixed]))
        first = vocab_size - len(names)
        specials = {name: first + index for index, name in enumerate(names)}
        return cls(kept, byte_fallback, specials, part_name("end_of_text", specials))

    def encode(self, text: str) -> Int64[ndarray, " tokens"]:
        """The ids of a text: one look-up a character, and bytes for those without a token."""
        utf8(text)
        codes = code_points(text)
        ids: Int64[ndarray, " tokens"] = self._table[codes].astype(np.int64)
        missing = ids == NO_TOKEN
        if not missing.any():
            return ids
        if not self.byte_fallback:
            ids[missing] = self.unknown
            return ids
        strange = codes[missing]
        sizes = np.ones(len(ids), dtype=np.int64)
        sizes[missing] = 1 + np.searchsorted([0x80, 0x800, 0x10000], strange, side="right")
        spread = np.repeat(ids, sizes)
        data = strange.tobytes().decode("utf-32-le").encode("utf-8")
        spread[np.repeat(missing, sizes)] = np.frombuffer(data, dtype=np.uint8)
        return spread

    def offsets(self, text: str) -> tuple[Int64[ndarray, " tokens"], Int64[ndarray, "tokens 2"]]:
        """The ids of a text, and for each the characters [start, end) that it stands for."""
        if self.byte_fallback:
            return super().offsets(text)
        places = np.arange(len(text), dtype=np.int64)
        return self.encode(text), np.stack([places, places + 1], axis=1)

    def definition(self) -> dict[str, Any]:
        """The content of `tokenizer.json`: byte-pair encoding without a merge, without a cut."""
        first = BYTES if self.byte_fallback else 0
        vocabulary = {f"<0x{byte:02X}>": byte for byte in range(first)}
        vocabulary |= {character: first + i for i, character in enumerate(self.characters)}
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added_tokens(self.special_tokens),
            "normalizer": None,
            "pre_tokenizer": None,
            "post_processor": None,
            "decoder": {
                "type": "Sequence",
                "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}],
            },
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None
                if self.byte_fallback
                else part_name("unknown", self.special_tokens),
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": self.byte_fallback,
                "ignore_merges": False,
                "vocab": {**vocabulary, **self.special_tokens},
                "merges": [],
            },
        }

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> "CharacterTokenizer":
        """The tokenizer whose `definition` this is; raises TokenizerError where it is none."""
        model = definition["model"]
        byte_fallback = bool(model["byte_fallback"])
        specials = {token["content"]: int(token["id"]) for token in definition["added_tokens"]}
        characters = "".join(sorted(token for token in model["vocab"] if len(token) == 1))
        found = cls(characters, byte_fallback, specials, part_name("end_of_text", specials))
        if found.definition() != definition:
            raise TokenizerError(
                "The definition of the character tokenizer is damaged: its tokens are not in the "
                "order of their code points, or not all there; save it again."
            )
        return found

    def identity(self) -> dict[str, Any]:
        """The characters in the order of their ids, and whether bytes come before them."""
        return {"characters": self.characters, "byte_fallback": self.byte_fallback}
