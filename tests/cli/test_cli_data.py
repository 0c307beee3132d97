"""`hornbook data check`: proves that every document is read exactly once, or names the fault."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import hornbook
from hornbook.batches.lanes import Lanes
from hornbook.batches.order import Order
from hornbook.batches.plans import StreamPlan
from hornbook.cli.main import hornbook as group
from hornbook.errors import InputError, StorageError
from hornbook.recipe.fingerprint import file_digest
from hornbook.runs.directory import RunDirectory
from hornbook.runs.progress import Progress
from hornbook.stages.check_data import check_order
from hornbook.stages.pretraining import batches_of
from hornbook.stages.run import read_recipe
from hornbook.stages.stored import finished
from hornbook.tokenizers import load_tokenizer

QUIET = Progress(quiet=True)


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


def order_of(run, settings=None, samples=100):
    """The findings of the order, with some of the recipe's options replaced."""
    directory = RunDirectory(run)
    inputs = finished(directory, "corpus", "tokenizer", "store")
    recipe = read_recipe(directory.recipe_path, settings or {})
    batches = batches_of(recipe, inputs, load_tokenizer(inputs["tokenizer"]))
    return list(check_order(batches, samples, QUIET)), batches


def test_a_sound_run_is_sound(run):
    done = call("data", "check", run)
    assert done.exit_code == 0, done.output
    (findings, batches) = order_of(run)
    rows = len(batches.plans[0])
    tokens = batches.plans[0].array.tokens
    assert f"{rows:,} rows and {rows * 64:,} targets, each read once" in done.output
    assert f"{tokens - 1 - rows * 64} tokens are in no row" in done.output
    assert done.output.count("sound") == 5
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
    assert "is read twice in its first epoch, at last as sample " in findings[0].fault


def test_a_row_that_is_not_read_is_named(run, monkeypatch):
    inner = Order.samples

    def never(self, first, count):
        source, epoch, position = inner(self, first, count)
        return source, np.where(position == 5, 1, epoch), position

    monkeypatch.setattr(Order, "samples", never)
    (findings, _) = order_of(run)
    assert findings[0].fault.startswith("Row 5 of ")
    assert "is not read, of 1 that are not, in its first epoch" in findings[0].fault


def test_targets_that_rows_share_are_named(run, monkeypatch):
    inner = StreamPlan.rows

    def overlapping(self, positions):
        rows = inner(self, positions)
        rows.tokens[positions == 3] -= 2
        return rows

    monkeypatch.setattr(StreamPlan, "rows", overlapping)
    (findings, _) = order_of(run)
    assert findings[0].fault.startswith("2 targets of ")
    assert "are read twice in its first epoch" in findings[0].fault


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
        ({"weights": {"a": 5, "b": 1}, "caps": {"a": 2, "b": 1}}, (3, 4)),
        ({"stretches": [(2, {"a": 1.0})]}, (3, 1)),  # b leaves early
        ({"stretches": [(0, {"a": 1.0}), (40, {"b": 1.0})]}, (3, 4)),  # b comes late
    ],
)
def test_weights_and_caps_and_leaving_are_no_faults(order, read):
    given = Given(Order({"a": 3, "b": 4}, block_rows=2, **order))
    findings = list(check_order(given, 50, QUIET))
    assert [finding.fault for finding in findings] == ["", ""]
    assert [finding.what.split()[0] for finding in findings] == [str(count) for count in read]


def test_lanes_say_what_they_leave_out():
    findings = list(check_order(Given(Lanes({"a": 3, "b": 4}, 2)), 50, QUIET))
    assert [finding.fault for finding in findings] == ["", ""]
    assert "left out" not in findings[0].what
    assert "; 1 row is left out by the order" in findings[1].what
    findings = list(check_order(Given(Lanes({"a": 3, "b": 4}, 5)), 50, QUIET))
    assert "; 2 rows are left out by the order" in findings[1].what
