"""What a recipe says about its tokenizer."""

from typing import Annotated, Any, Literal

from pydantic import Field

from hornbook.recipe.options import Options, one_of
from hornbook.tokenizers import OPTIONS_OF, TOKENIZERS
from hornbook.tokenizers.special import SPECIAL_SETS
from hornbook.tokenizers.vocabulary_size import BYTES

SIZES = range(8, 1_000_001)
"""Numbers of ids that a tokenizer may be asked to have."""


class TokenizerOptions(Options):
    """The section `[tokenizer]`."""

    kind: Annotated[str, one_of(TOKENIZERS)] = Field(
        default="byte-bpe",
        description="Kind of tokenizer, one of the table.",
    )
    vocab_size: int = Field(
        default=4096,
        ge=SIZES.start,
        le=SIZES[-1],
        description="Number of ids, single bytes or characters and special tokens included.",
    )
    special_tokens: Literal["chat", "gpt2", "gpt1", "bert", "llama", "t5", "glm"] = Field(
        default="chat",
        description="Which special tokens are reserved: chat tuning needs chat or glm.",
    )
    pattern: Literal["gpt2", "cl100k", "digits"] = Field(
        default="cl100k",
        description="How text is cut into words before merging (byte-bpe).",
    )
    lowercase: bool = Field(
        default=False,
        description="Whether case and accents are dropped (word, bpe, wordpiece).",
    )
    normalization: Literal["identity", "nfkc"] = Field(
        default="identity",
        description="How text is changed first (sentencepiece): not at all, or to its compatible "
        "forms with single spaces, as T5 does.",
    )
    byte_fallback: bool = Field(
        default=True,
        description="Whether a character without a token becomes its bytes instead of the unknown "
        "token (character, sentencepiece).",
    )
    training_bytes: int = Field(
        default=16_000_000,
        ge=100_000,
        le=2_000_000_000,  # the trainer counts pairs in 32 bits
        description="Bytes of text to learn from: an even sample when there is more.",
    )

    def of_kind(self) -> dict[str, Any]:
        """What the chosen kind's training takes; a plug-in takes nothing."""
        if self.kind not in OPTIONS_OF:
            return {}
        named = ("special_tokens", *OPTIONS_OF[self.kind])
        return {name: getattr(self, name) for name in named}

    def unused(self) -> list[str]:
        """Options that are set, and that the chosen kind does not read."""
        read = {"kind", "vocab_size", "training_bytes", *self.of_kind()}
        fields = type(self).model_fields
        return [
            name
            for name, field in fields.items()
            if name not in read and getattr(self, name) != field.default
        ]

    def size_fault(self) -> str:
        """What is wrong with the vocabulary's size before any text is seen; "" if nothing."""
        specials = len(SPECIAL_SETS[self.special_tokens])
        fixed = specials + BYTES * (self.kind in ("byte", "byte-bpe"))
        if self.kind == "byte" and self.vocab_size != fixed:
            return f"a tokenizer of bytes has {fixed} ids, special tokens included; set it to that"
        if self.kind in TOKENIZERS and self.vocab_size < fixed:
            return f"{fixed} ids are taken before anything is learnt; set at least that"
        return ""
