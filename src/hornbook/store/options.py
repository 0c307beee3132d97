"""What a recipe says about its token store."""

from pydantic import Field

from hornbook.recipe.options import Options


class StoreOptions(Options):
    """The section `[store]`."""

    shard_tokens: int = Field(
        default=33_554_432,
        ge=1,
        description="Tokens after which a file is closed at the next end of a document; what a "
        "kill can lose is one such file.",
    )
