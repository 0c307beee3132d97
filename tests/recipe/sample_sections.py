"""Two sections of the kind that rooms declare, for the tests of the recipe."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hornbook.recipe.options import Options, one_of, unhashed

FILTERS = {"length": "rules:Length", "symbols": "rules:Symbols", "stop-words": "rules:StopWords"}


class CorpusOptions(Options):
    sources: tuple[str, ...] = Field(("python:code",), description="What is read.")
    validation_fraction: float = Field(0.05, ge=0, lt=1, description="Share held out.")
    maximum_line_bytes: int = Field(8_000_000, ge=1, description="Longer lines are dropped.")
    filters: tuple[Annotated[str, one_of(FILTERS)], ...] = Field(
        ("length",), description="Rules, in order.\nEach gives a reason."
    )
    deduplicate: bool = Field(True, description="Whether exact repeats are dropped.")


class PretrainingOptions(Options):
    steps: int = Field(1000, ge=1, description="Updates of the weights.")
    learning_rate: float = Field(1e-3, gt=0, description="The highest rate.")
    minimum_learning_rate: float = Field(1e-4, ge=0, description="The lowest rate.")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="Which rule updates.")
    weights: dict[str, float] = Field({"code": 1.0, "docs": 2.0}, description="Of the sources.")
    run_name: str = Field("", description="A name.")
    device: Literal["auto", "cpu", "cuda"] = unhashed("auto", description="Where it runs.")
    threads: int | Literal["auto"] = unhashed("auto", description="How many threads.")

    @model_validator(mode="after")
    def _rates_are_ordered(self) -> Self:
        if self.minimum_learning_rate > self.learning_rate:
            raise ValueError("minimum_learning_rate must not be above learning_rate")
        return self


SECTIONS = {"corpus": CorpusOptions, "pretraining": PretrainingOptions}
