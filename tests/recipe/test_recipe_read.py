from pathlib import Path
from typing import Any

import pytest
from sample_sections import SECTIONS

from hornbook.errors import RecipeError
from hornbook.recipe import sources
from hornbook.recipe.recipe import Recipe, parse_override, preset_names, read


@pytest.fixture
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "presets"
    folder.mkdir()
    monkeypatch.setattr(sources, "PRESETS", folder)
    (folder / "small.toml").write_text('[pretraining]\nsteps = 10\nrun_name = "small"\n', "utf-8")
    (folder / "tiny.toml").write_text('extends = "small"\n[pretraining]\nsteps = 2\n', "utf-8")
    return folder


def faults(source: Any, overrides: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read(source, SECTIONS, overrides)
    return str(caught.value).splitlines()


def override(*texts: str) -> dict[str, Any]:
    return dict(parse_override(text) for text in texts)


def test_an_absent_key_means_the_default() -> None:
    recipe = read({"pretraining": {"steps": 5}}, SECTIONS)
    assert recipe["pretraining"].steps == 5
    assert recipe["pretraining"].learning_rate == 1e-3
    assert recipe["corpus"].sources == ("python:code",)


def test_presets_are_found_by_name_and_extended(presets: Path) -> None:
    assert preset_names() == ("small", "tiny")
    recipe = read("tiny", SECTIONS)
    assert (recipe["pretraining"].steps, recipe["pretraining"].run_name) == (2, "small")


def test_files_extend_presets_and_files_beside_them(presets: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "base.toml").write_text('extends = "tiny"\n[corpus]\nsources = ["a"]\n', "utf-8")
    (own / "mine.toml").write_text('extends = "base.toml"\n[corpus]\nfilters = []\n', "utf-8")
    recipe = read(own / "mine.toml", SECTIONS)
    assert recipe["corpus"].sources == ("a",)
    assert recipe["corpus"].filters == ()
    assert recipe["pretraining"].steps == 2


def test_a_table_given_anew_replaces_the_one_below(presets: Path) -> None:
    recipe = read({"extends": "small", "pretraining": {"weights": {"novel": 1}}}, SECTIONS)
    assert recipe["pretraining"].weights == {"novel": 1.0}
    assert recipe["pretraining"].steps == 10


def test_a_circle_of_extends_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b.toml"', "utf-8")
    (tmp_path / "b.toml").write_text('extends = "a.toml"', "utf-8")
    (line,) = faults(tmp_path / "a.toml")
    assert line.endswith("a recipe cannot extend itself")
    assert line.count("a.toml") == 2
    assert line.count("b.toml") == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=3", 3),
        ("a.b=3.5", 3.5),
        ("a.b=true", True),
        ("a.b=[1, 2]", [1, 2]),
        ('a.b="3"', "3"),
        ("a.b=adamw", "adamw"),
        ("a.b=runs/x=y", "runs/x=y"),
        ("a.b=", ""),
        ("a.b=2024-01-01", "2024-01-01"),
        ("a.b=1\nc = 2", "1\nc = 2"),
        ("a.b = 3 ", 3),
    ],
)
def test_an_override_is_toml_or_else_plain_text(text: str, value: Any) -> None:
    assert parse_override(text) == ("a.b", value)


@pytest.mark.parametrize("text", ["steps", "steps=3", "a.=3", ".b=3", "=3", "a..b=3"])
def test_an_override_without_section_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"section\.key=value"):
        parse_override(text)


def test_overrides_win_and_dots_reach_into_tables() -> None:
    given = {"pretraining": {"steps": 5, "run_name": "x"}}
    changes = override(
        "pretraining.steps=7", "pretraining.weights.code=0.5", "pretraining.optimizer=sgd"
    )
    options = read(given, SECTIONS, changes)["pretraining"]
    assert (options.steps, options.run_name, options.optimizer) == (7, "x", "sgd")
    assert options.weights == {"code": 0.5, "docs": 2.0}


def test_two_dotted_overrides_of_one_table_both_count() -> None:
    changes = override("pretraining.weights.a=1", "pretraining.weights.b=2")
    weights = read({"pretraining": {"weights": {}}}, SECTIONS, changes)["pretraining"].weights
    assert weights == {"a": 1.0, "b": 2.0}


def test_replace_checks_like_reading_does() -> None:
    recipe = read({"corpus": {"from": "runs/web"}}, SECTIONS)
    changed = recipe.replace({"pretraining.steps": 3})
    assert changed["pretraining"].steps == 3
    assert changed.borrowed == {"corpus": "runs/web"}
    assert recipe["pretraining"].steps == 1000
    with pytest.raises(RecipeError, match="steps"):
        recipe.replace({"pretraining.steps": 0})


def test_all_faults_are_told_at_once_each_with_path_value_allowed_and_nearest(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "color = 3\n"
        "[corpsu]\nsources = ['x']\n"
        "[corpus]\nlearning_rate = 1\nmaximum_line_bytes = 0\nfilters = ['lenght', 3]\n"
        "validation_fraction = 'half'\n"
        "[pretraining]\noptimizer = 'adam'\n",
        "utf-8",
    )
    changes = override(
        "pretraining.lerning_rate=0.1", "pretraining.threads=3.5", "pretraining.weights.code=x"
    )
    names = "corpus, pretraining; besides them only `extends`"
    keys = "sources, validation_fraction, maximum_line_bytes, filters, deduplicate"
    more = (
        "steps, learning_rate, minimum_learning_rate, optimizer, weights, run_name, device, threads"
    )
    filters = 'one of "length", "symbols", "stop-words" or "module:Thing"'
    found = faults(path, changes)
    expected = [
        f"color = 3 ({path}): unknown section (sections: {names})",
        f'corpsu = {{"sources": ["x"]}} ({path}): unknown section; did you mean "corpus"? '
        f"(sections: {names})",
        f'corpus.validation_fraction = "half" ({path}): must be a number, at least 0, below 1',
        f"corpus.maximum_line_bytes = 0 ({path}): must be a whole number, at least 1",
        f'corpus.filters.0 = "lenght" ({path}): must be {filters}; did you mean "length"?',
        f"corpus.filters.1 = 3 ({path}): filters must be a list, each entry {filters}",
        f"corpus.learning_rate = 1 ({path}): unknown key; learning_rate belongs in [pretraining] "
        f"(keys of [corpus]: {keys})",
        f'pretraining.optimizer = "adam" ({path}): must be one of "adamw", "sgd"; '
        'did you mean "adamw"?',
        'pretraining.weights.code = "x" (override): weights must be a table, each entry a number',
        'pretraining.threads = 3.5 (override): must be a whole number or "auto"',
        "pretraining.lerning_rate = 0.1 (override): unknown key; did you mean "
        f'"learning_rate"? (keys of [pretraining]: {more})',
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"steps": 3}, "steps = 3: not a section; steps belongs in [pretraining]"),
        ({"corpus": 3}, "corpus = 3: [corpus] is a section, so it holds keys, not a value"),
        ({"extends": 3}, "extends = 3: must be one preset's name or one path"),
        (
            {"pretraining": {"learning_rate": 1e-5}},
            "[pretraining]: minimum_learning_rate must not be above learning_rate",
        ),
        (
            {"corpus": {"from": 3}},
            "corpus.from = 3: must be the directory of a run, as text in quotes",
        ),
        (
            {"corpus": {"from": "runs/web", "deduplicate": False}},
            "corpus.deduplicate = false: has no effect, for corpus is borrowed from runs/web: "
            'leave it out, or set corpus.from = ""',
        ),
    ],
)
def test_faults_of_structure(source: dict[str, Any], expected: str) -> None:
    assert faults(source) == [expected]


def test_a_date_or_a_long_value_is_shown_on_one_short_line(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        f"[pretraining]\nrun_name = 2024-01-01\nsteps = '{'x' * 500}'\n", "utf-8"
    )
    steps, name = faults(tmp_path / "r.toml")
    assert 'run_name = "2024-01-01"' in name
    assert "…" in steps
    assert len(steps) < 300


def test_toml_faults_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("[corpus]\nsources = [\n", "utf-8")
    (line,) = faults(path)
    assert line.startswith(f"{path}: not TOML: ")
    assert "line 2" in line or "end of document" in line
    path.write_text("[corpus]\nsources == 3\n", "utf-8")
    assert "line 2" in faults(path)[0]


def test_what_cannot_be_read_is_one_clear_line(presets: Path, tmp_path: Path) -> None:
    (line,) = faults("smal")
    assert 'did you mean "small"?' in line
    assert "presets: small, tiny" in line
    assert "No such file" in line
    assert "a folder" in faults(tmp_path)[0]
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    assert "not UTF-8 text (byte 5)" in faults(tmp_path / "latin.toml")[0]


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf[pretraining]\nsteps = 4\n")
    assert read(tmp_path / "bom.toml", SECTIONS)["pretraining"].steps == 4


def test_borrowing_is_kept_apart_and_can_be_taken_back(presets: Path) -> None:
    (presets / "web.toml").write_text('[corpus]\nfrom = "runs/web"\n', "utf-8")
    borrowed = read("web", SECTIONS)
    assert borrowed.borrowed == {"corpus": "runs/web"}
    assert borrowed["corpus"] == SECTIONS["corpus"]()
    back = read("web", SECTIONS, override("corpus.from=", "corpus.deduplicate=false"))
    assert back.borrowed == {}
    assert back["corpus"].deduplicate is False


def test_borrowing_drops_what_the_recipe_below_says_of_the_section(presets: Path) -> None:
    (presets / "own.toml").write_text("[corpus]\ndeduplicate = false\n", "utf-8")
    recipe = read("own", SECTIONS, override("corpus.from=runs/web"))
    assert recipe == Recipe({**read({}, SECTIONS).sections}, {"corpus": "runs/web"})


def test_only_stages_can_be_borrowed() -> None:
    given = {"corpus": {"from": "runs/web"}}
    with pytest.raises(RecipeError, match=r"corpus\.from = .*only stages .*\(pretraining\)"):
        read(given, SECTIONS, stages=["pretraining"])
    assert read(given, SECTIONS, stages=["corpus"]).borrowed == {"corpus": "runs/web"}
