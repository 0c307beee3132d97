"""`hornbook show` and `hornbook explain` as a terminal, a pipe and a hurried user meet them."""

import os
import re
import subprocess
import sys

import pexpect
import pytest
from click.testing import CliRunner

from hornbook.cli.main import hornbook as group
from hornbook.models import FAMILIES
from hornbook.models.count import parameters
from hornbook.models.families import spec_for

HORNBOOK = [sys.executable, "-m", "hornbook"]
ESCAPE = "\x1b"


def show(*words: str) -> str:
    result = CliRunner().invoke(group, ["show", *words])
    assert result.exit_code == 0, result.output
    return result.output


def in_terminal(*words: str, columns: int = 80, **environment: str) -> str:
    settings = {**os.environ, "TERM": "xterm-256color", **environment}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "hornbook", *words],
        dimensions=(50, columns),
        env=settings,
        encoding="utf-8",
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    return child.before.replace("\r\n", "\n")


def test_every_family_and_size_shows_without_torch():
    script = """
import sys
from click.testing import CliRunner
from hornbook.cli.main import hornbook
from hornbook.models import FAMILIES
from hornbook.models.families import family
names = [n for own in FAMILIES for n in (own, *(f"{own}/{s}" for s in family(own).SIZES))]
for words in (*([name] for name in names), ["--compare", *FAMILIES]):
    result = CliRunner().invoke(hornbook, ["show", *words])
    assert result.exit_code == 0, (words, result.output, result.exception)
print(len(names), "shown;", sorted({"torch", "transformers", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    count, _, loaded = done.stdout.strip().partition(" shown; ")
    assert int(count) > 2 * len(FAMILIES)
    assert loaded == "[]"


@pytest.mark.parametrize("name", ["gpt2", "llama2"])
def test_a_size_may_be_an_option(name):
    size = {"gpt2": "355m", "llama2": "70b"}[name]
    assert show(name, "--size", size) == show(f"{name}/{size}")
    assert f"{parameters(spec_for(f'{name}/{size}'))['total']:,}" in show(name, "--size", size)


def test_dimensions_change_what_is_shown():
    shown = show("gpt2", "n_layers=4", "d_model=128", "vocab_size=4096")
    assert "4 layers" in shown
    assert "logits of 4,096 tokens" in shown


def test_compare_has_one_column_a_family():
    names = ["gpt2", "llama", "palm"]
    lines = show("--compare", *names).splitlines()
    assert lines[0].split() == names
    starts = [lines[0].index(name) for name in names]
    rows = [line for line in lines[2:] if line.strip()]
    assert len(rows) > 20
    for row in rows:
        for start in starts:
            assert row[start - 1] == " ", row
            assert row[start] != " ", row
    assert "--compare" not in show("--compare", "gpt2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--compare", "gpt2", "lama"], "did you mean 'llama'?"),
        (["--compare", "gpt2", "llama/8b"], "known are 7b, 13b"),
        (["gpt2", "--size", "125m"], "did you mean '124m'?"),
        (["gpt2/124m", "--size", "124m"], "at most one size"),
        (["gpt2", "llama"], "--compare takes several"),
        (["n_layers=3"], "name one family"),
        ([], "FAMILY"),
        (["nowhere.at_all:Family"], "nowhere"),
    ],
)
def test_a_mistake_is_one_clear_message(words, message, tmp_path):
    done = subprocess.run(
        [*HORNBOOK, "show", *words], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_terminal_has_bold_heads_and_no_color_has_none():
    assert ESCAPE in in_terminal("show", "--compare", "gpt2", "llama")
    plain = in_terminal("show", "--compare", "gpt2", "llama", NO_COLOR="1")
    assert ESCAPE not in plain
    assert max(map(len, plain.splitlines())) <= 80
    narrow = in_terminal("show", "qwen3/8b", NO_COLOR="1")
    assert "Published sizes" in narrow
    assert "┼" in narrow


def test_a_pipe_is_plain_and_never_wrapped():
    done = subprocess.run(
        [*HORNBOOK, "show", "t5"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "40", "PYTHONIOENCODING": "utf-8"},
    )
    assert ESCAPE not in done.stdout
    assert re.search(r"t5/11b .*d_ff 65536 .* 11B .*11,307,321,344", done.stdout)
    assert all(line == line.rstrip() for line in done.stdout.splitlines())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_explain_knows_a_part_by_its_class(language):
    said = [
        CliRunner().invoke(group, ["explain", name, "--language", language]).output
        for name in ("rms-norm", "RMSNorm", "rmsnorm", "RMS_Norm")
    ]
    assert len(set(said)) == 1
    assert "hornbook.models.parts.norms:RMSNorm" in said[0]
    han = re.search(r"[\u4e00-\u9fff]", said[0])
    assert bool(han) == (language == "zh")
