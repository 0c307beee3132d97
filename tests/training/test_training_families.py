"""Every family trains through the one loop: it learns a text by heart, and beats the unigram."""

import pydoc_data.topics
from pathlib import Path

import numpy as np
import pytest
import torch
from shapes import shaped

from hornbook.batches.loader import Batches
from hornbook.batches.order import Order
from hornbook.batches.plans import StreamPlan
from hornbook.models import FAMILIES
from hornbook.models.build import build_network
from hornbook.models.paths import at, put
from hornbook.models.recurrences import TwoWayReading
from hornbook.objectives.both_ways import BothWays
from hornbook.objectives.causal import Causal
from hornbook.objectives.likelihood import fixed_batches, likelihood
from hornbook.objectives.masked import Masked
from hornbook.objectives.split import Split
from hornbook.runs.events import EventLog
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.training.compute import Compute
from hornbook.training.loop import train
from hornbook.training.options import PretrainingOptions
from hornbook.training.state import TrainingPlan

VOCABULARY, LENGTH, MASK = 128, 48, 0
SHAPE = {"vocab_size": VOCABULARY, "max_length": 64, "d_model": 48, "n_layers": 2, "n_heads": 3}
OTHER = {
    "bahdanau": {"d_hidden": 48},
    "gpt3": {"band": 8},
    "gru": {"n_layers": 1},
    "lstm": {"n_layers": 1},
    "luong": {"n_layers": 1, "input_feeding": False},
    "mixtral": {"d_ff": 64, "n_experts": 3},
    "qwen3": {"d_head": 16},
    "seq2seq": {"n_layers": 1},
    "t5": {"d_head": 16},
    "t5_1_1": {"d_head": 16},
}
DROPOUTS = [
    "embedding.dropout",
    *(
        f"{stack}.{part}"
        for stack in ("stack", "encoder")
        for part in (
            "dropout",
            *(f"blocks.*.{p}dropout" for p in ("", "attention.", "cross.", "feedforward.")),
        )
    ),
]
# Of an encoder's row only the hidden tokens are learnt at once; a state learns slowly.
BY_HEART = {
    "bert": (300, 1e-2),
    "roberta": (300, 1e-2),
    "nplm": (100, 1e-2),
    "rnn": (200, 1e-2),
    "lstm": (200, 2e-2),
    "gru": (200, 2e-2),
    "seq2seq": (220, 5e-2),
    "bahdanau": (80, 1e-2),
    "luong": (350, 5e-2),
    "bilm": (120, 2e-2),
}
BYTES = np.ones(VOCABULARY, dtype=np.int64)


def holds(spec, path):
    """Whether the spec has such a field."""
    try:
        return at(spec, path) is not None
    except AttributeError:
        return False


class Text:
    """Characters of Python's documentation, as ids below 128; id 0 is in no text."""

    def __init__(self, text):
        self.ids = np.frombuffer(text.encode("ascii", "ignore"), dtype=np.uint8).astype(np.int64)
        self.tokens, self.document_starts = len(self.ids), np.array([0], dtype=np.uint64)

    def gather(self, starts, width):
        return self.ids[starts[:, None] + np.arange(width)]


@pytest.fixture(scope="module")
def texts():
    topics = pydoc_data.topics.topics
    return Text("\n".join(topics[name] for name in sorted(topics)[:60])[:200_000])


def plan_for(family, array, folder, steps, rate, **options):
    torch.manual_seed(0)
    spec = shaped(family, SHAPE, **OTHER.get(family, {}))
    for path in DROPOUTS:
        spec = put(spec, path.split("."), 0.0) if holds(spec, path) else spec
    network = build_network(spec, seed=1)
    objective = objective_of(spec)
    plan = StreamPlan(array, LENGTH)
    batches = Batches(
        Order({"text": len(plan)}, seed=1),
        {"text": plan},
        objective.prepare,
        BYTES,
        objective.name,
        objective.mask,
    )
    values = {
        "steps": steps,
        "batch_size": 8,
        "sequence_length": LENGTH,
        "learning_rate": rate,
        "warmup_steps": steps // 10,
        "log_interval_steps": 10,
        "checkpoint_interval_steps": steps,
        "weight_decay": 0.0,
    }
    return TrainingPlan(
        network=network,
        objective=objective,
        batches=batches,
        options=PretrainingOptions(**(values | options)),
        compute=Compute("cpu", "float32", 1),
        seed=3,
        checkpoints=Path(folder),
    )


def objective_of(spec):
    """Causal loss for what reads left to right, or both ways; masks for encoders, split texts."""
    if spec.encoder is not None:
        return Split(spec.reading.start_id)
    if isinstance(spec.reading, TwoWayReading):
        return BothWays()
    return Causal() if spec.continues else Masked(MASK)


def trained(plan, folder):
    events = EventLog(Path(folder) / "events.jsonl").bind("pretraining", "0" * 32)
    train(plan, events=events, progress=Progress(quiet=True), stop=StopSignal())
    return plan.network


@pytest.mark.column("overfits")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_small_text_is_learnt_by_heart(family, texts, tmp_path):
    """Eight rows: of the loss at the start, less than a fifth is left."""
    few = Text("")
    few.ids = texts.ids[: 8 * LENGTH + 1]
    few.tokens = len(few.ids)
    steps, rate = BY_HEART.get(family, (200, 3e-3))
    plan = plan_for(family, few, tmp_path / "checkpoints", steps, rate)
    batches = list(fixed_batches(StreamPlan(few, LENGTH), 8, 8, plan.objective, BYTES))
    before = likelihood(plan.network, plan.objective, batches).loss
    after = likelihood(trained(plan, tmp_path), plan.objective, batches).loss
    assert after < before / 5, (before, after)


def unigram_loss(counts, batches):
    """Nats a target of the training text's frequencies, plus one each."""
    log_p = np.log((counts + 1) / (counts + 1).sum())
    targets = np.concatenate(
        [b.targets.numpy().reshape(-1)[b.target_index.numpy()] for b in batches]
    )
    return -log_p[targets].mean()


@pytest.mark.slow
@pytest.mark.column("overfits")
@pytest.mark.parametrize("family", FAMILIES)
def test_on_held_out_text_it_beats_the_unigram_on_the_same_targets(family, texts, tmp_path):
    cut = texts.tokens * 9 // 10
    seen, held_out = Text(""), Text("")
    seen.ids, held_out.ids = texts.ids[:cut], texts.ids[cut:]
    seen.tokens, held_out.tokens = len(seen.ids), len(held_out.ids)
    plan = plan_for(family, seen, tmp_path / "checkpoints", steps=400, rate=3e-3)
    batches = list(fixed_batches(StreamPlan(held_out, LENGTH), 64, 16, plan.objective, BYTES))
    after = likelihood(trained(plan, tmp_path), plan.objective, batches).loss
    unigram = unigram_loss(np.bincount(seen.ids, minlength=VOCABULARY), batches)
    assert after < unigram, (after, unigram)
