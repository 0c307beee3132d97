"""What a recipe says about its token store."""

from typing import Annotated, Literal

from pydantic import Field

from hornbook.recipe.options import Options, unhashed
from hornbook.tokenizers.special import Where

Workers = Annotated[int, Field(ge=1)]


class StoreOptions(Options):
    """The section `[store]`."""

    shard_tokens: int = Field(
        default=33_554_432,
        ge=1,
        description="Tokens after which a file is closed at the next end of a document; what a "
        "kill can lose is one such file.",
    )
    separator: Where = Field(
        default="end",
        description="Where each document has a special token: at its end (the tokenizer's "
        "end-of-text), at its start (the tokenizer's begin-of-text, or end-of-text where it has "
        "none), or both.",
    )
    workers: Workers | Literal["auto"] = unhashed(
        "auto",
        description="Threads that encode text, each by a copy (`copy.deepcopy`) of the tokenizer; "
        '"auto" is one a core. The ids are the same.',
    )
