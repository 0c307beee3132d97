"""The page on adding a family keeps its word: its files, unchanged, make a family that works."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import transformers

import hornbook
from hornbook.checkpoints.hf_config import config_from_spec
from hornbook.errors import InputError, SpecError
from hornbook.models import FAMILIES
from hornbook.models.count import parameters
from hornbook.models.families import family, spec_for
from hornbook.recipe.plugins import IMPORTED
from hornbook.reporting.drawing import draw

PAGE = (Path(__file__).parent.parent / "docs/adding-a-family.md").read_text(encoding="utf-8")
NAME = "qwen2:FAMILY"
SIZES = ("0.5b", "1.5b", "7b", "72b")


def block(title: str) -> str:
    """A block of the page by its title."""
    found = re.search(rf'^```\w+ title="{re.escape(title)}"\n(.*?)^```$', PAGE, re.M | re.S)
    assert found, title
    return found[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader has saved the page's files."""
    path = tmp_path_factory.mktemp("reader")
    for file in ("qwen2.py", "check.py", "open.py"):
        (path / file).write_text(block(file), encoding="utf-8")
    return path


@pytest.fixture
def plugin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The reader's folder, where Python finds the family; forgotten afterwards."""
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("qwen2", None)
    IMPORTED.pop("qwen2", None)


def run(folder: Path, *words: str) -> str:
    """What a command says that stands in the reader's folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_checks_of_the_page_hold_and_its_folder_opens(folder):
    said = run(folder, "check.py")
    assert re.findall(r"^(\w+), tied (\w+):", said, re.M) == [
        ("Qwen2ForCausalLM", "True"),
        ("Qwen2ForCausalLM", "False"),
    ]
    script = block("open.py") + "print(model.spec.family, type(model.spec.head).__name__)"
    assert run(folder, "-c", script).split() == ["qwen2", "UntiedHead"]


def test_the_page_shows_what_the_program_shows(plugin):
    assert block("drawing").rstrip() == draw(spec_for(f"{NAME}/0.5b"))
    shown = run(plugin, "-m", "hornbook", "show", NAME, "--size", "0.5b")
    assert block("drawing").rstrip() in shown
    assert re.search(r"^ total +494,032,768 ", shown, re.M)
    assert "transformer → gpt1 → gpt2 → llama → llama2 → qwen2:FAMILY" in shown
    compared = run(plugin, "-m", "hornbook", "show", "--compare", "llama2", NAME, "qwen3")
    assert compared.splitlines()[0].split() == ["llama2", NAME, "qwen3"]
    assert "sound" in run(plugin, "-m", "hornbook", "check", "demo", f"model.family={NAME}")


@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_the_count_that_transformers_has(plugin, size):
    module, spec = family(NAME), spec_for(f"{NAME}/{size}")
    assert tuple(module.SIZES) == SIZES
    config = transformers.AutoConfig.for_model(**config_from_spec(module.HUGGING_FACE, spec))
    with torch.device("meta"):
        theirs = transformers.AutoModelForCausalLM.from_config(config)
    theirs.tie_weights()
    wanted = sum(parameter.numel() for parameter in theirs.parameters())
    assert parameters(spec)["total"] == module.SIZES[size].parameters == wanted


def test_their_own_folder_opens_with_a_row_and_not_without(plugin, tmp_path, monkeypatch):
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=301,
        hidden_size=40,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=72,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        tie_word_embeddings=False,
    )
    theirs = transformers.Qwen2ForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.normal_(1.0 if name.endswith("norm.weight") else 0.0, 0.3)
    theirs.save_pretrained(tmp_path / "theirs")
    with pytest.raises((SpecError, InputError), match="qwen2"):
        hornbook.load(tmp_path / "theirs")
    monkeypatch.setitem(FAMILIES, "qwen2", "qwen2")
    ours = hornbook.load(tmp_path / "theirs")
    tokens = torch.randint(0, 301, (2, 19))
    with torch.no_grad():
        got, wanted = ours(tokens).logits, theirs(tokens).logits
    assert float((got - wanted).abs().max() / wanted.abs().max()) < 1e-5


def test_the_file_is_as_short_as_the_houses_own():
    code = block("qwen2.py")
    assert len(code.splitlines()) <= 150
    assert "import torch" not in code
    spec = re.search(r"^def spec\(.*?^    \)$", code, re.M | re.S)
    assert spec
    assert len(spec[0].splitlines()) <= 40
    assert "qwen2" not in FAMILIES  # else the page no longer adds anything
