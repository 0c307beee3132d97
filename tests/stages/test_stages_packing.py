"""Rows of whole documents, weights that move and what each source gave, in whole runs."""

import json
import pydoc_data.topics
import shutil

import pytest
from click.testing import CliRunner

import hornbook
from hornbook.batches.cuts import cuts
from hornbook.cli.main import hornbook as group
from hornbook.errors import InputError, RecipeError
from hornbook.runs.directory import RunDirectory
from hornbook.stages import pretraining
from hornbook.stages.inspect import decoded_rows
from hornbook.stages.packing import packing_of_run
from hornbook.stages.run import Run, read_recipe
from hornbook.tokenizers import load_tokenizer

MIXED = {
    "pretraining.packing": "best_fit",
    "pretraining.schedule": "constant",
    "pretraining.weights": {"long": 0.75, "short": 0.25},
    "pretraining.final_weights": {"long": 0.25, "short": 0.75, "absent": 1.0},
    "pretraining.annealing_start": 0.5,
    "pretraining.annealing_stretches": 2,
    "pretraining.epoch_caps": {"short": 2},
}
STEPS, ROWS, LENGTH = 8, 4, 64


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[str]:
    """One folder of long documents and one of documents shorter than a row."""
    texts = [text for _, text in sorted(pydoc_data.topics.topics.items())]
    folder = tmp_path_factory.mktemp("sources")
    for name, pieces in (
        ("long", texts[:12]),
        ("short", [p for text in texts[12:40] for p in text.split("\n\n") if 60 < len(p) < 160]),
    ):
        (folder / name).mkdir()
        for number, piece in enumerate(pieces[:150]):
            (folder / name / f"{number:03d}.txt").write_text(piece, encoding="utf-8")
    return [str(folder / "long"), str(folder / "short")]


@pytest.fixture(scope="module")
def mixed(settings, sources) -> dict[str, object]:
    return {**settings, "corpus.sources": sources, **MIXED}


@pytest.fixture(scope="module")
def run(tmp_path_factory, mixed):
    directory = tmp_path_factory.mktemp("packed") / "run"
    return hornbook.run("demo", directory, mixed, until="pretraining")


def batches(run):
    places = {name: run.directory / name for name in ("corpus", "tokenizer", "store")}
    tokenizer = load_tokenizer(places["tokenizer"])
    recipe = read_recipe(RunDirectory(run.directory).recipe_path)
    return pretraining.batches_of(recipe, places, tokenizer)


def counters(run):
    manifest = run.directory / f"pretraining/checkpoints/step-{STEPS:08d}/manifest.json"
    return json.loads(manifest.read_text(encoding="utf-8"))["counters"]


def test_what_packing_did_is_an_event_a_source(run):
    events = {row["source"]: row for row in run.events("pretraining", "packing").to_pylist()}
    made = batches(run)
    assert list(events) == list(made.order.sources) == ["long", "short"]
    for source, plan in zip(made.order.sources, made.plans, strict=True):
        found = cuts(plan)
        assert events[source]["what"] == "best_fit"
        assert events[source]["rows"] == found.rows == len(plan)
        assert (events[source]["cut"], events[source]["padding"]) == (found.cut, found.padding)
        assert events[source]["needless"] == 0
    assert events["short"]["cut"] < events["short"]["documents"] / 4
    assert events["long"]["cut"] == events["long"]["documents"]


def test_what_each_source_gave_is_what_the_loop_counted_and_the_order_says(run):
    events = {row["source"]: row for row in run.events("pretraining", "contribution").to_pylist()}
    counted, made = counters(run), batches(run)
    for name in ("samples", "tokens", "targets"):
        assert sum(row[name] for row in events.values()) == counted[name]
    whole = made.update(0, STEPS * ROWS)
    assert sum(row["bytes"] for row in events.values()) == whole.byte_count
    source, _, _ = made.order.samples(0, STEPS * ROWS)
    for number, name in enumerate(made.order.sources):
        assert events[name]["samples"] == (source == number).sum()
        assert events[name]["step"] == STEPS
        assert events[name]["share"] == (source == number).mean()
    epochs = made.order.epochs_after(STEPS * ROWS)
    assert {name: row["epochs"] for name, row in events.items()} == pytest.approx(epochs)
    # 16 samples at 3:1, 8 at 1:1, 8 at 1:3
    assert events["short"]["samples"] == 4 + 4 + 6
    page = (run.directory / "report.html").read_text(encoding="utf-8")
    assert "What each source gave to pre-training" in page


def test_absent_sources_are_told(run):
    rows = run.events("pretraining", "decision").to_pylist()
    assert [row["what"] for row in rows] == ["final weights left out"]
    assert rows[0]["why"].endswith("absent")


def test_the_plans_are_stored_with_the_stage_and_shown_alike(run):
    stored = sorted(path.name for path in (run.directory / "pretraining/packing").iterdir())
    assert stored == ["long.npz", "short.npz"]
    rows = list(decoded_rows(RunDirectory(run.directory), "pretraining", 0, 6))
    made = batches(run).update(0, 6)
    learnt = (made.targets != -100).sum(1).tolist()
    assert [row.targets for row in rows] == learnt
    short = next(row for row in rows if row.source == "short")
    assert sum(not piece.learnt for piece in short.pieces) >= 2  # where documents begin


def test_data_packing_compares_every_policy(run):
    result = CliRunner().invoke(group, ["data", "packing", str(run.directory)])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    table = {tuple(words[:2]): words[2:] for words in lines if words[:2] and len(words) == 8}
    found = {
        (policy, source): c for policy, source, c in packing_of_run(RunDirectory(run.directory))
    }
    policies = ("stream", "best_fit", "padded")
    assert list(found) == [(policy, source) for policy in policies for source in ("long", "short")]
    for place, c in found.items():
        shares = [f"{x:.1%}" for x in (c.cut_share, c.needless_share, c.padding_share)]
        assert table[place] == [f"{c.rows:,}", f"{c.documents:,}", *shares, f"{c.dropped:,}"]
    assert found["stream", "short"].needless_share > 0.5
    assert found["best_fit", "short"].cut_share < found["stream", "short"].cut_share
    assert found["best_fit", "short"].padding < found["padded", "short"].padding


def test_more_steps_do_not_go_on_where_weights_had_moved(run, mixed, tmp_path):
    more = mixed | {"pretraining.steps": STEPS + 2}
    copied = shutil.copytree(run.directory, tmp_path / "copied")
    raised = hornbook.run("demo", copied, more, until="pretraining")
    rows = raised.events("pretraining", "decision").to_pylist()
    told = [row["why"] for row in rows if row["what"] == "an earlier checkpoint is not continued"]
    assert told == [
        "the training for 8 steps had moved its weights towards final_weights by step 8, earlier "
        "than one for 10 steps does"
    ]
    assert "resume" not in [row["what"] for row in rows]
    samples = raised.events("pretraining", "contribution")["samples"].to_pylist()
    assert sum(samples) == (STEPS + 2) * ROWS


def test_caps_that_end_the_data_are_told_before_training(mixed, tmp_path):
    few = mixed | {"pretraining.epoch_caps": {"long": 1, "short": 1}, "pretraining.steps": 600}
    with pytest.raises(InputError, match=r"epoch caps end the data after \d+ samples"):
        hornbook.run("demo", tmp_path / "run", few, until="pretraining")
    assert len(Run(tmp_path / "run").events("pretraining", "metric")) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"packing": "padded"}, 'pretraining.packing="stream"'),
        ({"epoch_caps": {"code": 1}}, "pretraining.epoch_caps={}"),
        ({"final_weights": {"code": 1.0}}, "pretraining.final_weights={}"),
    ],
)
def test_lanes_read_the_text_as_it_is(change, said):
    lanes = {"model.family": "lstm", "model.n_heads": 0, "pretraining.order": "lanes"}
    values = {"weights": {}} | change
    with pytest.raises(RecipeError) as raised:
        read_recipe("demo", lanes | {f"pretraining.{key}": value for key, value in values.items()})
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        {"annealing_start": 1.0},
        {"annealing_stretches": 0},
        {"epoch_caps": {"code": 0}},
        {"weights": {"code": -0.5}},
        {"final_weights": {"code": -0.5}},
    ],
)
def test_options_out_of_range_are_refused(change):
    with pytest.raises(RecipeError, match=next(iter(change))):
        read_recipe("demo", {f"pretraining.{key}": value for key, value in change.items()})


def test_a_negative_weight_is_told_what_is_allowed():
    with pytest.raises(RecipeError, match="weights must be a table, each entry a number, at least"):
        read_recipe("demo", {"pretraining.weights": {"code": -0.5}})


@pytest.mark.parametrize("change", [{"annealing_start": 0.5}, {"annealing_stretches": 2}])
def test_what_moves_no_weights_is_refused(change):
    (name,) = change
    with pytest.raises(RecipeError, match=f"pretraining.{name} is set, and without pretraining.fi"):
        read_recipe("demo", {f"pretraining.{key}": value for key, value in change.items()})
    moving = change | {"final_weights": {"code": 1.0}}
    read_recipe("demo", {f"pretraining.{key}": value for key, value in moving.items()})


def test_final_weights_of_no_source_are_refused():
    recipe = read_recipe("demo", {"pretraining.final_weights": {"cod": 1.0, "dcos": 2.0}})
    with pytest.raises(InputError, match=r"final_weights names cod, dcos, .* code, docs; name one"):
        pretraining.mixed(recipe["pretraining"], {"code": 9, "docs": 5}, 1)
