"""Training on pairs from Python: it learns, goes on with the same bytes, and says what is wrong."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import hornbook
from hornbook.errors import InputError
from hornbook.runs.events import read_events
from hornbook.training import loop
from hornbook.training.options import ComputeOptions, TrainingOptions

COMPUTE = ComputeOptions(device="cpu", precision="float32", threads=1)
PAGE = Path(__file__).parents[2] / "docs" / "seq2seq.md"
SMALL = {"steps": 6, "batch_size": 4, "sequence_length": 8, "warmup_steps": 2}


@pytest.fixture(autouse=True)
def _process_as_it_was(monkeypatch):
    """Leave the memory of the process that runs all tests alone."""
    monkeypatch.setattr("hornbook.training.memory.keep_memory", lambda: False)


@pytest.fixture(scope="module")
def tokenizer():
    return hornbook.train_tokenizer("byte", [], 260)


def model_of(family="transformer", tokenizer=None, **dimensions):
    shape = {"n_layers": 1, "d_model": 32, "n_heads": 2, "max_length": 8, "vocab_size": 260}
    return hornbook.build(family, tokenizer=tokenizer, **(shape | dimensions))


def words(count, seed=0):
    """Three or four letters of eight, and the same backwards."""
    draw = np.random.default_rng(seed)
    texts = ["".join(draw.choice(list("abcdefgh"), draw.integers(3, 5))) for _ in range(count)]
    return [(text, text[::-1]) for text in texts]


def train(model, pairs, directory, **more):
    options = TrainingOptions(**(SMALL | more.pop("options", {})))
    return hornbook.train_pairs(
        model, pairs, directory, options=options, compute=COMPUTE, quiet=True, **more
    )


def bytes_below(directory):
    files = (path for path in (directory / "checkpoints").rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def test_a_few_words_backwards_are_learnt_by_heart(tokenizer, tmp_path):
    pairs = words(12)
    model = model_of(tokenizer=tokenizer, d_model=48, dropout=0.0)
    options = {"steps": 80, "batch_size": 12, "learning_rate": 1e-2, "weight_decay": 0.0}
    summary = train(model, pairs, tmp_path, validation=pairs[:4], options=options)
    assert summary["samples"] == 80 * 12
    assert summary["bits_per_byte"]["validation"] < 0.2
    sources, targets = [s for s, _ in pairs], [t for _, t in pairs]
    assert model.generate(sources, max_new_tokens=6) == targets
    assert model.generate(sources[0], max_new_tokens=6, beams=3) == targets[0]
    opened = hornbook.load(tmp_path / "checkpoints")
    assert opened.generate(sources[0], max_new_tokens=6) == targets[0], "found with its tokenizer"
    samples = read_events(tmp_path / "events.jsonl", kind="sample")
    assert samples["text"].to_pylist() == targets[:3], "the first held-out sources are continued"


def failing(monkeypatch, at):
    """Let update `at` fail."""
    real, calls = loop.advance, []

    def advance(*arguments):
        calls.append(1)
        if len(calls) == at:
            raise MemoryError("here")
        return real(*arguments)

    monkeypatch.setattr(loop, "advance", advance)


def test_stopped_anywhere_it_ends_with_the_same_bytes(tmp_path, monkeypatch):
    """Dropout is on; update 6 of 7 fails, and the last checkpoint is of update 4."""
    ids = [(list(s.encode()), list(t.encode())) for s, t in words(9)]
    whole = {"end_id": 0, "seed": 3, "options": {"steps": 7, "checkpoint_interval_steps": 2}}
    train(model_of(dropout=0.1), ids, tmp_path / "whole", **whole)
    for workers in (0, 2):
        place = tmp_path / f"stopped{workers}"
        given = whole | {"options": whole["options"] | {"loader_workers": workers}}
        with monkeypatch.context() as patch:
            failing(patch, 6)
            with pytest.raises(MemoryError, match="here"):
                train(model_of(dropout=0.1), ids, place, **given)
        names = sorted(path.name for path in (place / "checkpoints").iterdir())
        assert names == ["step-00000002", "step-00000004"]
        other = model_of(dropout=0.1, seed=9)  # its weights are replaced by the checkpoint's
        assert train(other, ids, place, **given)["steps"] == 7
        assert bytes_below(place) == bytes_below(tmp_path / "whole"), workers


def test_a_finished_training_is_read_again(tmp_path):
    ids = [([1, 2, 3], [3, 2, 1]), ([4, 5], [5, 4])]
    first, second = model_of(), model_of(seed=8)
    train(first, ids, tmp_path, end_id=9)
    train(second, ids, tmp_path, end_id=9)
    weights = second.state_dict()
    for name, tensor in first.state_dict().items():
        assert (tensor == weights[name]).all(), name


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"pairs": [([1, 2, 3], [3, 2, 7])]}, "pairs"),
        ({"end_id": 8}, "pairs"),
        ({"seed": 1}, "seed"),
        ({"options": {"steps": 7, "log_interval_steps": 2}}, "options"),
        ({"model": {"d_model": 48}}, "model"),
    ],
)
def test_another_training_in_the_same_directory_is_refused(change, what, tmp_path):
    given = {"pairs": [([1, 2, 3], [3, 2, 1])], "end_id": 9, "seed": 0, "options": {"steps": 1}}
    facts = []
    for more in ({}, change):
        one = given | more
        model = model_of(**one.pop("model", {}))
        if more:
            with pytest.raises(InputError, match=f"training with other {what}; name another"):
                train(model, one.pop("pairs"), tmp_path, **one)
        else:
            train(model, one.pop("pairs"), tmp_path, **one)
        facts.append(json.loads((tmp_path / "training.json").read_text()))
    assert facts[0] == facts[1], "what it was stays written down"


def test_what_is_only_shown_may_change(tmp_path):
    ids = [([1, 2, 3], [3, 2, 1])]
    train(model_of(), ids, tmp_path, end_id=9, options={"steps": 1})
    before = (tmp_path / "training.json").read_bytes()
    train(model_of(), ids, tmp_path, end_id=9, options={"steps": 1, "log_interval_steps": 3})
    assert (tmp_path / "training.json").read_bytes() == before


@pytest.mark.parametrize(
    ("family", "pairs", "more", "message"),
    [
        ("gpt2", [([1], [2])], {"end_id": 0}, "family gpt2 reads no source"),
        ("bert", [([1], [2])], {"end_id": 0}, "family bert reads no source"),
        ("transformer", [([1], [2])], {}, "no tokenizer, so nothing ends a target; give end_id"),
        ("transformer", [("a", "b")], {"end_id": 0}, "no tokenizer, so it learns from ids"),
        ("transformer", [], {"end_id": 0}, "pairs: There is no pair"),
        ("transformer", [([1] * 9, [2])], {"end_id": 0}, "pair 0 has 9 tokens, and 8 is the most"),
        ("transformer", [([300], [2])], {"end_id": 0}, "holds the id 300, outside .* of 260"),
        (
            "transformer",
            [([1], [2])],
            {"end_id": 0, "validation": [([], [2])]},
            "validation: The source of pair 0 is empty",
        ),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is_written(
    family, pairs, more, message, tmp_path
):
    with pytest.raises(InputError, match=message):
        train(model_of(family), pairs, tmp_path / "new", **more)
    assert not (tmp_path / "new").exists()


def test_the_page_about_pairs_runs(tmp_path, monkeypatch):
    """As it is written, but for its output and threads; what it says of results is so."""
    monkeypatch.chdir(tmp_path)
    real = hornbook.train_pairs

    def quietly(*arguments, **more):
        return real(*arguments, compute=COMPUTE, quiet=True, **more)

    monkeypatch.setattr(hornbook, "train_pairs", quietly, raising=False)
    names = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)
    assert names["model"].generate("2 March 1998", max_new_tokens=12) == "1998-03-02"
    assert names["weights"].shape == (11, 12)
    assert names["picture"].startswith(b"\x89PNG")
    assert (tmp_path / "runs/dates/training.json").exists()
