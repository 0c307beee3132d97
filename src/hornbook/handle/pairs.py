"""Training on pairs from Python: a source is read, a target learnt, by the one loop.

    model = hornbook.build("transformer", tokenizer=tokenizer, n_layers=2, d_model=64)
    hornbook.train_pairs(model, [("2 March 1998", "1998-03-02"), …], "runs/dates")
    model.generate("3 March 1998")

The directory holds all of it: `training.json` (what this training is), `tokenizer/`,
`events.jsonl`, and `checkpoints/`, which `hornbook.load` opens. The same call goes on where it was
stopped, and ends with the same bytes.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.batches.pairs import PairBatches, PairTable, pair_table
from hornbook.batches.plans import spread
from hornbook.errors import InputError, StorageError
from hornbook.handle.model import Model
from hornbook.models.spec import spec_to_dict
from hornbook.models.stacks import Network
from hornbook.objectives.pairs import Pairs
from hornbook.recipe.fingerprint import derive_seed, fingerprint
from hornbook.runs.atomic import write_text
from hornbook.runs.directory import RunDirectory, lock
from hornbook.runs.events import EventLog
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.training.compute import resolve_compute
from hornbook.training.loop import train
from hornbook.training.options import ComputeOptions, TrainingOptions
from hornbook.training.state import TrainingPlan, Watcher
from hornbook.training.watchers import evaluation, sampling

Pair = tuple[str, str] | tuple[Sequence[int], Sequence[int]]

CHECKPOINTS, EVENTS, FACTS = "checkpoints", "events.jsonl", "training.json"
TOKENIZER = "tokenizer"
EVALUATION_BATCH_ROWS = 64
SHOWN_SOURCES = 3


def train_pairs(
    model: Model,
    pairs: Sequence[Pair],
    directory: str | Path,
    *,
    validation: Sequence[Pair] = (),
    options: TrainingOptions | None = None,
    compute: ComputeOptions | None = None,
    seed: int = 0,
    end_id: int | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train an encoder-decoder on (source, target) pairs; returns the training's summary.

    pairs: texts, which the model's tokenizer encodes, or token ids. Every target is ended with
    `end_id`, by default the tokenizer's end of text; `model.generate` stops there by itself if it
    is that, and is told `stop=end_id` otherwise. validation: pairs that are scored, and the first
    of them continued, at the options' intervals. options: `sequence_length` is the most tokens of
    a source, and of a target with its end. compute: device, precision, threads.

    A directory that holds this training is continued, and a finished one read: the model's weights
    are then those of its last checkpoint.

    Raises:
        InputError: the model has no encoder, the pairs cannot be used, or the directory holds
            another training. Interrupted: a signal asked to stop; a checkpoint was saved.
    """
    options, compute = options or TrainingOptions(), compute or ComputeOptions()
    objective = Pairs(_start_id(model), options.z_loss)
    table = _table(model, pairs, end_id, options, "pairs")
    held_out = _table(model, validation, end_id, options, "validation") if validation else None
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with lock(RunDirectory(directory)), StopSignal() as stop:
        resolved = resolve_compute(compute, _facts(directory).get("precision"))
        facts = {
            "model": fingerprint(spec_to_dict(model.spec)),
            "pairs": table.digest,
            "options": options.hashed(),
            "seed": seed,
            "precision": resolved.precision,
        }
        _claim(directory, facts)
        if model.tokenizer is not None:
            model.tokenizer.save(directory / TOKENIZER)
        plan = TrainingPlan(
            network=model.network,
            objective=objective,
            batches=_batches(model, pairs, table, objective, derive_seed(seed, "order")),
            options=options,
            compute=resolved,
            seed=derive_seed(seed, "training"),
            checkpoints=directory / CHECKPOINTS,
            watchers=_watchers(model, validation, held_out, objective, options),
        )
        events = EventLog(directory / EVENTS).bind("pairs", fingerprint(facts))
        summary = train(plan, events=events, progress=Progress(quiet=quiet), stop=stop)
    model.eval()
    return summary


def _start_id(model: Model) -> int:
    """What the decoder begins with."""
    if model.spec.encoder is None:
        raise InputError(
            f"A model of the family {model.spec.family} reads no source; pairs need an encoder "
            "and a decoder, as in transformer, bart or t5."
        )
    reading: Any = model.spec.reading
    start: int = reading.start_id
    return start


def _table(
    model: Model, pairs: Sequence[Pair], end_id: int | None, options: TrainingOptions, name: str
) -> PairTable:
    """The pairs as ids, checked; `name` says which argument they came in."""
    if end_id is None:
        if model.tokenizer is None:
            raise InputError("This model has no tokenizer, so nothing ends a target; give end_id.")
        end_id = model.tokenizer.end_of_text
    longest = min(options.sequence_length, model.spec.max_length)
    try:
        encoded = ((_ids(model, source), _ids(model, target)) for source, target in pairs)
        return pair_table(encoded, end_id, model.spec.vocab_size, longest)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _ids(model: Model, side: str | Sequence[int]) -> Any:
    """One side of a pair as ids."""
    if not isinstance(side, str):
        return side
    if model.tokenizer is None:
        raise InputError("This model has no tokenizer, so it learns from ids; give ids for text.")
    return model.tokenizer.encode(side)


def _are_texts(pairs: Sequence[Pair]) -> bool:
    return isinstance(pairs[0][0], str)


def _batches(
    model: Model, pairs: Sequence[Pair], table: PairTable, objective: Pairs, seed: int = 0
) -> PairBatches:
    """Batches of a table; a token of ids that stand for no text counts as one byte."""
    byte_lengths: NDArray[np.integer] = np.ones(model.spec.vocab_size, dtype=np.int64)
    if _are_texts(pairs) and model.tokenizer is not None:
        byte_lengths = model.tokenizer.byte_lengths
    return PairBatches(table, objective.prepare, byte_lengths, objective.name, objective.mask, seed)


def _watchers(
    model: Model,
    pairs: Sequence[Pair],
    table: PairTable | None,
    objective: Pairs,
    options: TrainingOptions,
) -> tuple[Watcher, ...]:
    """The loss on held-out pairs, and what is made of the first sources if they are texts."""
    if table is None:
        return ()
    batches = _batches(model, pairs, table, objective)
    chosen = spread(len(table), options.evaluation_rows)
    sets = {"validation": list(batches.fixed(chosen, EVALUATION_BATCH_ROWS))}
    scored = evaluation(sets, objective, options.evaluation_interval_steps)
    sources = dict.fromkeys(source for source, _ in pairs if isinstance(source, str))
    shown = list(sources)[:SHOWN_SOURCES]

    def write(network: Network, source: str) -> str:
        text: str = Model(network, model.tokenizer).generate(source, table.longest_target)
        return text

    return scored, sampling(shown, write, options.sample_interval_steps, between=" → ")


def _facts(directory: Path) -> dict[str, Any]:
    """What a directory says of the training in it; empty where there is none yet."""
    path = directory / FACTS
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StorageError(f"{path} cannot be read ({error}); name another directory.") from error
    return facts


def _claim(directory: Path, facts: dict[str, Any]) -> None:
    """Write down what this training is; raise InputError where the directory holds another."""
    before, now = _facts(directory), json.loads(json.dumps(facts))
    other = [name for name in now if before and before.get(name) != now[name]]
    if other:
        raise InputError(
            f"{directory} holds a training with other {', '.join(other)}; name another directory, "
            "or delete this one."
        )
    write_text(directory / FACTS, json.dumps(facts, indent=1) + "\n")
