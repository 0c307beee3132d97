"""What a recipe says about its tokenizer."""

from typing import Annotated, Literal

from pydantic import Field

from hornbook.recipe.options import Options, one_of
from hornbook.tokenizers import TOKENIZERS


class TokenizerOptions(Options):
    """The section `[tokenizer]`."""

    kind: Annotated[str, one_of(TOKENIZERS)] = Field(
        default="byte-bpe",
        description="Kind of tokenizer: byte-level byte-pair encoding, or plain bytes.",
    )
    vocab_size: int = Field(
        default=4096,
        ge=260,
        le=1_000_000,
        description="Number of ids, the 256 bytes and the 4 special tokens included.",
    )
    pattern: Literal["gpt2", "cl100k", "digits"] = Field(
        default="cl100k",
        description="How text is cut into words before merging (byte-bpe).",
    )
    training_bytes: int = Field(
        default=16_000_000,
        ge=100_000,
        le=2_000_000_000,  # the trainer counts pairs in 32 bits
        description="Bytes of text the merges are learned from: an even sample when there is more.",
    )
