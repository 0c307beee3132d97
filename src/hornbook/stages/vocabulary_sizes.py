"""A small model of every vocabulary, at one price: what decides how large a vocabulary is good.

A larger vocabulary makes texts shorter, so that one update reads more bytes; and it costs rows of
the token table, of which each is met less often, and arithmetic in the head. Bytes per token shows
the first alone. Here every vocabulary trains the same small LLaMA for the same arithmetic
(`models.count.flops_per_token`, the head's included), and bits per byte on the same held-out text
says what came of it (comparable where nothing is lost: of a lossy kind only what is left is
predicted).

A folder holds it: `base`, a run that makes the corpus, unless a run lends its own; `sizes`, a run a
vocabulary; sizes.json. Stopped or killed, it goes on where it was.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hornbook.errors import InputError
from hornbook.evaluation.vocabulary_sizes import SizeLoss
from hornbook.models.count import flops_per_token
from hornbook.models.options import ModelOptions
from hornbook.recipe.recipe import Recipe
from hornbook.recipe.recipe import read as read_tables
from hornbook.runs.atomic import write_text
from hornbook.runs.directory import RunDirectory
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.stages import SECTIONS, STAGES
from hornbook.stages.compared_tokenizers import Asked
from hornbook.stages.ladder import Rung, learnt_of
from hornbook.stages.run import Overrides, read_recipe, run

SMALL = Rung("llama", {"n_layers": 2, "d_model": 128, "n_heads": 2}, 8e-3)
"""The model that is trained with every vocabulary; its rate is the ladder's."""

RESULTS = "sizes.json"


def losses_of_sizes(
    asked: Sequence[Asked],
    paths: Sequence[str],
    directory: str | Path,
    overrides: Overrides = (),
    *,
    budget: float = 2e12,
    progress: Progress,
    stop: StopSignal,
) -> Iterator[SizeLoss]:
    """Train SMALL once for each kind and size asked for; those that are opened are passed over.

    paths: files and folders of text, or one run whose corpus is taken. budget: operations of one
    training. Checks at once, then yields each result when it is there, and writes sizes.json.

    Raises:
        InputError: a run among other paths, no kind and size at all, or a budget that is no number
            or too small for one update.
    """
    if not math.isfinite(budget):
        raise InputError(f"The budget is {budget}; give a number of operations, such as 2e12.")
    trained = [one for one in asked if one.kind]
    if not trained:
        raise InputError(
            "A loss needs tokenizers that are trained here; name kinds with sizes, such as "
            "byte-bpe:1024."
        )
    directory = Path(directory)
    lender, sources = _lender(paths, directory)
    recipe = read_recipe("ladder", overrides)
    recipes = [(one, _recipe_of(one, recipe, lender, budget)) for one in trained]
    corpus = recipe.replace({"corpus.sources": sources}) if sources else None
    return _trained(recipes, corpus, lender, directory, progress, stop)


def _trained(
    recipes: Sequence[tuple[Asked, Recipe]],
    corpus: Recipe | None,
    lender: Path,
    directory: Path,
    progress: Progress,
    stop: StopSignal,
) -> Iterator[SizeLoss]:
    """Make the corpus, if no run lends it, and a run of each recipe."""
    if corpus is not None:
        run(corpus, lender, until="corpus", progress=progress, stop=stop)
    found: list[SizeLoss] = []
    for one, own in recipes:
        place = directory / "sizes" / one.name.replace(":", "-")
        progress.say(f"{'vocabulary':12s}{one.name}")
        run(own, place, until="pretraining", progress=progress, stop=stop)
        found.append(_loss(one, own, RunDirectory(place)))
        rows = json.dumps([asdict(loss) for loss in found], indent=1)
        write_text(directory / RESULTS, rows + "\n")
        yield found[-1]


def _lender(paths: Sequence[str], directory: Path) -> tuple[Path, list[str]]:
    """The run whose corpus all sizes borrow, and the sources it is still to be made of."""
    runs = [path for path in paths if RunDirectory(Path(path).expanduser()).manifest_path.is_file()]
    if runs and len(paths) > 1:
        raise InputError(
            f"{runs[0]} is a run: its corpus is taken whole; name it alone, or name files and "
            "folders."
        )
    if runs:
        return Path(runs[0]).expanduser(), []
    return directory / "base", [*paths]


def _recipe_of(one: Asked, recipe: Recipe, lender: Path, budget: float) -> Recipe:
    """The recipe of one vocabulary, whose steps fit the budget."""
    options = recipe["pretraining"]
    length = options.sequence_length
    model = {"family": SMALL.family, "max_length": length, **SMALL.dimensions}
    per_token = flops_per_token(ModelOptions(**model).spec(one.size), length)
    update = per_token * options.batch_size * length
    steps = int(budget / update)
    if steps < 1:
        raise InputError(
            f"A budget of {budget:g} operations is less than one update with {one.size} ids, which "
            f"takes {update:.2g}; give more."
        )
    own: dict[str, dict[str, Any]] = {
        "corpus": {"from": str(lender)},
        "tokenizer": {"kind": one.kind, "vocab_size": one.size},
        "baseline": {"order": 1},
        "model": model,
        "finetuning": {"sequence_length": length},  # it is not made, but must fit the model
        "pretraining": {
            "steps": steps,
            "weights": {},
            "learning_rate": SMALL.learning_rate,
            "warmup_steps": min(options.warmup_steps, steps // 10),
            "evaluation_interval_steps": steps,
            "checkpoint_interval_steps": max(1, steps // 4),
            "sample_interval_steps": 0,
        },
    }
    tables = recipe.tables()
    kept = {"tokenizer", "pretraining"}
    merged = {name: tables[name] | own[name] if name in kept else own[name] for name in own}
    return read_tables(tables | merged, SECTIONS, stages=[stage.name for stage in STAGES])


def _loss(one: Asked, recipe: Recipe, place: RunDirectory) -> SizeLoss:
    """What the run of one vocabulary came to."""
    climbed = learnt_of(one.name, recipe, place, one.size)
    stored = place.manifest().stages["store"].summary["train"].values()
    per_token = sum(source["bytes"] for source in stored) / sum(
        source["tokens"] for source in stored
    )
    return SizeLoss(
        name=one.name,
        kind=one.kind,
        vocab_size=one.size,
        parameters=climbed.parameters,
        steps=recipe["pretraining"].steps,
        tokens=climbed.tokens,
        bytes=climbed.tokens * per_token,
        flops=climbed.flops,
        seconds=climbed.seconds,
        bits_per_byte={source: values[0] for source, values in climbed.bits_per_byte.items()},
    )
