"""Two runs side by side."""

from collections.abc import Callable
from pathlib import Path

from hornbook.reporting.comparison import compare, write_comparison
from hornbook.runs.directory import RunDirectory


def test_only_the_differing_keys_are_shown(
    make: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    demo = make(tmp_path / "demo")
    other = make(
        tmp_path / "红楼",
        demo.recipe_path.read_text(encoding="utf-8")
        .replace("0.001", "0.002")
        .replace("seed = 1", "seed = 1\nextra = true"),
    )
    compared = compare(demo, other)
    assert set(compared.differences) == {
        ("pretraining.learning_rate", "0.001", "0.002"),
        ("run.extra", "-", "yes"),
    }
    assert ("bits per byte, code", "1.6700", "1.6700") in compared.results
    assert ("answers well-formed", "78 of 100", "78 of 100") in compared.results
    text = compared.render()
    assert "pretraining.learning_rate" in text
    assert "红楼" in text
    page = write_comparison(demo, other, tmp_path / "both.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert "demo: code" in page


def test_equal_recipes_and_empty_runs(tmp_path: Path) -> None:
    first, second = (RunDirectory(tmp_path / name / "run") for name in "ab")
    for run in (first, second):
        run.path.mkdir(parents=True)
    compared = compare(first, second)
    assert compared.differences == ()
    assert compared.names[0] != compared.names[1]  # both folders are called `run`
    assert "The recipes are the same." in compared.render()
    page = write_comparison(first, second, tmp_path / "both.html").read_text(encoding="utf-8")
    assert "Nothing: the recipes are the same." in page


def test_an_unfinished_run_shows_dashes(make: Callable[..., RunDirectory], tmp_path: Path) -> None:
    demo = make(tmp_path / "demo")
    fresh = RunDirectory(tmp_path / "fresh")
    fresh.path.mkdir()
    assert ("tokens seen", "491,520", "-") in compare(demo, fresh).results
