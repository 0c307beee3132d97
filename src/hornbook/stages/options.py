"""The recipe section that belongs to the run as a whole."""

from pydantic import Field

from hornbook.recipe.options import Options


class RunOptions(Options):
    """What every stage shares."""

    seed: int = Field(
        default=1, ge=0, lt=2**63, description="Seed of every random choice in the run."
    )
