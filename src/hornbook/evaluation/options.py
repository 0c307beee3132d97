"""Options of the stage `baseline`."""

from typing import Annotated

from pydantic import Field

from hornbook.models.ngrams import NORMALISED
from hornbook.recipe.options import Options, one_of


class BaselineOptions(Options):
    """Which n-gram model the trained one is compared with."""

    order: int = Field(5, ge=1, le=12, description="longest n-gram counted: tokens of history + 1")
    estimator: Annotated[str, one_of(NORMALISED)] = Field(
        "modified_kneser_ney",
        description="how counts become probabilities; one that gives every token one",
    )
    add_k: float = Field(1.0, gt=0, description='added to every count by the estimator "add_k"')
    maximum_tokens: int = Field(
        20_000_000,
        ge=1,
        description="training tokens counted at most, shared among sources by size "
        "(40 to 60 bytes each)",
    )
