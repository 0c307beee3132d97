"""Opening: runs, checkpoints, Hugging Face folders, and clear words for what is none of them."""

import subprocess
import sys

import pytest
import torch

import hornbook
from hornbook.checkpoints.write import write
from hornbook.errors import InputError, SpecError, StorageError
from hornbook.models.spec import spec_to_dict
from hornbook.runs.directory import RunDirectory
from hornbook.runs.manifest import Manifest, StageRecord, write_manifest

TOKENS = torch.tensor([[1, 2, 3]])


@pytest.fixture(scope="module")
def tokenizer():
    return hornbook.train_tokenizer("byte-bpe", ["some text about text " * 20], vocab_size=270)


def small(tokenizer=None, seed=0, **dimensions):
    shape = {"n_layers": 2, "d_model": 32, "vocab_size": 270, "max_length": 16, **dimensions}
    return hornbook.build("gpt2", seed=seed, tokenizer=tokenizer, **shape)


def same(first, second):
    with torch.no_grad():
        return torch.equal(first(TOKENS).logits, second(TOKENS).logits)


def checkpoint(parent, model, step):
    return write(parent, step, model.network.state_dict(), {}, {"spec": spec_to_dict(model.spec)})


def make_run(path, tokenizer, **stages):
    """A run whose stages hold checkpoints of these models."""
    run = RunDirectory(path)
    run.path.mkdir()
    tokenizer.save(run.stage("tokenizer"))
    for name, model in stages.items():
        checkpoint(run.stage(name) / "checkpoints", model, 7)
    record = StageRecord("f" * 32, {}, {}, 1.0, {}, {}, {}, "2026-01-01T00:00:00Z")
    write_manifest(
        run.manifest_path, Manifest(stages=dict.fromkeys(("tokenizer", *stages), record))
    )
    run.recipe_path.write_text("", encoding="utf-8")
    return run


@pytest.mark.parametrize("layout", ["hf", "hornbook"])
def test_save_and_load(layout, tokenizer, tmp_path):
    model = small(tokenizer)
    model.save(tmp_path / "m", layout=layout)
    again = hornbook.load(tmp_path / "m")
    assert same(model, again)
    assert again.spec == model.spec
    assert again.tokenizer.fingerprint == tokenizer.fingerprint
    assert not again.training


@pytest.mark.parametrize("layout", ["hf", "hornbook"])
def test_a_model_without_tokenizer_is_saved_and_loaded(layout, tmp_path):
    model = small()
    model.save(tmp_path / "m", layout=layout)
    assert same(model, hornbook.load(str(tmp_path / "m")))
    assert hornbook.load(tmp_path / "m").tokenizer is None


def test_an_unknown_layout_is_refused(tmp_path):
    with pytest.raises(InputError, match="pickle"):
        small().save(tmp_path, layout="pickle")


def test_a_run_opens_its_last_trained_stage(tokenizer, tmp_path):
    first, second = small(seed=1), small(seed=2)
    run = make_run(tmp_path / "run", tokenizer, pretraining=first, finetuning=second)
    opened = hornbook.load(run.path)
    assert same(opened, second)
    assert opened.tokenizer.fingerprint == tokenizer.fingerprint
    assert same(hornbook.load(run.path, stage="pretraining"), first)
    with pytest.raises(InputError, match="'corpus' trains no model"):
        hornbook.load(run.path, stage="corpus")


def test_a_run_without_tuning_opens_pretraining(tokenizer, tmp_path):
    first = small(seed=1)
    run = make_run(tmp_path / "run", tokenizer, pretraining=first)
    assert same(hornbook.load(run.path), first)
    with pytest.raises(InputError, match="finetuning has not finished"):
        hornbook.load(run.path, stage="finetuning")


def test_an_unfinished_run_says_how_to_go_on(tokenizer, tmp_path):
    run = make_run(tmp_path / "run", tokenizer)
    with pytest.raises(InputError, match="hornbook resume"):
        hornbook.load(run.path)


def test_a_checkpoint_of_a_run_finds_the_runs_tokenizer(tokenizer, tmp_path):
    model = small(seed=1)
    run = make_run(tmp_path / "run", tokenizer, pretraining=model)
    path = run.stage("pretraining") / "checkpoints" / "step-00000007"
    opened = hornbook.load(path)
    assert same(opened, model)
    assert opened.tokenizer.fingerprint == tokenizer.fingerprint


def test_the_newest_good_checkpoint_is_opened_and_a_bad_one_told(tmp_path):
    first, second = small(seed=1), small(seed=2)
    checkpoint(tmp_path, first, 1)
    newest = checkpoint(tmp_path, second, 2)
    assert same(hornbook.load(tmp_path), second)
    weights = newest / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.warns(UserWarning, match="step-00000002"):
        assert same(hornbook.load(tmp_path), first)
    with pytest.raises(StorageError, match="step-00000002"):
        hornbook.load(newest)


def test_a_checkpoint_that_does_not_say_its_model_is_refused(tmp_path):
    write(tmp_path, 1, small().network.state_dict(), {}, {})
    with pytest.raises(StorageError, match="does not say what model"):
        hornbook.load(tmp_path)


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_path_that_holds_no_model_says_what_was_looked_for(kind, tmp_path):
    path = tmp_path / "place"
    if kind == "empty":
        path.mkdir()
    elif kind == "file":
        path.write_text("text", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        hornbook.load(path)
    said = str(caught.value)
    assert str(path) in said
    assert ("does not exist" if kind == "missing" else "config.json") in said


def test_a_stage_of_what_is_no_run_is_refused(tmp_path):
    small().save(tmp_path / "m")
    with pytest.raises(InputError, match="not a run"):
        hornbook.load(tmp_path / "m", stage="pretraining")


@pytest.mark.parametrize(
    ("dtype", "norm", "matrix"),
    [
        ("float32", torch.float32, torch.float32),
        ("float64", torch.float64, torch.float64),
        ("bfloat16", torch.float32, torch.bfloat16),
    ],
)
def test_dtypes(dtype, norm, matrix, tmp_path):
    model = small()
    model.save(tmp_path / "m")
    for opened in (hornbook.load(tmp_path / "m", dtype=dtype), small_of(dtype)):
        assert opened.network.final_norm.weight.dtype == norm
        assert opened.network.blocks[0].attention.qkv.weight.dtype == matrix
        assert len(opened.generate([1, 2], max_new_tokens=5)) == 5
        torch.testing.assert_close(
            opened(TOKENS).logits.float(), model(TOKENS).logits, atol=0.02, rtol=0.05
        )


def small_of(dtype):
    return hornbook.build(
        "gpt2", n_layers=2, d_model=32, vocab_size=270, max_length=16, dtype=dtype
    )


def test_unknown_dtype_device_and_dimension_are_refused():
    with pytest.raises(InputError, match="float32, float64, bfloat16, float16"):
        small_of("int8")
    with pytest.raises(InputError, match="nowhere"):
        hornbook.build("gpt2", n_layers=1, d_model=16, vocab_size=9, device="nowhere")
    with pytest.raises(SpecError, match="did you mean 'd_model'"):
        hornbook.build("gpt2", d_modell=16)


def test_build_is_seeded_and_takes_a_published_size():
    assert same(small(seed=3), small(seed=3))
    assert not same(small(seed=3), small(seed=4))
    assert hornbook.build("gpt2/124m", n_layers=1, vocab_size=64, max_length=8).spec.d_model == 768


@pytest.mark.parametrize(
    "first", ["", "import hornbook.handle.model; ", "import hornbook.handle; "]
)
def test_load_is_a_function_whatever_was_imported_before(first, tmp_path):
    code = (
        f"{first}import hornbook; from hornbook.errors import InputError\n"
        f"try: hornbook.load({str(tmp_path / 'nothing')!r})\n"
        "except InputError as error: assert 'does not exist' in str(error)\n"
        "else: raise SystemExit('loaded nothing')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_public_names_are_there_and_cost_nothing_until_used():
    code = (
        "import sys, hornbook; from hornbook import Recipe; assert set(hornbook.__all__) <= "
        "set(dir(hornbook)); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    for name in ("load", "build", "load_tokenizer", "train_tokenizer", "read_documents"):
        assert callable(getattr(hornbook, name))
    with pytest.raises(AttributeError, match="nothing"):
        _ = hornbook.nothing
