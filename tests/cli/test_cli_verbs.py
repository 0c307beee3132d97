"""The command line as people meet it: help, results, messages, exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hornbook.cli import VERBS
from hornbook.cli.main import hornbook as group

HORNBOOK = [sys.executable, "-m", "hornbook"]
PAGES = Path(__file__).parents[2] / "docs"


def call(*arguments: str, **settings) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HORNBOOK, *arguments], capture_output=True, text=True, check=False, **settings
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb):
    result = CliRunner().invoke(group, [verb, "--help"])
    assert result.exit_code == 0
    shown = result.output
    if verb == "data":
        shown += CliRunner().invoke(group, ["data", "show", "--help"]).output
    assert f"hornbook {verb}" in shown


def test_pages_made_from_the_program_are_fresh():
    sys.path.insert(0, str(PAGES))
    try:
        import generate
    finally:
        sys.path.remove(str(PAGES))
    for name, page in generate.PAGES.items():
        stored = (PAGES / name).read_text(encoding="utf-8")
        assert stored.splitlines() == page().splitlines(), "stale: run `make docs`"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rum", "demo"], "Did you mean 'run'?"),
        (["check", "demoo"], "demo"),
        (["check", "demo", "pretraining.lerning_rate=1"], "learning_rate"),
        (["show", "gpt33"], "gpt3"),
        (["show", "gpt2", "n_layers=few"], "n_layers=4"),
        (["show", "gpt2", "d_model=100", "n_heads=3"], "does not divide"),
        (["explain", "atention"], "attention"),
        (["report", "nowhere"], "nowhere does not exist"),
        (["resume", "nowhere"], "nowhere does not exist"),
        (["init", "r.toml", "--budget", "soon"], "10min"),
        (["init", "nowhere/r.toml"], "nowhere does not exist"),
        (["chat", "nowhere", "-m", "hello"], "nowhere does not exist"),
    ],
)
def test_a_users_mistake_is_one_clear_message_and_exit_code_2(arguments, message, tmp_path):
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_traceback_is_shown_when_asked_for(tmp_path):
    assert "Traceback" in call("--traceback", "report", "nowhere", cwd=tmp_path).stderr


def test_init_writes_a_recipe_that_checks(tmp_path):
    (tmp_path / "notes").mkdir()
    path = tmp_path / "recipe.toml"
    made = call("init", str(path), "--source", str(tmp_path / "notes"), "tokenizer.vocab_size=512")
    assert made.returncode == 0, made.stderr
    assert "vocab_size = 512" in path.read_text(encoding="utf-8")
    assert str(tmp_path / "notes") in path.read_text(encoding="utf-8")
    assert call("check", str(path)).returncode == 0
    again = call("init", str(path))
    assert again.returncode == 2
    assert "--force" in again.stderr


def test_list_names_what_a_recipe_can_hold():
    shown = CliRunner().invoke(group, ["list"]).output
    for name in ("demo", "gpt2", "byte-bpe", "repetition", "adamw", "causal"):
        assert name in shown


def test_plan_refuses_what_cannot_fit(tmp_path):
    done = call("plan", "demo", "model.d_model=65536", cwd=tmp_path)
    assert done.returncode == 2
    assert "GB of memory" in done.stderr


def test_plan_shows_stages_parameters_memory_and_time(tmp_path):
    done = call("plan", "demo", "model.d_model=32", "pretraining.batch_size=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("corpus", "parameters: total", "memory: total", "MFLOP", "measured"):
        assert word in done.stdout


def test_explain_speaks_two_languages():
    english = CliRunner().invoke(group, ["explain", "adamw"]).output
    chinese = CliRunner().invoke(group, ["explain", "adamw", "--language", "zh"]).output
    assert "Loshchilov" in english
    assert any("一" <= letter <= "鿿" for letter in chinese)
