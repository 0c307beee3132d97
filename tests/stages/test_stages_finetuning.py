"""A whole run with tuning on a library of toy size: what is learnt, what is asked, what is kept."""

import json
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from library_with_docstrings import answers_of, write_library

import hornbook
from hornbook.adaptation.questions import Pair
from hornbook.cli.main import hornbook as group
from hornbook.corpus.read import open_documents
from hornbook.corpus.readers import python_library
from hornbook.errors import RecipeError
from hornbook.evaluation.significance import wilson
from hornbook.runs import checksums
from hornbook.runs.directory import RunDirectory
from hornbook.stages import finetuning
from hornbook.stages.inspect import decoded_rows
from hornbook.stages.run import read_recipe
from hornbook.tokenizers import train_tokenizer

QUESTIONS = 12
STEPS = 40

# The process ends without a word before update `times` of all that the run makes.
KILLED = """
import json, os, signal, sys
from pathlib import Path

import hornbook
from hornbook.corpus.readers import python_library
from hornbook.training import loop

library, directory, settings, times = sys.argv[1:]
python_library.library = lambda: Path(library)
real, made = loop.advance, []

def advance(training, batch):
    made.append(None)
    if len(made) == int(times):
        place = training.plan.checkpoints.parent.name
        print(f"killed before update {training.step + 1} in {place}", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return real(training, batch)

loop.advance = advance
hornbook.run("demo", directory, json.loads(settings))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The toy library, in place of this Python's own."""
    folder = write_library(tmp_path_factory.mktemp("library"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(python_library, "library", lambda: folder)
        yield folder


@pytest.fixture(scope="module")
def tuned(settings):
    """Overrides of the demo's recipe: small, and with docstrings to tune on."""
    return settings | {
        "corpus.sources": ["python:docs"],
        "corpus.validation_fraction": 0.15,
        "tokenizer.vocab_size": 448,
        "model.max_length": 128,
        "pretraining.sequence_length": 64,
        "finetuning.steps": STEPS,
        "finetuning.sequence_length": 128,
        "finetuning.learning_rate": 1e-2,
        "finetuning.batch_size": 4,
        "finetuning.held_out_questions": QUESTIONS,
        "finetuning.answer_tokens": 40,
        "finetuning.checkpoint_interval_steps": 4,
        "finetuning.sample_interval_steps": STEPS // 2,
        "finetuning.evaluation_interval_steps": STEPS // 2,
    }


@pytest.fixture(scope="module")
def finished(library, tmp_path_factory, tuned):
    return hornbook.run("demo", tmp_path_factory.mktemp("runs") / "tuned", tuned)


@pytest.fixture(scope="module")
def saved(finished):
    return json.loads((finished.directory / "finetuning/answers.json").read_text(encoding="utf-8"))


def outputs(directory: Path, stage: str = "") -> dict[str, bytes]:
    stages = [stage] if stage else ["corpus", "tokenizer", "store", "pretraining", "finetuning"]
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for name in stages
        for path in sorted((directory / name).rglob("*"))
        if path.is_file()
    }


def damaged_copy(directory: Path, where: Path, file: str) -> Path:
    """Copy a run, and flip one bit in the middle of a file that tuning made."""
    copy = where / "tuned"
    shutil.copytree(directory, copy)
    data = bytearray((copy / "finetuning" / file).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "finetuning" / file).write_bytes(data)
    return copy


def last_states(run: hornbook.run) -> dict[str, str]:
    return {row["stage"]: row["state"] for row in run.events(kind="stage").to_pylist()}


def modules(run: hornbook.run, split: str) -> set[str]:
    batches = open_documents(run.directory / "corpus", split)
    found = [json.loads(text) for batch in batches for text in batch["metadata"].to_pylist()]
    return {facts["module"] for facts in found}


def pairs(run: hornbook.run, split: str) -> list[Pair]:
    return finetuning.pairs({"corpus": run.directory / "corpus"}, split)


GOLDEN = Path(__file__).with_name("golden_digests.json")


def test_every_stage_makes_the_bytes_it_always_made(finished):
    """A new digest needs a new `revision` in the table of stages, and a new line in the file."""
    record = finished.directory / "manifest.json"
    stages = json.loads(record.read_text(encoding="utf-8"))["stages"]
    digests = {
        name: checksums.digest(
            {file: row for file, row in made["outputs"].items() if "manifest" not in file}
        )
        for name, made in stages.items()
    }
    key = (
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"{torch.backends.cpu.get_cpu_capability()}, {platform.machine()}, 1 thread"
    )
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))
    if key not in stored:
        pytest.skip(f"there are no digests of {key}; here they are {digests}")
    assert digests == stored[key]


def test_tuning_finishes_with_a_model_and_its_record(finished):
    assert set(last_states(finished).values()) == {"finished"}
    assert [path.name for path in (finished.directory / "finetuning/checkpoints").iterdir()] == [
        f"step-{STEPS:08d}"
    ]
    kinds = set(finished.events("finetuning")["kind"].to_pylist())
    assert {"metric", "evaluation", "sample", "answers"} <= kinds


def test_tuning_lowers_the_loss_on_held_out_answers(finished):
    rows = finished.events("finetuning", "evaluation").to_pylist()
    assert [row["source"] for row in rows] == ["answers"] * 2
    assert rows[-1]["step"] == STEPS
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_tuning_moves_the_weights_it_was_given(finished):
    before = hornbook.load(finished.directory, stage="pretraining").state_dict()
    after = hornbook.load(finished.directory).state_dict()
    assert before.keys() == after.keys()
    assert all(not before[name].equal(after[name]) for name in before)


def test_the_loss_falls_on_answers_and_their_end_alone(finished):
    """One epoch as `data show` decodes it: every conversation once, only its answer learnt."""
    run, recipe = RunDirectory(finished.directory), read_recipe(finished.directory / "recipe.toml")
    tokenizer = hornbook.load(finished.directory).tokenizer
    inputs = {"corpus": finished.directory / "corpus"}
    count = len(finetuning.batches_of(recipe, inputs, tokenizer).plans[0])
    rows = list(decoded_rows(run, "finetuning", 0, count))
    learnt = [piece.text for row in rows for piece in row.pieces if piece.learnt]
    read = [piece.text for row in rows for piece in row.pieces if not piece.learnt]
    training = pairs(finished, "train")
    assert len(training) > len(rows) > 1  # several conversations share a row
    assert sorted(learnt) == sorted(f"{pair.answer}<|end|>" for pair in training)
    assert sorted(read) == sorted(
        f"<|user|>{pair.question}<|end|><|assistant|>" for pair in training
    )
    for row in rows:
        answers = [piece.text.removesuffix("<|end|>") for piece in row.pieces if piece.learnt]
        assert row.targets == sum(len(tokenizer.encode(answer)) + 1 for answer in answers)


def test_data_show_marks_what_is_learnt(finished):
    shown = CliRunner().invoke(
        group, ["data", "show", str(finished.directory), "--stage", "finetuning", "--rows", "1"]
    )
    assert shown.exit_code == 0, shown.output
    learnt = re.findall(r"⟦(.*?)⟧", shown.output, re.DOTALL)
    assert learnt
    assert {text.removesuffix("<|end|>") for text in learnt} <= {
        pair.answer for pair in pairs(finished, "train")
    }


def test_every_docstring_but_signatures_is_a_pair(finished):
    names = {pair.name for split in ("train", "validation") for pair in pairs(finished, split)}
    assert len(names) == 72 * 4
    assert not any(name.endswith("_signature") for name in names)


def test_held_out_questions_come_from_validation_modules_only(finished, saved):
    held_out, trained = modules(finished, "validation"), modules(finished, "train")
    assert not held_out & trained
    known = {name: answer for module in held_out for name, answer in answers_of(module).items()}
    assert len(known) > QUESTIONS  # so that there is something to choose
    asked = [re.search("`(.*)`", row["question"])[1] for row in saved["answers"]]
    assert len(set(asked)) == QUESTIONS
    assert [row["reference"] for row in saved["answers"]] == [known[name] for name in asked]


def test_answers_are_complete_and_their_sums_right(finished, saved):
    rows = saved["answers"]
    stopped = sum(row["stopped"] for row in rows)
    well_formed = sum(row["well_formed"] for row in rows)
    assert stopped >= well_formed > 0  # so many updates teach this form
    sums = {
        "asked": QUESTIONS,
        "stopped": stopped,
        "stopped_interval": list(wilson(stopped, QUESTIONS)),
        "well_formed": well_formed,
        "well_formed_interval": list(wilson(well_formed, QUESTIONS)),
    }
    assert saved == sums | {"answers": rows}
    (event,) = finished.events("finetuning", "answers").to_pylist()
    assert (event["asked"], event["stopped"]) == (QUESTIONS, stopped)
    summary = RunDirectory(finished.directory).manifest().stages["finetuning"].summary
    assert summary["well_formed"] == well_formed


def test_the_saved_model_gives_the_saved_answers(finished, saved):
    model = hornbook.load(finished.directory)
    for row in saved["answers"]:
        reply = model.reply([{"role": "user", "content": row["question"]}], 40)
        assert (reply.text, reply.stopped) == (row["answer"], row["stopped"])


def test_chat_answers_in_the_terminal(finished, saved):
    first, second = saved["answers"][:2]
    questions = ["-m", first["question"], "-m", second["question"], "--max-tokens", "40"]
    said = CliRunner().invoke(group, ["chat", str(finished.directory), *questions])
    assert said.exit_code == 0, said.output
    assert said.output == f"{first['answer']}\n{second['answer']}\n"


@pytest.mark.parametrize(
    "file",
    ["answers.json", f"checkpoints/step-{STEPS:08d}/weights.safetensors", "hf/model.safetensors"],
)
def test_one_flipped_byte_rebuilds_tuning_alone_to_the_same_bytes(finished, tuned, tmp_path, file):
    copy = damaged_copy(finished.directory, tmp_path, file)
    states = last_states(hornbook.run("demo", copy, tuned))
    assert [name for name, state in states.items() if state == "finished"] == ["finetuning"]
    assert outputs(copy) == outputs(finished.directory)


def test_a_kill_in_the_middle_of_tuning_ends_with_the_same_bytes(
    finished, library, tuned, tmp_path
):
    update = STEPS // 2 + 2
    directory = damaged_copy(finished.directory, tmp_path, "answers.json")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, library, directory, json.dumps(tuned), str(update)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert f"killed before update {update} in finetuning" in killed.stdout
    again = hornbook.run("demo", directory, tuned)
    why = [row["why"] for row in again.events("finetuning", "decision").to_pylist()]
    assert why == [f"there is a checkpoint of step {STEPS // 2}"]
    assert outputs(directory) == outputs(finished.directory)


def test_a_row_longer_than_the_borrowed_models_context_is_refused(finished, tuned, tmp_path):
    lent = ("corpus", "tokenizer", "store", "baseline", "pretraining")
    own = {key: value for key, value in tuned.items() if key.partition(".")[0] not in lent}
    own |= {f"{stage}.from": str(finished.directory) for stage in lent}
    own |= {"model.max_length": 256, "finetuning.sequence_length": 256}
    with pytest.raises(RecipeError, match="context of 128"):
        hornbook.run("demo", tmp_path / "other", own)


@pytest.mark.parametrize("found", [finetuning.FEWEST_PAIRS - 1, finetuning.FEWEST_PAIRS])
def test_tuning_is_skipped_below_the_fewest_pairs(monkeypatch, tmp_path, found):
    train_tokenizer("byte", [], 260).save(tmp_path)
    pair = Pair("m.f", "function", "What does `m.f` do?", "Return the sum.")
    monkeypatch.setattr(finetuning, "pairs", lambda inputs, split: [pair] * found)
    why = finetuning.why_skipped(SimpleNamespace(inputs={"tokenizer": tmp_path}))
    assert (why is None) is (found == finetuning.FEWEST_PAIRS)
    assert why is None or f"{found} docstrings" in why


def test_tuning_is_skipped_where_the_tokenizer_has_no_roles(monkeypatch, tmp_path):
    train_tokenizer("byte", [], 261, special_tokens="bert").save(tmp_path)
    pair = Pair("m.f", "function", "What does `m.f` do?", "Return the sum.")
    monkeypatch.setattr(finetuning, "pairs", lambda inputs, split: [pair] * 1000)
    why = finetuning.why_skipped(SimpleNamespace(inputs={"tokenizer": tmp_path}))
    assert "the tokenizer has no <|user|>, <|assistant|>, <|end|>" in why


def test_chosen_questions_depend_on_seed_and_names_only():
    held_out = [Pair(f"m.f{n}", "function", "", "") for n in range(40)]
    held_out += [Pair("m", "module", "", ""), Pair("m.C", "class", "", "")]
    held_out += [Pair(f"m.C.g{n}", "method", "", "") for n in range(40)]
    ten = finetuning.chosen(held_out, 1, 10)
    assert {pair.kind for pair in ten} == {"function", "method"}
    assert finetuning.chosen(held_out[::-1], 1, 10) == ten
    assert finetuning.chosen(held_out, 1, 20)[:10] == ten
    assert finetuning.chosen(held_out, 2, 10) != ten
    everything = finetuning.chosen(held_out, 1, 1000)
    assert {pair.name for pair in everything} == {p.name for p in held_out} - {"m", "m.C"}
