"""The ladder that the field climbed, on one corpus: counting, windows, recurrence, attention.

Every rung reads the same tokens with the same tokenizer, in the same order for the same seed, and
is scored on the same held-out rows. Rungs that learn have as many updates as one budget of training
arithmetic allows (`models.count.flops_per_token`); counting, which multiplies nothing, is charged
what the machine could have multiplied in the time it took. Learnt rungs climb once a seed.

A ladder is a folder: `base`, a run that makes corpus, tokenizer, store and baseline; `rungs`, a run
a rung and seed that borrows these; ladder.json and ladder.png. Stopped or killed, it goes on where
it was, like any run.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hornbook.errors import InputError
from hornbook.evaluation.baseline import ALL, model_name
from hornbook.evaluation.climbed import Climbed
from hornbook.evaluation.orders import score_orders
from hornbook.evaluation.significance import T_95
from hornbook.models.count import flops_per_token, parameters
from hornbook.models.options import ModelOptions
from hornbook.recipe.recipe import Recipe
from hornbook.recipe.recipe import read as read_tables
from hornbook.runs.atomic import write_text
from hornbook.runs.directory import RunDirectory
from hornbook.runs.events import read_events
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.stages import SECTIONS, STAGES
from hornbook.stages.run import Overrides, read_recipe, run
from hornbook.store.reader import open_store
from hornbook.tokenizers import load_tokenizer
from hornbook.training.compute import resolve_compute
from hornbook.training.measure import matrix_product_rate

SHARED = ("corpus", "tokenizer", "store", "baseline")
RESULTS = "ladder.json"
ORDERS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Rung:
    """A learnt rung: a family, its dimensions, and its peak rate of learning."""

    family: str
    dimensions: Mapping[str, Any]
    learning_rate: float


RUNGS: Mapping[str, Rung] = {
    "feed-forward": Rung("nplm", {"d_model": 64, "d_hidden": 256, "direct": False}, 2e-2),
    "RNN": Rung("rnn", {"n_layers": 1, "d_model": 256}, 8e-3),
    "LSTM": Rung("lstm", {"n_layers": 1, "d_model": 256}, 2e-2),
    "GRU": Rung("gru", {"n_layers": 1, "d_model": 256}, 2e-2),
    "GPT-2": Rung("gpt2", {"n_layers": 4, "d_model": 128, "n_heads": 4}, 3e-3),
    "LLaMA": Rung("llama", {"n_layers": 4, "d_model": 128, "n_heads": 4}, 8e-3),
}
"""Each rate is the best of 3e-3, 8e-3 and 2e-2 (3e-3 and 8e-3 for the last two), tried once each
with 2e12 operations on this Python's own library."""


def climb(
    source: str | Path | Mapping[str, Any] | Recipe = "ladder",
    directory: str | Path = "runs/ladder",
    overrides: Overrides = (),
    *,
    budget: float = 6e12,
    seeds: int = 3,
    progress: Progress | None = None,
    stop: StopSignal | None = None,
) -> tuple[Climbed, ...]:
    """Climb all rungs, or go on; write ladder.json and ladder.png, and return the rungs.

    source: a recipe; its sections [model] and [finetuning] are not used. budget: floating-point
    operations of one training. seeds: 1 to 10 trainings of each learnt rung.

    Raises:
        InputError: too many seeds, or a budget that is no number or too small for one update.
    """
    if not math.isfinite(budget):
        raise InputError(f"The budget is {budget}; give a number of operations, such as 6e12.")
    if not 1 <= seeds <= len(T_95) + 1:
        raise InputError(f"seeds is {seeds}; give 1 to {len(T_95) + 1}.")
    directory, progress, stop = (
        Path(directory),
        progress or Progress(quiet=True),
        stop or StopSignal(),
    )
    recipe = read_recipe(source, overrides)
    for rung in RUNGS.values():  # what cannot be is said before anything is made
        asked = recipe["tokenizer"].vocab_size
        rung_recipe(recipe, rung, directory / "base", recipe["run"].seed, budget, asked)
    base = run(recipe, directory / "base", until="baseline", progress=progress, stop=stop)
    counted = _counted(recipe, RunDirectory(base.directory), directory, stop)
    vocab_size = load_tokenizer(base.directory / "tokenizer").vocab_size
    learnt: dict[str, Climbed] = {}
    for seed in range(recipe["run"].seed, recipe["run"].seed + seeds):
        for name, rung in RUNGS.items():
            own = rung_recipe(recipe, rung, base.directory, seed, budget, vocab_size)
            place = directory / "rungs" / f"{rung.family}-{seed}"
            progress.say(f"{'rung':12s}{name}, seed {seed}")
            run(own, place, until="pretraining", progress=progress, stop=stop)
            found = learnt_of(name, own, RunDirectory(place), vocab_size)
            learnt[name] = _joined(learnt[name], found) if name in learnt else found
            _write(directory, (*counted, *learnt.values()))
    return (*counted, *learnt.values())


def rung_recipe(
    recipe: Recipe, rung: Rung, base: Path, seed: int, budget: float, vocab_size: int
) -> Recipe:
    """The recipe of one rung and seed, whose steps fit the budget.

    Raises:
        InputError: the budget is too small for one update.
    """
    tables = recipe.tables() | {name: {"from": str(base)} for name in SHARED}
    options = recipe["pretraining"]
    length = options.sequence_length
    tables["model"] = {"family": rung.family, "max_length": length, **rung.dimensions}
    model = ModelOptions(**tables["model"])
    spec = model.spec(vocab_size)
    update = flops_per_token(spec, length) * options.batch_size * length
    steps = int(budget / update)
    if steps < 1:
        raise InputError(
            f"A budget of {budget:g} operations is less than one update of {rung.family}, which "
            f"takes {update:.2g}; give more."
        )
    tables["run"] = tables["run"] | {"seed": seed}
    tables["finetuning"] = {"sequence_length": length}  # it is not made, but must fit the model
    tables["pretraining"] = tables["pretraining"] | {
        "steps": steps,
        "learning_rate": rung.learning_rate,
        "warmup_steps": min(options.warmup_steps, steps // 10),
        "evaluation_interval_steps": max(1, steps // 4),
        "checkpoint_interval_steps": max(1, steps // 4),
        "sample_interval_steps": 0,
    }
    return read_tables(tables, SECTIONS, stages=[stage.name for stage in STAGES])


def read_ladder(directory: str | Path) -> tuple[Climbed, ...]:
    """The rungs of a ladder, as far as they are climbed.

    Raises:
        InputError: the folder holds none.
    """
    rows = _read(Path(directory) / RESULTS)
    if rows is None:
        raise InputError(
            f"{directory} holds no ladder ({RESULTS}); climb one with 'hornbook ladder'."
        )
    return tuple(Climbed(**row) for row in rows)


def _read(path: Path) -> Any:
    """What `_save` wrote; None where there is nothing, or nothing whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _counted(
    recipe: Recipe, base: RunDirectory, directory: Path, stop: StopSignal
) -> tuple[Climbed, ...]:
    """The n-grams of each order: those of an earlier climb on the same tokens, or counted now."""
    options, known = recipe["pretraining"], directory / "counted.json"
    key = {
        "store": base.manifest().stages["store"].fingerprint,
        "rows": options.evaluation_rows,
        "sequence_length": options.sequence_length,
        "baseline": recipe["baseline"].model_dump(mode="json"),
        "orders": list(ORDERS),
    }
    found = _read(known)
    if found is not None and found["of"] == key:
        return tuple(Climbed(**row) for row in found["rungs"])
    rungs = tuple(_count(recipe, base, stop))
    _save(known, {"of": key, "rungs": [asdict(rung) for rung in rungs]})
    return rungs


def _count(recipe: Recipe, base: RunDirectory, stop: StopSignal) -> Iterator[Climbed]:
    tokenizer = load_tokenizer(base.stage("tokenizer"))
    compute = resolve_compute(recipe["compute"])
    rate = matrix_product_rate(compute.device, compute.precision, compute.threads)
    for found in score_orders(
        recipe["baseline"],
        open_store(base.stage("store"), tokenizer.fingerprint).splits,
        ORDERS,
        sequence_length=recipe["pretraining"].sequence_length,
        rows=recipe["pretraining"].evaluation_rows,
        byte_lengths=tokenizer.byte_lengths,
        stop=stop,
    ):
        bits = {
            source: [sums.figures()["bits_per_byte"]] for source, sums in found.held_out.items()
        }
        name = model_name(found.order)
        flops = found.seconds * rate
        yield Climbed(name, True, found.ngrams, found.tokens, flops, found.seconds, bits)


def learnt_of(name: str, recipe: Recipe, place: RunDirectory, vocab_size: int) -> Climbed:
    """What the run of one rung and seed came to."""
    spec = recipe["model"].spec(vocab_size)
    record = place.manifest().stages["pretraining"]
    events = read_events(place.events_path, "pretraining", "evaluation").to_pylist()
    last = {str(row["source"]): row for row in sorted(events, key=lambda row: row["step"])}
    options = recipe["pretraining"]
    tokens = options.steps * options.batch_size * options.sequence_length
    bits = {source: [float(row["bits_per_byte"])] for source, row in last.items()}
    bits[ALL] = [_together(last.values())]
    return Climbed(
        name,
        False,
        parameters(spec)["total"],
        tokens,
        float(tokens) * flops_per_token(spec, options.sequence_length),
        record.seconds,
        bits,
    )


def _together(rows: Iterable[Mapping[str, Any]]) -> float:
    """Bits a byte of all sources' held-out rows as one text."""
    rows = list(rows)
    bits = sum(row["bits_per_byte"] * row["bytes"] for row in rows)
    return float(bits / sum(row["bytes"] for row in rows))


def _joined(rung: Climbed, other: Climbed) -> Climbed:
    """One rung with the results of one more seed; seconds are the mean."""
    count = len(rung.bits_per_byte[ALL])
    bits = {
        source: [*own, *other.bits_per_byte[source]] for source, own in rung.bits_per_byte.items()
    }
    seconds = (rung.seconds * count + other.seconds) / (count + 1)
    return replace(rung, seconds=seconds, bits_per_byte=bits)


def _write(directory: Path, rungs: Sequence[Climbed]) -> None:
    """The rungs so far, and their picture."""
    from hornbook.reporting.ladder import ladder_figure  # matplotlib: only where it is drawn
    from hornbook.reporting.svg import write_picture

    _save(directory / RESULTS, [asdict(rung) for rung in rungs])
    write_picture(directory / "ladder.png", ladder_figure({directory.name: rungs}))


def _save(path: Path, rows: Any) -> None:
    write_text(path, json.dumps(rows, indent=1) + "\n")
