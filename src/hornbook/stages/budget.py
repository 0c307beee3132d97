"""A recipe fitted to a time budget: measure this machine once, choose a size, write the numbers.

Tokens seen matter more than width when time is short, so the largest model is chosen that still
sees `TOKENS_A_PARAMETER` tokens for each of its matrix parameters within the budget, and that fits
into memory.
"""

from dataclasses import dataclass
from inspect import signature
from typing import Any

from hornbook.errors import UserError
from hornbook.models.count import APPLIED, parameters, training_memory
from hornbook.models.families import family
from hornbook.recipe.recipe import Recipe
from hornbook.stages.forecast import memory_faults
from hornbook.training.compute import resolve_compute
from hornbook.training.measure import update_seconds

LADDER = ((2, 64), (4, 128), (4, 192), (6, 256), (6, 384), (8, 512), (12, 768))
HEAD_WIDTH = 32
TOKENS_A_PARAMETER = 4
OVERHEAD_SECONDS = (
    60  # corpus, tokenizer, store, baseline, evaluation, report of some 10 MB of text
)
TUNING_SHARE = 0.2
QUESTIONS_SOURCE = "python:docs"  # without it there are no pairs to tune on
EVALUATIONS = 8


@dataclass(frozen=True)
class Rung:
    """One size of the ladder as measured here."""

    n_layers: int
    d_model: int
    update_seconds: float
    steps: int
    tokens_a_parameter: float


def fit(recipe: Recipe, seconds: float) -> tuple[Recipe, list[Rung]]:
    """Return the recipe with size and steps that take about `seconds`, and what was measured.

    Raises:
        UserError: the budget is shorter than what everything besides training takes.
    """
    spare = seconds - OVERHEAD_SECONDS
    if spare < OVERHEAD_SECONDS / 2:
        raise UserError(
            f"A budget of {seconds:.0f} s is too short: reading, counting and reporting take about "
            f"{OVERHEAD_SECONDS} s by themselves; give at least 90s."
        )
    compute = resolve_compute(recipe["compute"])
    options = recipe["pretraining"]
    rungs: list[Rung] = []
    rows, length, micro = options.batch_size, options.sequence_length, options.micro_batch_size
    tuning_share = TUNING_SHARE if QUESTIONS_SOURCE in recipe["corpus"].sources else 0.0
    for n_layers, d_model in LADDER:
        sized = recipe.replace(_size(recipe, n_layers, d_model))
        spec = sized["model"].spec(recipe["tokenizer"].vocab_size)
        needed = training_memory(spec, micro or rows, length, compute.precision)["total"]
        if rungs and memory_faults(needed, compute.device):
            break
        step = update_seconds(spec, rows, length, compute, 1.5, micro_batch_size=micro)
        steps = int(spare * (1 - tuning_share) / step)
        counts = parameters(spec)
        tokens = steps * rows * length
        ratio = tokens / (sum(counts.get(kind, 0) for kind in APPLIED))
        rungs.append(Rung(n_layers, d_model, step, steps, ratio))
        if ratio < TOKENS_A_PARAMETER:
            break
    fitting = [rung for rung in rungs if rung.tokens_a_parameter >= TOKENS_A_PARAMETER]
    best = (fitting or rungs[:1])[-1]
    tuning_steps = max(1, int(spare * TUNING_SHARE / best.update_seconds))
    interval = max(1, best.steps // EVALUATIONS)
    values = _size(recipe, best.n_layers, best.d_model) | {
        "pretraining.steps": max(1, best.steps),
        "pretraining.warmup_steps": min(options.warmup_steps, best.steps // 10),
        "pretraining.evaluation_interval_steps": interval,
        "pretraining.sample_interval_steps": max(1, best.steps // 2),
        "pretraining.checkpoint_interval_steps": interval,
        "finetuning.steps": tuning_steps,
        "finetuning.warmup_steps": min(recipe["finetuning"].warmup_steps, tuning_steps // 10),
    }
    return recipe.replace(values), rungs


def _size(recipe: Recipe, n_layers: int, d_model: int) -> dict[str, Any]:
    """The dimensions of a size, as far as the family has them."""
    known = signature(family(recipe["model"].family).spec).parameters
    heads = max(1, d_model // HEAD_WIDTH)
    size = {"n_layers": n_layers, "d_model": d_model, "n_heads": heads}
    return {f"model.{name}": value for name, value in size.items() if name in known}
