"""A run whose store has a separator before each document: everything that reads texts knows it."""

import filecmp

import pytest

import hornbook
from hornbook.runs.directory import RunDirectory
from hornbook.runs.progress import Progress
from hornbook.stages.pretraining import opening
from hornbook.stages.stored import stored_tokens
from hornbook.stages.vectors import vectors_of_run

CHANGED = {"tokenizer.special_tokens": "llama", "pretraining.steps": 2}


@pytest.fixture(scope="module")
def begun(settings, tmp_path_factory):
    """A run with <s> before each document."""
    changed = {**settings, **CHANGED, "store.separator": "start"}
    return hornbook.run(
        "demo", tmp_path_factory.mktemp("separated") / "run", changed, until="pretraining"
    ).directory


@pytest.mark.parametrize("stage", ["pretraining", "baseline"])
def test_a_runs_models_read_texts_after_what_begins_them(begun, stage, tmp_path):
    model = hornbook.load(begun, stage=stage)
    begin = model.tokenizer.special_tokens["<s>"]
    assert model.tokenizer.text_edges == (begin, begin)
    model.save(tmp_path / "saved")
    assert hornbook.load(tmp_path / "saved").tokenizer.text_edges == (begin, begin)


def test_the_hugging_face_folder_of_the_stage_knows_too(begun):
    folder = RunDirectory(begun).find("pretraining").directory / "hf"
    model = hornbook.load(folder)
    assert model.tokenizer.separator == "start"
    assert model.bits_per_byte("A class.") == hornbook.load(begun).bits_per_byte("A class.")


def test_samples_begin_with_text_alone(begun):
    tokenizer, store = stored_tokens(RunDirectory(begun))
    (array,) = store.splits["validation"].values()
    text = opening(array, tokenizer)
    assert text
    assert "<s>" not in text
    first, _ = array.text_span(array.documents // 2)
    ids = array.read(first - 1, tokenizer.encode(text).size + 1)
    assert tokenizer.decode(ids) == "<s>" + text


def test_vectors_of_words_leave_the_separator_out(begun):
    vectors = vectors_of_run(RunDirectory(begun), Progress(quiet=True), d_model=4, epochs=1)
    assert len(vectors.words) > 100
    assert "<s>" not in vectors.words


def test_a_run_with_separators_at_the_end_copies_its_tokenizer(settings, tmp_path):
    run = RunDirectory(
        hornbook.run(
            "demo", tmp_path / "run", {**settings, **CHANGED}, until="pretraining"
        ).directory
    )
    before, after = run.find("tokenizer").directory, run.find("pretraining").directory / "hf"
    names = [file.name for file in before.iterdir()]
    assert "tokenizer_config.json" in names
    assert filecmp.cmpfiles(before, after, names, shallow=False)[0] == names
