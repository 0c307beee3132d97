import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field
from sample_sections import SECTIONS

from hornbook.recipe.options import Options
from hornbook.recipe.recipe import read, to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBER = st.floats(0, 1e6, allow_nan=False)


def test_every_default_is_written_under_its_description() -> None:
    text = to_toml(read({}, SECTIONS))
    tables = tomllib.loads(text)
    for name, options in SECTIONS.items():
        assert set(tables[name]) == set(options.model_fields)
    assert "# Updates of the weights.\nsteps = 1000\n" in text
    assert "# Rules, in order. Each gives a reason.\nfilters" in text


@settings(deadline=None, max_examples=50)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "sources": st.lists(TEXT, max_size=3),
            "validation_fraction": st.floats(0, 0.999),
            "deduplicate": st.booleans(),
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "learning_rate": st.floats(1e-4, 10),
            "weights": st.dictionaries(TEXT, NUMBER, max_size=3),
            "run_name": TEXT,
            "threads": st.integers(1, 64) | st.just("auto"),
        },
    ),
)
def test_what_is_written_reads_back_equal(corpus: Any, pretraining: Any) -> None:
    recipe = read({"corpus": corpus, "pretraining": pretraining}, SECTIONS)
    text = to_toml(recipe)
    again = read(tomllib.loads(text), SECTIONS)
    assert again == recipe
    assert to_toml(again) == text


def test_tables_in_lists_and_empty_tables_keep_their_section() -> None:
    class Mixed(Options):
        parts: tuple[dict[str, float], ...] = Field(({"a": 1.0}, {"b": 2.0}), description="p")
        empty: dict[str, float] = Field({}, description="e")
        last: int = Field(1, description="l")

    recipe = read({}, {"mixed": Mixed, **SECTIONS})
    assert read(tomllib.loads(to_toml(recipe)), {"mixed": Mixed, **SECTIONS}) == recipe
    assert tomllib.loads(to_toml(recipe))["mixed"]["last"] == 1


def test_a_borrowed_section_says_only_where_it_comes_from() -> None:
    recipe = read({"corpus": {"from": "runs/web"}}, SECTIONS)
    assert tomllib.loads(to_toml(recipe))["corpus"] == {"from": "runs/web"}
    assert read(tomllib.loads(to_toml(recipe)), SECTIONS) == recipe
