from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError
from sample_sections import CorpusOptions, PretrainingOptions

from hornbook.recipe.options import Options, unhashed


class Inner(BaseModel):
    n: int = 1


@pytest.mark.parametrize(
    ("annotation", "field", "complaint"),
    [
        (int, Field(description="n"), "default"),
        (int, Field(default_factory=int, description="n"), "default"),
        (int, Field(1), "description"),
        (int | None, Field(1, description="n"), "None"),
        (Literal["a", None], Field("a", description="n"), "None"),
        (tuple[int | None, ...], Field((), description="n"), "None"),
        (dict[str, Annotated[int | None, "why"]], Field({}, description="n"), "None"),
        (list[int], Field([], description="n"), "type"),
        (tuple, Field((), description="n"), "type"),
        (dict[int, str], Field({}, description="n"), "names of its table"),
        (Path, Field(Path(), description="n"), "type"),
        (Inner, Field(Inner(), description="n"), "type"),
    ],
)
def test_a_badly_declared_option_is_refused_where_it_is_written(
    annotation: Any, field: Any, complaint: str
) -> None:
    with pytest.raises(TypeError, match=rf"Bad\.n .*{complaint}"):
        type("Bad", (Options,), {"__annotations__": {"n": annotation}, "n": field})


def test_every_kind_that_toml_holds_is_accepted() -> None:
    kinds: list[tuple[Any, Any]] = [
        (str, "x"),
        (bool, True),
        (int | Literal["auto"], "auto"),
        (tuple[str, int], ("a", 1)),
        (dict[str, tuple[float, ...]], {"a": (1.0,)}),
    ]
    for annotation, value in kinds:
        namespace = {"__annotations__": {"n": annotation}, "n": Field(value, description="n")}
        assert type("Good", (Options,), namespace)().n == value


def test_options_are_frozen_and_lists_become_tuples() -> None:
    options = CorpusOptions.model_validate({"sources": ["a", "b"]})
    assert options.sources == ("a", "b")
    with pytest.raises(ValidationError):
        options.sources = ("c",)


@pytest.mark.parametrize(
    "given",
    [
        {"steps": True},
        {"steps": 3.0},
        {"steps": "3"},
        {"learning_rate": "0.1"},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"run_name": 3},
        {"weights": {"code": None}},
        {"lerning_rate": 0.1},
    ],
)
def test_nothing_is_converted_by_guessing(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PretrainingOptions.model_validate(given)


def test_a_whole_number_is_a_number() -> None:
    rate = PretrainingOptions.model_validate({"learning_rate": 1}).learning_rate
    assert (rate, type(rate)) == (1.0, float)


def test_hashed_leaves_out_what_is_declared_unhashed() -> None:
    assert set(PretrainingOptions().hashed()) == {
        "steps",
        "learning_rate",
        "minimum_learning_rate",
        "optimizer",
        "weights",
        "run_name",
    }


def test_defaults_are_not_shared_between_options() -> None:
    PretrainingOptions().weights["code"] = 9.0
    assert PretrainingOptions().weights["code"] == 1.0


def test_unhashed_still_checks_its_value() -> None:
    class Threads(Options):
        n: int = unhashed(1, ge=1, description="n")

    with pytest.raises(ValidationError):
        Threads(n=0)
