"""Stage `pretraining`: a fresh network learns to continue this corpus's text."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hornbook.batches.cuts import cuts
from hornbook.batches.lanes import Lanes
from hornbook.batches.loader import Batches
from hornbook.batches.mixture import annealed, resolve_weights
from hornbook.batches.order import Order
from hornbook.batches.plans import evaluation_plans
from hornbook.errors import InputError
from hornbook.models.build import build_network
from hornbook.objectives import OBJECTIVES
from hornbook.objectives.causal import Causal
from hornbook.objectives.likelihood import fixed_batches
from hornbook.objectives.stateful import Stateful
from hornbook.recipe.fingerprint import derive_seed
from hornbook.recipe.plugins import find
from hornbook.runs.stage import StageContext
from hornbook.stages.forecast import require_fit
from hornbook.stages.networks import (
    CHECKPOINTS,
    context_length,
    earlier_checkpoints,
    model_spec,
    model_tokenizer,
    write_model,
    writer,
)
from hornbook.stages.packing import cuts_line, packed_rows
from hornbook.store.reader import Store, TokenArray, open_store
from hornbook.tokenizers.tokenizer import Tokenizer
from hornbook.training.compute import resolve_compute
from hornbook.training.loop import train
from hornbook.training.state import TrainingPlan, Watcher
from hornbook.training.watchers import contributions, evaluation, sampling

EVALUATION_BATCH_ROWS = 16
PROMPT_TOKENS = 16
PACKING = "packing"


def build(context: StageContext) -> dict[str, Any]:
    """Train for the recipe's steps, from the newest good checkpoint if there is one."""
    recipe = context.recipe
    require_fit(recipe, context.directory)
    seed = recipe["run"].seed
    tokenizer = model_tokenizer(context)
    store = open_store(context.inputs["store"], tokenizer.fingerprint)
    network = build_network(model_spec(recipe, tokenizer), derive_seed(seed, "weights"))
    options = recipe["pretraining"]
    objective = objective_of(options)
    batches = batches_of(recipe, context.inputs, tokenizer, context.directory / PACKING)
    order = batches.order
    order.require(options.steps * options.batch_size)
    carried = Stateful(order, options.z_loss) if isinstance(order, Lanes) else None
    tell_of_sources(context, batches)
    rows = [len(source_plan) for source_plan in batches.plans]
    plan = TrainingPlan(
        network=network,
        objective=carried or objective,
        memory=carried,
        batches=batches,
        options=options,
        compute=resolve_compute(recipe["compute"]),
        seed=derive_seed(seed, "pretraining"),
        checkpoints=context.directory / CHECKPOINTS,
        lineage=context.lineage,
        earlier=earlier_checkpoints(context),
        watchers=(
            *watchers(recipe, store, tokenizer, objective),
            contributions(order.sources, rows),
        ),
        expected_first_loss=network.expected_first_loss(),
    )
    summary = train(plan, events=context.events, progress=context.progress, stop=context.stop)
    write_model(context, network, tokenizer)
    epochs = batches.order.epochs_after(summary["samples"])
    return summary | {"epochs": {source: round(count, 3) for source, count in epochs.items()}}


def tell_of_sources(context: StageContext, batches: Batches) -> None:
    """Write down which weights and caps count for nothing, and what packing does to documents."""
    options, sources = context.recipe["pretraining"], batches.order.sources
    for name in ("weights", "final_weights", "epoch_caps"):
        unused = sorted(set(getattr(options, name)) - set(sources))
        if unused:
            why = f"the corpus has no such source, or too little of it: {', '.join(unused)}"
            what = name.replace("_", " ")
            context.events.write("decision", what=f"{what} left out", why=why)
    for source, plan in zip(sources, batches.plans, strict=True):
        found = cuts(plan)
        context.events.write("packing", 0, source=source, what=options.packing, **asdict(found))
        context.progress.say(f"{source}, packing {options.packing}: {cuts_line(found)}")


def batches_of(
    recipe: Any, inputs: Mapping[str, Path], tokenizer: Tokenizer, folder: Path | None = None
) -> Batches:
    """Mix the training sources by weight, every update a function of its first sample's number.

    Sources without one whole row are left out, and so are their weights. In lanes, rows come in the
    order of the text. folder: where plans of packed documents are stored; without it they are made
    again, and come out the same.
    """
    options = recipe["pretraining"]
    store = open_store(inputs["store"], tokenizer.fingerprint)
    plans = packed_rows(store.splits["train"], context_length(recipe), options.packing, folder)
    rows = {source: len(plan) for source, plan in plans.items()}
    order: Order | Lanes
    if options.order == "lanes":
        order = Lanes(rows, options.batch_size)
        objective: Causal = Stateful(order, options.z_loss)
    else:
        order = mixed(options, rows, derive_seed(recipe["run"].seed, "order"))
        objective = objective_of(options)
    return Batches(
        order, plans, objective.prepare, tokenizer.byte_lengths, objective.name, objective.mask
    )


def mixed(options: Any, rows: Mapping[str, int], seed: int) -> Order:
    """Return the order in which sources of so many rows are mixed, as the options say.

    Raises:
        InputError: weights make no sense, or would move to no source that has rows.
    """
    stretches = []
    if options.final_weights:
        if not rows.keys() & options.final_weights.keys():
            raise InputError(
                f"pretraining.final_weights names {', '.join(options.final_weights)}, and the "
                f"training text with whole rows is {', '.join(rows)}; name one of these."
            )
        stretches = annealed(
            resolve_weights(rows, options.weights),
            resolve_weights(rows, options.final_weights),
            options.samples_free_of_steps(),
            options.steps * options.batch_size,
            options.annealing_stretches,
        )
    return Order(rows, options.weights, seed, caps=options.epoch_caps, stretches=stretches)


def objective_of(options: Any) -> Causal:
    """Return the objective that the options name."""
    objective: Causal = find(options.objective, OBJECTIVES)(
        same_document=options.same_document, z_loss=options.z_loss
    )
    return objective


def watchers(
    recipe: Any, store: Store, tokenizer: Tokenizer, objective: Causal
) -> tuple[Watcher, ...]:
    """Bits per byte on fixed validation rows, and samples that continue their beginnings."""
    options = recipe["pretraining"]
    plans = evaluation_plans(store.splits["validation"], context_length(recipe))
    rows = options.evaluation_rows
    sets = {
        source: list(
            fixed_batches(plan, rows, EVALUATION_BATCH_ROWS, objective, tokenizer.byte_lengths)
        )
        for source, plan in plans.items()
    }
    openings = [opening(store.splits["validation"][source], tokenizer) for source in plans]
    return (
        evaluation(sets, objective, options.evaluation_interval_steps),
        sampling(options.prompts or openings, writer(tokenizer), options.sample_interval_steps),
    )


def opening(array: TokenArray, tokenizer: Tokenizer) -> str:
    """Return how the document in the middle of a source begins, cut within it."""
    start, end = array.text_span(array.documents // 2)
    return tokenizer.decode(array.read(start, min(PROMPT_TOKENS, end - start)), errors="ignore")
