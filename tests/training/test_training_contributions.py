"""What each source gave, and which longer trainings may go on, when weights move."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_training import LENGTH, VOCABULARY, Tokens, bytes_below, make_plan, run

from hornbook.batches.loader import Batches
from hornbook.batches.mixture import annealed
from hornbook.batches.order import Order
from hornbook.batches.plans import StreamPlan
from hornbook.checkpoints.read import newest
from hornbook.errors import Interrupted
from hornbook.runs.events import read_events
from hornbook.runs.signals import StopSignal
from hornbook.training.options import PretrainingOptions
from hornbook.training.watchers import contributions

WEIGHTS, FINAL = {"web": 0.75, "books": 0.25}, {"web": 0.25, "books": 0.75}


def make_mixed(checkpoints, steps, **more):
    """A training over two sources whose weights move from half of its samples on."""
    values = {"steps": steps, "schedule": "constant", "final_weights": FINAL}
    base = make_plan(checkpoints, annealing_start=0.5, **values)
    options = base.options
    plans = {name: StreamPlan(Tokens(900, seed), LENGTH) for seed, name in enumerate(WEIGHTS)}
    rows = {name: len(plan) for name, plan in plans.items()}
    first, end = options.samples_free_of_steps(), steps * options.batch_size
    order = Order(rows, WEIGHTS, stretches=annealed(WEIGHTS, FINAL, first, end, 4))
    objective = base.objective
    sizes = np.arange(VOCABULARY) % 5
    batches = Batches(order, plans, objective.prepare, sizes, objective.name, objective.mask)
    watcher = contributions(order.sources, list(rows.values()))
    return replace(base, batches=batches, watchers=(watcher,), lineage="same", **more)


class StoppedAfter:
    """Asks to stop once `steps` batches were taken."""

    def __init__(self, batches, steps, stop):
        self.batches, self.steps, self.stop = batches, steps, stop

    def follow(self, schedule, workers=0):
        for number, batch in enumerate(self.batches.follow(schedule, workers), 1):
            if number == self.steps:
                self.stop._ask(15, None)
            yield batch


def run_until(plan, steps, events):
    stop = StopSignal()
    with pytest.raises(Interrupted):
        run(replace(plan, batches=StoppedAfter(plan.batches, steps, stop)), events, stop)


def given(events):
    names = ("source", "samples", "tokens", "targets", "bytes", "epochs", "share")
    rows = read_events(events, "pretraining", "contribution").to_pylist()
    return [[row[name] for name in names] for row in rows]


def decisions(events):
    rows = read_events(events, "pretraining", "decision").to_pylist()
    return [(row["what"], row["why"]) for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An unbroken training of twelve steps."""
    folder = tmp_path_factory.mktemp("whole")
    run(make_mixed(folder / "c", 12), folder / "e.jsonl")
    return folder


def test_what_each_source_gave_is_counted_once_though_the_training_was_stopped(whole, tmp_path):
    run_until(make_mixed(tmp_path / "c", 12), 7, tmp_path / "e.jsonl")
    assert given(tmp_path / "e.jsonl") == []
    run(make_mixed(tmp_path / "c", 12), tmp_path / "e.jsonl")
    assert given(tmp_path / "e.jsonl") == given(whole / "e.jsonl")
    counters = newest(tmp_path / "c", print).counters
    batch = make_mixed(tmp_path / "unused", 12).batches.update(0, 48)
    assert counters["by_source"] == {str(n): list(c) for n, c in batch.by_source().items()}
    rows = given(tmp_path / "e.jsonl")
    assert sum(row[1] for row in rows) == counters["samples"] == 48
    assert sum(row[3] for row in rows) == counters["targets"]
    assert sum(row[4] for row in rows) == batch.byte_count
    assert [row[5] for row in rows] == [row[1] / 56 for row in rows]
    assert sum(row[6] for row in rows) == 1


def longer(whole_folder, tmp_path, stopped_after):
    """Twelve steps after a training of eight was stopped; with its events."""
    run_until(make_mixed(tmp_path / "eight", 8), stopped_after, tmp_path / "8.jsonl")
    earlier = {"0" * 12: tmp_path / "eight"}
    run(make_mixed(tmp_path / "c", 12, earlier=earlier), tmp_path / "e.jsonl")
    assert bytes_below(tmp_path / "c") == bytes_below(whole_folder / "c")
    return decisions(tmp_path / "e.jsonl")


def test_a_longer_training_goes_on_from_before_weights_moved(whole, tmp_path):
    found = longer(whole, tmp_path, 4)  # the eight steps move from step 4 on, the twelve from 6
    assert found == [
        ("resume", "training for 8 steps was the same up to there: checkpoint of step 4")
    ]


def test_a_longer_training_begins_anew_where_weights_had_moved(whole, tmp_path):
    (what, why), *rest = longer(whole, tmp_path, 5)
    assert what == "an earlier checkpoint is not continued"
    assert "training for 8 steps had moved its weights towards final_weights by step 5" in why
    assert all(what != "resume" or "step 4" in why for what, why in rest)


def test_samples_free_of_steps_are_those_before_weights_move():
    assert PretrainingOptions(steps=10, batch_size=4).samples_free_of_steps() is None
    moving = {"final_weights": FINAL, "annealing_start": 0.3}
    assert PretrainingOptions(steps=10, batch_size=4, **moving).samples_free_of_steps() == 12
