"""The loop: what it writes down, what it does besides, how it stops and goes on."""

import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import bytes_below, make_plan, run

from hornbook.batches.plans import StreamPlan
from hornbook.checkpoints import WEIGHTS_FILE
from hornbook.checkpoints import write as write_module
from hornbook.checkpoints.read import newest, read
from hornbook.errors import Interrupted, StorageError, TrainingError
from hornbook.objectives.likelihood import fixed_batches, likelihood
from hornbook.runs.events import read_events
from hornbook.runs.signals import StopSignal
from hornbook.training import loop
from hornbook.training.state import Watcher
from hornbook.training.watchers import evaluation, sampling


def events_of(path, kind):
    return read_events(path, "pretraining", kind).to_pylist()


class StopAfter:
    """Asks to stop once `steps` batches were taken."""

    def __init__(self, plan, steps, what):
        self.inner, self.steps, self.what = plan.batches, steps, what

    def follow(self, schedule, workers=0):
        for number, batch in enumerate(self.inner.follow(schedule, workers), 1):
            if number == self.steps:
                self.what()
            yield batch


def with_batches(plan, batches):
    values = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    return type(plan)(**(values | {"batches": batches}))


def finished(tmp_path, name="whole", **options):
    """An unbroken training; its checkpoint's bytes."""
    run(make_plan(tmp_path / name, **options), tmp_path / f"{name}.jsonl")
    return bytes_below(tmp_path / name)


def test_metrics_are_written_down(tmp_path):
    plan = make_plan(tmp_path / "c", log_interval_steps=5)
    summary = run(plan, tmp_path / "e.jsonl")
    metrics = events_of(tmp_path / "e.jsonl", "metric")
    assert [m["step"] for m in metrics] == [1, 5, 10, 12]
    assert [m["samples"] for m in metrics] == [4, 20, 40, 48]
    assert [m["tokens"] for m in metrics] == [64, 320, 640, 768]
    assert metrics[0]["learning_rate"] == pytest.approx(3e-3 / 3)
    assert metrics[-1]["learning_rate"] == pytest.approx(3e-4)
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    assert all(m["tokens_per_second"] > 0 and m["gradient_norm"] > 0 for m in metrics)
    assert summary["steps"] == 12
    assert summary["tokens"] == 768
    assert events_of(tmp_path / "e.jsonl", "incident") == []


def test_afterwards_the_network_is_exact_and_one_checkpoint_is_left(tmp_path):
    plan = make_plan(tmp_path / "c", "bfloat16")
    run(plan, tmp_path / "e.jsonl")
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["step-00000012"]
    stored = read(tmp_path / "c" / "step-00000012")
    assert stored.counters["spec"]["family"] == "gpt2"
    for name, parameter in plan.network.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, stored.weights()[name])


def test_watchers_run_in_order_when_due_and_last(tmp_path):
    calls = []
    watchers = [
        Watcher(name, interval, lambda t, name=name: calls.append((t.step, name)))
        for name, interval in (("b", 5), ("a", 10), ("end", 0))
    ]
    run(make_plan(tmp_path / "c", watchers=watchers), tmp_path / "e.jsonl")
    assert calls == [(5, "b"), (10, "b"), (10, "a"), (12, "b"), (12, "a"), (12, "end")]


def test_evaluation_scores_the_fixed_set_of_each_source(tmp_path):
    plan = make_plan(tmp_path / "c")
    rows: StreamPlan = plan.batches.plans[0]
    lengths = plan.batches.byte_lengths
    sets = {
        "small": list(fixed_batches(rows, 3, 2, plan.objective, lengths)),
        "large": list(fixed_batches(rows, 9, 4, plan.objective, lengths)),
    }
    assert [len(b.tokens) for b in sets["large"]] == [4, 4, 1]
    watcher = evaluation(sets, plan.objective, 6)
    values = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    plan = type(plan)(**(values | {"watchers": (watcher,)}))
    summary = run(plan, tmp_path / "e.jsonl")
    scores = events_of(tmp_path / "e.jsonl", "evaluation")
    assert [(s["step"], s["source"]) for s in scores] == [
        (6, "small"),
        (6, "large"),
        (12, "small"),
        (12, "large"),
    ]
    for score in scores[2:]:
        source = score["source"]
        exact = likelihood(plan.network, plan.objective, sets[source])
        assert score["bits_per_byte"] == exact.bits_per_byte == summary["bits_per_byte"][source]
        assert score["loss"] == pytest.approx(exact.bits_per_byte * 2 * torch.tensor(2.0).log())


def test_samples_are_taken_without_dropout_and_written_down(tmp_path):
    modes = []

    def write(network, prompt):
        modes.append(network.training)
        return f" answer {len(modes)}"

    plan = make_plan(tmp_path / "c", watchers=[sampling(["one", "two"], write, 0)])
    run(plan, tmp_path / "e.jsonl")
    samples = events_of(tmp_path / "e.jsonl", "sample")
    assert [(s["step"], s["prompt"], s["text"]) for s in samples] == [
        (12, "one", " answer 1"),
        (12, "two", " answer 2"),
    ]
    assert modes == [False, False]


@pytest.mark.parametrize("off", [False, True])
def test_a_first_loss_that_the_initialisation_does_not_predict_is_an_incident(tmp_path, off):
    plan = make_plan(tmp_path / "c", steps=2)
    with torch.no_grad():
        plan.network.embedding.tokens.weight.mul_(40.0 if off else 1.0)
    run(plan, tmp_path / "e.jsonl")
    incidents = events_of(tmp_path / "e.jsonl", "incident")
    assert [i["what"] for i in incidents] == (["first loss"] if off else [])


def test_a_rejected_first_update_says_nothing_of_the_first_loss(tmp_path):
    plan = make_plan(tmp_path / "c", steps=2)

    class NaNValue(type(plan.objective)):
        def loss(self, network, batch):
            found = super().loss(network, batch)
            return type(found)(found.total, found.targets, {"nll": found.metrics["nll"] * np.nan})

    run(with_objective(plan, NaNValue()), tmp_path / "e.jsonl")
    incidents = events_of(tmp_path / "e.jsonl", "incident")
    assert [i["what"] for i in incidents] == ["update rejected"] * 2


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_stopping_and_going_on_gives_the_same_bytes(tmp_path, workers, precision):
    """Dropout on; stopped between two intervals; weights, moments, counters and rates equal."""
    options = {"dropout": 0.1, "precision": precision, "loader_workers": workers}
    whole = finished(tmp_path, **(options | {"loader_workers": 0}))
    stop = StopSignal()
    parted = make_plan(tmp_path / "parted", **options)
    parted = with_batches(parted, StopAfter(parted, 7, lambda: stop._ask(15, None)))
    with pytest.raises(Interrupted):
        run(parted, tmp_path / "parted.jsonl", stop)
    assert newest(tmp_path / "parted", print).step == 7
    run(make_plan(tmp_path / "parted", **options), tmp_path / "parted.jsonl")
    assert bytes_below(tmp_path / "parted") == whole
    for column in ("loss", "learning_rate", "gradient_norm"):
        one, two = (
            [m[column] for m in events_of(tmp_path / f"{name}.jsonl", "metric")]
            for name in ("whole", "parted")
        )
        assert one == two


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_raises(tmp_path, number):
    plan = make_plan(tmp_path / "c", checkpoint_interval_steps=0)
    plan = with_batches(plan, StopAfter(plan, 3, lambda: os.kill(os.getpid(), number)))
    with StopSignal() as stop, pytest.raises(Interrupted) as raised:
        run(plan, tmp_path / "e.jsonl", stop)
    assert raised.value.exit_code == 128 + number
    assert newest(tmp_path / "c", print).step == 3


def test_a_flipped_bit_in_the_newest_falls_back_and_ends_the_same(tmp_path):
    whole = finished(tmp_path)
    stop = StopSignal()
    plan = make_plan(tmp_path / "c")
    plan = with_batches(plan, StopAfter(plan, 10, lambda: stop._ask(15, None)))
    with pytest.raises(Interrupted):
        run(plan, tmp_path / "e.jsonl", stop)
    damaged = tmp_path / "c" / "step-00000010" / WEIGHTS_FILE
    data = bytearray(damaged.read_bytes())
    data[-5] ^= 4
    damaged.write_bytes(data)
    run(make_plan(tmp_path / "c"), tmp_path / "e.jsonl")
    (incident,) = events_of(tmp_path / "e.jsonl", "incident")
    assert incident["what"] == "damaged checkpoint"
    assert "step-00000010" in incident["why"]
    (decision,) = events_of(tmp_path / "e.jsonl", "decision")
    assert "step 8" in decision["why"]
    assert bytes_below(tmp_path / "c") == whole


def test_a_full_disk_ends_training_and_keeps_what_was_saved(tmp_path, monkeypatch):
    whole = finished(tmp_path)
    real, calls = write_module.write_tensors, []

    def full_from_the_third(path, tensors):
        calls.append(path)
        real(path, tensors)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(write_module, "write_tensors", full_from_the_third)
    with pytest.raises(StorageError, match="disk is full"):
        run(make_plan(tmp_path / "c"), tmp_path / "e.jsonl")
    assert newest(tmp_path / "c", print).step == 4
    monkeypatch.setattr(write_module, "write_tensors", real)
    run(make_plan(tmp_path / "c"), tmp_path / "e.jsonl")
    assert bytes_below(tmp_path / "c") == whole


class NaNObjective:
    """Not a number in some calls of the loss."""

    def __init__(self, objective, bad):
        self.inner, self.bad, self.calls = objective, bad, 0

    def loss(self, network, batch):
        found = self.inner.loss(network, batch)
        self.calls += 1
        factor = float("nan") if self.calls in self.bad else 1.0
        return type(found)(found.total * factor, found.targets, found.metrics)


def with_objective(plan, objective):
    values = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    return type(plan)(**(values | {"objective": objective}))


def test_a_rejected_update_is_an_incident_and_training_goes_on(tmp_path):
    plan = make_plan(tmp_path / "c")
    plan = with_objective(plan, NaNObjective(plan.objective, {5, 6}))
    run(plan, tmp_path / "e.jsonl")
    incidents = events_of(tmp_path / "e.jsonl", "incident")
    assert [(i["step"], i["what"]) for i in incidents] == [
        (5, "update rejected"),
        (6, "update rejected"),
    ]
    checkpoint = read(tmp_path / "c" / "step-00000012")
    assert int(checkpoint.training()["updates"]) == 10
    assert all(tensor.isfinite().all() for tensor in checkpoint.weights().values())


def test_ten_rejected_in_a_row_end_training_across_a_restart(tmp_path):
    plan = make_plan(tmp_path / "c", steps=40, checkpoint_interval_steps=4)
    plan = with_objective(plan, NaNObjective(plan.objective, set(range(3, 40))))
    stop = StopSignal()
    stopped = with_batches(plan, StopAfter(plan, 8, lambda: stop._ask(15, None)))
    with pytest.raises(Interrupted):
        run(stopped, tmp_path / "e.jsonl", stop)
    assert newest(tmp_path / "c", print).counters["rejected_in_a_row"] == 6
    again = make_plan(tmp_path / "c", steps=40)
    again = with_objective(again, NaNObjective(again.objective, set(range(40))))
    with pytest.raises(TrainingError, match="10 updates in a row"):
        run(again, tmp_path / "e.jsonl")
    rejected = events_of(tmp_path / "e.jsonl", "incident")
    assert max(i["step"] for i in rejected) == 11


def test_a_finished_training_only_says_so(tmp_path):
    whole = finished(tmp_path, "c")
    plan = make_plan(tmp_path / "c")
    summary = run(plan, tmp_path / "again.jsonl")
    assert summary["steps"] == 12
    assert events_of(tmp_path / "again.jsonl", "metric") == []
    assert bytes_below(tmp_path / "c") == whole
    stored = read(tmp_path / "c" / "step-00000012").weights()
    assert all(torch.equal(p, stored[name]) for name, p in plan.network.named_parameters())


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    finished(tmp_path, "c")
    manifest = json.loads((tmp_path / "c/step-00000012/manifest.json").read_text(encoding="utf-8"))
    assert manifest["counters"]["samples"] == 48
    plan = make_plan(tmp_path / "c", steps=20)
    plan.network.blocks = plan.network.blocks[:1]
    with pytest.raises(TrainingError, match=r"blocks\.1\..* train with the model"):
        run(plan, tmp_path / "e.jsonl")


@pytest.mark.parametrize("steps", [80, pytest.param(400, marks=pytest.mark.slow)])
def test_bf16_follows_fp32(tmp_path, steps):
    """Losses in means of 20 updates: within half a percent."""
    curves = []
    for precision in ("float32", "bfloat16"):
        plan = make_plan(tmp_path / precision, precision, steps=steps, log_interval_steps=20)
        run(plan, tmp_path / f"{precision}.jsonl")
        metrics = events_of(tmp_path / f"{precision}.jsonl", "metric")
        curves.append([m["loss"] for m in metrics])
    assert curves[0][-1] < 0.9 * curves[0][0]
    assert curves[1] == pytest.approx(curves[0], rel=5e-3)
    assert curves[1] != curves[0]


def test_the_loop_names_no_family_and_no_stage():
    text = Path(loop.__file__).read_text(encoding="utf-8")
    assert not any(name in text for name in ("gpt2", "pretraining", "finetuning", "causal"))
