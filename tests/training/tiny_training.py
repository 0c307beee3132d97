"""A tiny language, a tiny model, and a training of it."""

from pathlib import Path

import numpy as np
import torch

from hornbook.batches.loader import Batches
from hornbook.batches.order import Order
from hornbook.batches.plans import StreamPlan
from hornbook.models.build import build_network
from hornbook.models.families import spec_for
from hornbook.objectives.causal import Causal
from hornbook.runs.events import EventLog
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.training.compute import Compute
from hornbook.training.loop import train
from hornbook.training.options import PretrainingOptions
from hornbook.training.state import TrainingPlan

torch.set_num_threads(1)

VOCABULARY, LENGTH = 50, 16


class Tokens:
    """A token array in memory: each token has four likely successors."""

    def __init__(self, count=4000, seed=0):
        draw = np.random.default_rng(seed)
        successors = draw.integers(0, VOCABULARY, (VOCABULARY, 4))
        ids = [0]
        for choice in draw.integers(0, 4, count - 1):
            ids.append(int(successors[ids[-1], choice]))
        self.ids = np.array(ids)
        self.tokens = count
        self.document_starts = np.arange(0, count, 37, dtype=np.uint64)

    def gather(self, starts, width):
        return self.ids[starts[:, None] + np.arange(width)]


def make_network(dropout=0.0, seed=0, **dimensions):
    sizes = {"n_layers": 2, "d_model": 32, "n_heads": 2, "max_length": LENGTH} | dimensions
    spec = spec_for("gpt2", vocab_size=VOCABULARY, dropout=dropout, **sizes)
    return build_network(spec, seed=seed)


def make_batches(objective, tokens=None):
    plan = StreamPlan(tokens or Tokens(), LENGTH)
    bytes_of_tokens = np.full(VOCABULARY, 2)
    order = Order({"only": len(plan)}, seed=1)
    return Batches(
        order, {"only": plan}, objective.prepare, bytes_of_tokens, objective.name, objective.mask
    )


def make_plan(checkpoints, precision="float32", dropout=0.0, watchers=(), **options):
    objective = Causal()
    values = {
        "steps": 12,
        "batch_size": 4,
        "sequence_length": LENGTH,
        "warmup_steps": 3,
        "learning_rate": 3e-3,
        "checkpoint_interval_steps": 4,
        "log_interval_steps": 1,
    }
    network = make_network(dropout)
    return TrainingPlan(
        network=network,
        objective=objective,
        batches=make_batches(objective),
        options=PretrainingOptions(**(values | options)),
        compute=Compute("cpu", precision, 1),
        seed=5,
        checkpoints=Path(checkpoints),
        watchers=tuple(watchers),
        expected_first_loss=network.expected_first_loss(),
    )


def run(plan, events_path, stop=None):
    """Train; returns the summary."""
    events = EventLog(Path(events_path)).bind("pretraining", "0" * 32)
    return train(plan, events=events, progress=Progress(quiet=True), stop=stop or StopSignal())


def bytes_below(directory):
    """Every file below a directory with its bytes."""
    files = (path for path in Path(directory).rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}
