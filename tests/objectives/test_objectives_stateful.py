"""Carried states: lanes are read as one text each, in any micro-batches, and through a kill."""

import numpy as np
import pytest
import torch

from hornbook.batches.lanes import Lanes
from hornbook.batches.loader import Batches
from hornbook.batches.plans import StreamPlan
from hornbook.errors import TrainingError
from hornbook.models.build import build_network
from hornbook.models.families import spec_for
from hornbook.objectives.causal import Causal
from hornbook.objectives.stateful import Stateful
from hornbook.runs.events import EventLog
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.training.compute import Compute
from hornbook.training.loop import train
from hornbook.training.options import PretrainingOptions
from hornbook.training.state import TrainingPlan
from hornbook.training.step import micro_batches

VOCABULARY, LENGTH, LANES = 31, 7, 4
KINDS = pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])


class Text:
    def __init__(self, count: int) -> None:
        self.ids = np.random.default_rng(0).integers(0, VOCABULARY, count)
        self.tokens, self.document_starts = count, np.array([0], dtype=np.uint64)

    def gather(self, starts, width):
        return self.ids[starts[:, None] + np.arange(width)]


def network_of(kind="lstm", **dimensions):
    sizes = {"vocab_size": VOCABULARY, "d_model": 12, "n_layers": 2, "dropout": 0.0}
    network = build_network(spec_for(kind, **sizes | dimensions), seed=1)
    generator = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.4, generator=generator)
    return network


def stream(rows=20):
    plan = StreamPlan(Text(rows * LENGTH + 1), LENGTH)
    objective = Stateful(Lanes({"text": len(plan)}, LANES))
    own = Batches(
        objective.lanes, {"text": plan}, objective.prepare, np.ones(VOCABULARY, dtype=np.int64),
        objective.name, objective.mask,
    )  # fmt: skip
    return own, objective, plan


def losses(network, batches, objective, updates, rows=0):
    """The mean loss of each update, computed so many rows at a time."""
    found = []
    for update in range(updates):
        batch = batches.update(update * LANES, LANES)
        parts = micro_batches(batch, rows)
        sums = [objective.loss(network, part).total.item() for part in parts]
        found.append(sum(sums) / batch.target_count)
    return found


@KINDS
def test_a_lane_read_in_rows_is_the_lane_read_at_once(kind):
    network = network_of(kind)
    batches, objective, plan = stream()
    found = losses(network, batches, objective, 5)
    lane = [np.arange(own * 5, own * 5 + 5) for own in range(LANES)]
    tokens = np.stack([plan.rows(rows).tokens[:, :-1].reshape(-1) for rows in lane])
    targets = np.stack([plan.rows(rows).tokens[:, 1:].reshape(-1) for rows in lane])
    hidden = network(torch.from_numpy(tokens)).last
    log_p = network.logits(hidden).log_softmax(-1)
    nll = -log_p.gather(2, torch.from_numpy(targets)[..., None])[..., 0]
    whole = [nll[:, n * LENGTH : (n + 1) * LENGTH].mean().item() for n in range(5)]
    assert found == pytest.approx(whole, rel=1e-5)


@KINDS
def test_micro_batches_change_nothing(kind):
    network = network_of(kind)
    first, second = (stream()[:2] for _ in range(2))
    assert losses(network, *first, 7) == pytest.approx(losses(network, *second, 7, rows=3))


def test_an_epoch_begins_with_zeros_and_ends_the_gradient_at_each_row():
    network = network_of()
    batches, objective, _ = stream()
    found = losses(network, batches, objective, 10)
    assert found[5:] == pytest.approx(found[:5])
    assert all(not kept.requires_grad for kept in objective.state().values())


def test_states_matter_and_evaluation_begins_anew():
    network = network_of()
    batches, objective, _ = stream()
    losses(network, batches, objective, 1)
    batch = batches.update(LANES, LANES)
    carried = objective.loss(network, batch).total.item()
    alone = Causal().loss(network, batch).total.item()
    assert abs(carried - alone) > 1e-3


def test_a_state_that_is_not_finite_is_forgotten():
    network = network_of()
    batches, objective, _ = stream()
    losses(network, batches, objective, 1)
    objective.memory["000.0"][2] = float("nan")
    lost = objective.loss(network, batches.update(LANES, LANES)).total.item()
    assert not np.isfinite(lost)
    assert all(kept.isfinite().all() for kept in objective.state().values())


def test_states_of_other_lanes_are_refused():
    _, objective, _ = stream()
    with pytest.raises(TrainingError, match="another batch_size"):
        objective.load_state({"000.0": torch.zeros(LANES + 1, 12)})


def trained(folder, steps, until=None):
    """A training in lanes of which only `until` steps are made now."""
    torch.manual_seed(0)
    batches, objective, _ = stream(rows=60)
    options = PretrainingOptions(
        steps=steps, batch_size=LANES, sequence_length=LENGTH, order="lanes", schedule="constant",
        warmup_steps=0, checkpoint_interval_steps=4,
    )  # fmt: skip
    plan = TrainingPlan(
        network=network_of(), objective=objective, memory=objective, batches=batches,
        options=options, compute=Compute("cpu", "float32", 1), seed=5, checkpoints=folder,
        lineage="same",
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    events = EventLog(folder / "events.jsonl").bind("pretraining", "")
    stop = StopSignal()
    if until is not None:
        right = objective.loss

        def loss(network, batch):
            if int(batch.extra["lane"][0]) == 0:
                trained.updates += 1
            if trained.updates == until:
                raise KeyboardInterrupt
            return right(network, batch)

        trained.updates = 0
        objective.loss = loss
    train(plan, events=events, progress=Progress(quiet=True), stop=stop)
    return plan.network.state_dict()


def test_a_killed_training_in_lanes_ends_with_the_same_weights(tmp_path):
    """Killed in update 7, three after the last checkpoint: states, too, are those of then."""
    whole = trained(tmp_path / "whole", 12)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", 12, until=7)
    again = trained(tmp_path / "killed", 12)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
