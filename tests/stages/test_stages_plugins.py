"""Anyone's own code in a recipe: it runs, its models open again, and an edit makes it run again."""

import sys
from pathlib import Path

import pytest
import torch

import hornbook
from hornbook.errors import RecipeError, SpecError, TokenizerError
from hornbook.recipe.plugins import IMPORTED
from hornbook.stages import STAGES
from hornbook.stages.run import read_recipe

MODULES = {
    "their_rules": "RULES = ()\n",
    "their_bytes": """
from hornbook.tokenizers.kinds.byte import ByteTokenizer

class Capitals(ByteTokenizer):
    kind = "capitals"
    lossless = False

    def encode(self, text):
        return super().encode(text.upper())

    @classmethod
    def from_definition(cls, definition):
        return cls()
""",
    "their_models/__init__": "",
    "their_models/wide": """
from hornbook.models.families.gpt2 import spec as gpt2
from their_models.numbers import FACTOR

def spec(*, vocab_size=512, d_model=32, n_layers=1, n_heads=2, max_length=64, dropout=0.0):
    return gpt2(vocab_size=vocab_size, d_model=d_model, n_layers=n_layers, n_heads=n_heads,
                max_length=max_length, dropout=dropout, d_ff=FACTOR * d_model)

class Wide:
    spec = staticmethod(spec)
    SIZES = {}
    DIFFERENCES = ("Wider inside than GPT-2.",)
""",
    "their_models/numbers": "FACTOR = 6\n",
    "their_optimizer": """
from hornbook.optimizers.adamw import AdamW

class Halved(AdamW):
    def step(self, learning_rate, *rest):
        return super().step(learning_rate / 2, *rest)
""",
    "their_objective": """
from hornbook.objectives.causal import Causal

class Plain(Causal):
    name = "plain"
""",
}
THEIRS = {
    "corpus.filters": ["length", "their_rules:RULES"],
    "tokenizer.kind": "their_bytes:Capitals",
    "tokenizer.vocab_size": 260,
    "model.family": "their_models.wide:Wide",
    "pretraining.optimizer": "their_optimizer:Halved",
    "pretraining.objective": "their_objective:Plain",
}


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """The modules above, where Python finds them, and forgotten afterwards."""
    folder = tmp_path / "theirs"
    for name, code in MODULES.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    yield folder
    names = {name.partition("/")[0] for name in MODULES}
    for module in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[module]
    for name in names:
        IMPORTED.pop(name, None)


def states(run: hornbook.run) -> dict[str, str]:
    """Each stage's newest state in the events."""
    return {row["stage"]: row["state"] for row in run.events(kind="stage").to_pylist()}


def test_plug_ins_of_every_kind_make_a_run_that_opens_again(plugins, settings, tmp_path):
    overrides = settings | THEIRS
    run = hornbook.run("demo", tmp_path / "run", overrides)
    model = hornbook.load(run.directory)
    assert type(model.tokenizer).__name__ == "Capitals"
    assert model.spec.stack.blocks[0].feedforward.d_ff == 6 * 32
    assert model.spec.family == "their_models.wide:Wide"
    model.save(tmp_path / "kept", layout="hornbook")
    kept = hornbook.load(tmp_path / "kept")
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(kept(tokens).logits, model(tokens).logits)
    with pytest.raises(SpecError, match="names no Hugging Face layout"):
        model.save(tmp_path / "hf", layout="hf")
    again = hornbook.run("demo", run.directory, overrides)
    assert set(states(again).values()) == {"up to date", "skipped"}


def edited(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "# another day\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "first"),
    [
        ("their_rules.py", "corpus"),
        ("their_bytes.py", "tokenizer"),
        ("their_optimizer.py", "pretraining"),
        ("their_objective.py", "pretraining"),
        ("their_models/numbers.py", "pretraining"),  # beside the file that the recipe names
    ],
)
def test_an_edit_changes_the_fingerprint_of_the_stage_that_names_it(plugins, settings, file, first):
    recipe = read_recipe("demo", settings | THEIRS)
    before = {stage.name: recipe.fingerprint(stage.sections, {}) for stage in STAGES}
    edited(plugins / file)
    IMPORTED.clear()  # as a new process
    after = {stage.name: recipe.fingerprint(stage.sections, {}) for stage in STAGES}
    assert [name for name in before if before[name] != after[name]] == [first]


def test_an_edit_after_the_import_is_refused_rather_than_recorded_wrongly(plugins, settings):
    overrides = settings | {"model.family": "their_models.wide:Wide"}
    read_recipe("demo", overrides)
    edited(plugins / "their_models" / "numbers.py")
    with pytest.raises(RecipeError, match=r"model\.family: .* was edited after this process"):
        read_recipe("demo", overrides)


def test_missing_plug_ins_are_named_all_at_once(settings):
    with pytest.raises(RecipeError) as caught:
        read_recipe("demo", settings | dict(list(THEIRS.items())[:2]))
    lines = str(caught.value).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["corpus.filters:", "tokenizer.kind:"]
    assert "there is no module their_rules" in lines[0]


def test_a_plug_in_without_the_thing(plugins, settings):
    with pytest.raises(RecipeError, match=r"their_models\.wide:Narrow cannot be loaded"):
        read_recipe("demo", settings | {"model.family": "their_models.wide:Narrow"})


def test_a_class_that_is_no_tokenizer_is_not_called(plugins, tmp_path):
    tokenizer = hornbook.train_tokenizer("their_bytes:Capitals", ["text"], vocab_size=260)
    tokenizer.save(tmp_path / "saved")
    opened = hornbook.load_tokenizer(tmp_path / "saved")
    assert opened.decode(opened.encode("loud")) == "LOUD"
    config = tmp_path / "saved" / "tokenizer_config.json"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("their_bytes:Capitals", "os:system"), encoding="utf-8")
    with pytest.raises(TokenizerError, match="os:system"):
        hornbook.load_tokenizer(tmp_path / "saved")


def test_a_file_alone_makes_no_code_run(plugins, tmp_path):
    """A folder from anywhere may name any module: what it names is not imported for it."""
    tokenizer = hornbook.train_tokenizer("their_bytes:Capitals", ["text"], vocab_size=260)
    tokenizer.save(tmp_path / "saved")
    del sys.modules["their_bytes"]
    with pytest.raises(TokenizerError, match="import their_bytes before opening"):
        hornbook.load_tokenizer(tmp_path / "saved")
    assert "their_bytes" not in sys.modules


def test_a_run_opens_with_the_tokenizer_that_its_recipe_names(plugins, settings, tmp_path):
    run = hornbook.run("demo", tmp_path / "run", settings | THEIRS, until="pretraining")
    borrower = settings | {"model.n_layers": 1, "tokenizer.from": str(run.directory)}
    borrower |= {"corpus.from": str(run.directory)}
    for key in ("tokenizer.vocab_size", "tokenizer.training_bytes", "corpus.sources"):
        del borrower[key]
    other = hornbook.run("demo", tmp_path / "other", borrower, until="pretraining")
    for directory in (run.directory, other.directory):
        del sys.modules["their_bytes"]
        assert hornbook.load(directory).tokenizer.kind == "capitals"


def test_a_tokenizer_that_could_not_be_opened_again_is_not_saved(plugins, tmp_path):
    path = plugins / "their_bytes.py"
    code = path.read_text(encoding="utf-8").replace("def from_definition", "def other_name")
    path.write_text(code, encoding="utf-8")
    tokenizer = hornbook.train_tokenizer("their_bytes:Capitals", ["text"], vocab_size=260)
    with pytest.raises(TokenizerError, match="give it a class method from_definition"):
        tokenizer.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("code", ["def torn(:", "1 / 0", "import no_such_package"])
def test_a_plug_in_that_fails_when_imported_is_the_users_to_mend(plugins, settings, code):
    (plugins / "their_objective.py").write_text(code, encoding="utf-8")
    with pytest.raises(RecipeError, match="their_objective:Plain cannot be loaded") as caught:
        read_recipe("demo", settings | {"pretraining.objective": "their_objective:Plain"})
    assert caught.value.exit_code == 2
