"""Options of the stage `baseline`."""

from pydantic import Field

from hornbook.recipe.options import Options


class BaselineOptions(Options):
    """Which n-gram model the trained one is compared with."""

    order: int = Field(5, ge=1, le=12, description="longest n-gram counted: tokens of history + 1")
    maximum_tokens: int = Field(
        20_000_000,
        ge=1,
        description="training tokens counted at most, shared among sources by size (65 bytes each)",
    )
