"""`hornbook data check`: proves that every document is read exactly once, or names the fault."""

import json
import pydoc_data.topics
import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import hornbook
from hornbook.batches import whole_documents
from hornbook.batches.lanes import Lanes
from hornbook.batches.order import Order
from hornbook.batches.plans import StreamPlan
from hornbook.cli.main import hornbook as group
from hornbook.errors import InputError, StorageError
from hornbook.recipe.fingerprint import file_digest
from hornbook.runs.directory import RunDirectory
from hornbook.runs.progress import Progress
from hornbook.stages import check_data
from hornbook.stages.check_order import check_order
from hornbook.stages.pretraining import batches_of
from hornbook.stages.run import read_recipe
from hornbook.stages.stored import finished
from hornbook.tokenizers import load_tokenizer

QUIET = Progress(quiet=True)
TINY = ["A few words, and no more.", "Others, as short as those."]


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    directory = tmp_path_factory.mktemp("data") / "run"
    return hornbook.run("demo", directory, settings, until="store").directory


@pytest.fixture
def copied(run, tmp_path):
    """A run that may be altered, and where its training text is stored."""
    shutil.copytree(run, tmp_path / "run")
    (source,) = finished(RunDirectory(tmp_path / "run"), "store")["store"].glob("train/*")
    return tmp_path / "run", source


def call(*words):
    return CliRunner().invoke(group, ["-q", *map(str, words)])


def order_of(run, settings=None):
    """The findings of the order, with some of the recipe's options replaced."""
    directory = RunDirectory(run)
    inputs = finished(directory, "corpus", "tokenizer", "store")
    recipe = read_recipe(directory.recipe_path, settings or {})
    batches = batches_of(recipe, inputs, load_tokenizer(inputs["tokenizer"]))
    return list(check_order(batches, QUIET)), batches


def test_a_sound_run_is_sound(run):
    done = call("data", "check", run)
    assert done.exit_code == 0, done.output
    (findings, batches) = order_of(run)
    rows = len(batches.plans[0])
    tokens = batches.plans[0].array.tokens
    assert f"{rows:,} rows and {rows * 64:,} targets, each read once" in done.output
    assert f"{tokens - 1 - rows * 64} tokens are in no row" in done.output
    assert done.output.count("sound") == 5
    more = call("data", "check", run, "--stage", "pretraining", "--epochs", 3)
    assert all(words in more.output for words in ("the first epoch", "epoch 2", "epoch 3"))
    assert more.output.count("sound") == 3
    assert "FAULT" not in done.output
    assert not findings[0].fault


def test_a_flipped_token_is_named_though_its_checksum_was_made_anew(copied):
    run, source = copied
    path = source / "tokens-00000.bin"
    ids = np.fromfile(path, "<u2")
    ids[7] ^= 1
    ids.tofile(path)
    done = call("data", "check", run, "--stage", "store")
    assert isinstance(done.exception, StorageError)
    assert "tokens-00000.bin holds other bytes" in str(done.exception)
    manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    manifest["shards"][0]["token_file"]["xxh3"] = file_digest(path)
    (source / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    done = call("data", "check", run, "--stage", "store")
    assert isinstance(done.exception, StorageError)
    assert done.exception.exit_code == 1
    assert "stand for" in str(done.exception) or "document 0 " in str(done.exception)
    assert "FAULT" in done.output
    assert done.output.count("sound") >= 2  # the held-out text


def test_a_source_that_is_not_stored_is_named(copied):
    run, source = copied
    shutil.rmtree(source.parents[1] / "validation")
    done = call("data", "check", run, "--stage", "store")
    assert "is not stored, and the corpus has 4 documents" in str(done.exception)


def test_what_is_not_finished_is_the_users_error(run):
    with pytest.raises(InputError, match="has not finished its pretraining; run it first"):
        finished(RunDirectory(run), "store", "pretraining")


@pytest.mark.parametrize("packing", ["best_fit", "padded"])
def test_rows_of_whole_documents_are_read_once_too(run, packing):
    (findings, batches) = order_of(run, {"pretraining.packing": packing})
    (finding,) = findings
    assert not finding.fault
    assert f"{len(batches.plans[0]):,} rows" in finding.what


def test_a_row_read_twice_is_named(run, monkeypatch):
    inner = Order.samples

    def twice(self, first, count):
        source, epoch, position = inner(self, first, count)
        position[:] = np.where(position == 5, 6, position)
        return source, epoch, position

    monkeypatch.setattr(Order, "samples", twice)
    (findings, _) = order_of(run)
    assert findings[0].fault.startswith("Row 6 of ")
    assert "is read twice in the first epoch, at last as sample " in findings[0].fault


def test_a_row_that_is_not_read_is_named(run, monkeypatch):
    inner = Order.samples

    def never(self, first, count):
        source, epoch, position = inner(self, first, count)
        return source, np.where(position == 5, 1, epoch), position

    monkeypatch.setattr(Order, "samples", never)
    (findings, _) = order_of(run)
    assert findings[0].fault.startswith("Row 5 of ")
    assert "is not read, of 1 that are not, in the first epoch" in findings[0].fault


def test_targets_that_rows_share_are_named(run, monkeypatch):
    inner = StreamPlan.rows

    def overlapping(self, positions):
        rows = inner(self, positions)
        rows.tokens[positions == 3] -= 2
        return rows

    monkeypatch.setattr(StreamPlan, "rows", overlapping)
    (findings, _) = order_of(run)
    assert findings[0].fault.startswith("2 targets of ")
    assert "are read twice in the first epoch" in findings[0].fault


LOST = "Targets of a are in no row: "


class Given:
    """Two sources of three and four rows by weights; what `check_order` asks of batches."""

    def __init__(self, order):
        self.plans = [StreamPlan(Numbers(13), 4), StreamPlan(Numbers(17), 4)]
        self.order = order


class Numbers:
    """An array of so many tokens, one document."""

    document_starts = np.zeros(1, dtype=np.uint64)

    def __init__(self, tokens):
        self.tokens = tokens


@pytest.mark.parametrize(
    ("order", "read"),
    [
        ({"weights": {"a": 1, "b": 50}}, (3, 4)),
        ({"weights": {"a": 0.999, "b": 0.001}}, (3, 4)),  # b's first turn comes late
        ({"weights": {"a": 1, "b": 9_999}, "caps": {"b": 1}}, (3, 4)),
        ({"weights": {"a": 5, "b": 1}, "caps": {"a": 2, "b": 1}}, (3, 4)),
        ({"stretches": [(2, {"a": 1.0})]}, (3, 1)),  # b leaves early
        ({"stretches": [(0, {"a": 1.0}), (40, {"b": 1.0})]}, (3, 4)),  # b comes late
    ],
)
def test_weights_and_caps_and_leaving_are_no_faults(order, read):
    given = Given(Order({"a": 3, "b": 4}, block_rows=2, **order))
    findings = list(check_order(given, QUIET))
    assert [finding.fault for finding in findings] == ["", ""]
    assert [finding.what.split()[0] for finding in findings] == [str(count) for count in read]


@pytest.mark.parametrize("epoch", [1, 2, 7])
def test_later_epochs_are_gone_through_as_well(epoch, monkeypatch):
    order = Order({"a": 3, "b": 4}, {"a": 1, "b": 5}, block_rows=2)
    findings = list(check_order(Given(order), QUIET, epoch))
    assert [finding.fault for finding in findings] == ["", ""]
    assert f"3 rows and 12 targets, each read once in epoch {epoch + 1};" in findings[0].what
    inner = Order.samples

    def twice(self, first, count):
        source, epochs, position = inner(self, first, count)
        return source, epochs, np.where((epochs == epoch) & (source == 0), 1, position)

    monkeypatch.setattr(Order, "samples", twice)
    faulty, sound = check_order(Given(order), QUIET, epoch)
    assert faulty.fault.startswith(f"Row 1 of a is read twice in epoch {epoch + 1}, ")
    assert not sound.fault
    assert not any(one.fault for one in check_order(Given(order), QUIET, epoch - 1))


def test_an_epoch_that_a_cap_forbids_is_not_read():
    order = Order({"a": 3, "b": 4}, {"a": 1, "b": 1}, caps={"a": 1})
    capped, other = check_order(Given(order), QUIET, 1)
    assert (capped.state, other.state) == ("not read", "sound")


def test_what_no_sample_reads_is_never_sound():
    order = Order({"a": 3, "b": 4}, {"a": 0.9, "b": 0.1}, stretches=[(1, {"a": 1.0})])
    sound, unread = check_order(Given(order), QUIET)
    assert (sound.state, unread.state) == ("sound", "not read")
    assert unread.what == "all of its 4 rows are left out by the order"


@pytest.mark.parametrize(
    ("packing", "altered", "said"),
    [
        (
            "best_fit",
            lambda at, size: (at[:-2], size[:-2]),
            LOST + "14, the first of them token 26",
        ),
        ("padded", lambda at, size: (at[:-2], size[:-2]), LOST + "14, the first of them token 26"),
        ("padded", lambda at, size: (at, size - 1), LOST + "4, the first of them token 9"),
        (
            "padded",
            lambda at, size: (at - (at == 30), size + (at == 30)),
            "Tokens of a are targets and should be none: 1, the first of them token 30",
        ),
    ],
)
def test_what_a_plan_loses_is_a_fault(packing, altered, said, monkeypatch):
    class Documents(Numbers):
        document_starts = np.array([0, 10, 29, 30], dtype=np.uint64)  # one has no target

    def findings():
        given = Given(Order({"a": len(plan(packing)), "b": 4}))
        given.plans[0] = plan(packing)
        return list(check_order(given, QUIET))

    def plan(packing):
        return whole_documents.make_plan(Documents(42), 15, packing)

    sound = findings()
    assert [one.fault for one in sound] == ["", ""]
    assert "38 targets, each read once" in sound[0].what
    assert "1 tokens are in no row" in sound[0].what
    inner = whole_documents.pieces
    monkeypatch.setattr(whole_documents, "pieces", lambda *array: altered(*inner(*array)))
    lost, other = findings()
    assert lost.fault.startswith(said)
    assert "this is a fault of the packing; report it." in lost.fault
    assert not other.fault


def test_a_stream_that_loses_its_last_row_is_a_fault(run, monkeypatch):
    inner = StreamPlan.__len__
    monkeypatch.setattr(StreamPlan, "__len__", lambda plan: inner(plan) - 1)
    ((finding,), _) = order_of(run)
    assert finding.fault.startswith("Targets of ")
    assert " are in no row: 64, " in finding.fault


def test_a_plan_that_loses_documents_ends_with_1(run, monkeypatch, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "recipe.toml"
    recipe = path.read_text(encoding="utf-8")
    assert 'packing = "stream"' in recipe
    text = recipe.replace('packing = "stream"', 'packing = "best_fit"')
    path.write_text(text, encoding="utf-8")
    assert call("data", "check", tmp_path / "run", "--stage", "pretraining").exit_code == 0
    inner = whole_documents.pieces
    monkeypatch.setattr(
        whole_documents, "pieces", lambda *array: [part[:-3] for part in inner(*array)]
    )
    done = call("data", "check", tmp_path / "run", "--stage", "pretraining")
    assert done.exception.exit_code == 1
    assert "are in no row" in str(done.exception)
    assert "FAULT" in done.output


@pytest.fixture(scope="module")
def three(settings, text_folder, tmp_path_factory):
    """A run of text, of some that fills no row, and of some that has the weight 0."""
    folder = tmp_path_factory.mktemp("three")
    off = [text for _, text in sorted(pydoc_data.topics.topics.items())[40:50]]
    for name, texts in (("tiny", TINY), ("off", off)):
        (folder / name).mkdir()
        for number, text in enumerate(texts):
            (folder / name / f"{number}.txt").write_text(text, encoding="utf-8")
    places = [str(text_folder), str(folder / "tiny"), str(folder / "off")]
    weights = {text_folder.name: 1.0, "tiny": 1.0, "off": 0.0}
    more = {"corpus.sources": places, "pretraining.weights": weights}
    return hornbook.run("demo", folder / "run", settings | more, until="store").directory


def test_sources_that_no_sample_reads_are_said(three, text_folder, monkeypatch):
    inner = check_data.sources_of
    monkeypatch.setattr(check_data, "sources_of", lambda corpus: (*inner(corpus), "held"))
    done = call("data", "check", three, "--stage", "pretraining")
    assert done.exit_code == 0, done.output
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert "order of off not read its weight is 0" in lines
    assert "order of held not read none of its documents is training text" in lines
    tokens = re.compile(r"order of tiny not read it has \d+ tokens, and a row needs 65")
    assert any(tokens.fullmatch(line) for line in lines)
    assert any(line.startswith(f"order of {text_folder.name} sound ") for line in lines)
    assert done.output.count("sound") == 1


def test_a_source_that_a_plan_loses_whole_is_a_fault(three, tmp_path, monkeypatch):
    recipe = shutil.copytree(three, tmp_path / "run") / "recipe.toml"
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(text.replace('packing = "stream"', 'packing = "padded"'), encoding="utf-8")
    inner = whole_documents.pieces
    monkeypatch.setattr(
        whole_documents,
        "pieces",
        lambda array, *more: [part[: array.tokens > 64 and None] for part in inner(array, *more)],
    )
    done = call("data", "check", tmp_path / "run", "--stage", "pretraining")
    assert str(done.exception) == "No sample reads tiny, which has text and a weight: report it."


def test_data_packing_says_which_sources_have_no_row(three):
    done = call("data", "packing", three)
    assert done.exit_code == 0, done.output
    assert re.search(
        r"^stream reads nothing of tiny: it has \d+ tokens, and a row needs 65\.$",
        done.output,
        re.M,
    )
    assert done.output.count("reads nothing of") == 1
    assert re.search(r"^ *best_fit +tiny ", done.output, re.M)


def test_lanes_say_what_they_leave_out():
    findings = list(check_order(Given(Lanes({"a": 3, "b": 4}, 2)), QUIET))
    assert [finding.fault for finding in findings] == ["", ""]
    assert "left out" not in findings[0].what
    assert "; 1 row is left out by the order" in findings[1].what
    for epoch in (0, 3):
        findings = list(check_order(Given(Lanes({"a": 3, "b": 4}, 5)), QUIET, epoch))
        assert "; 2 rows are left out by the order" in findings[1].what
