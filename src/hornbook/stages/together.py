"""Faults that no section has by itself: what a recipe's sections say must fit together."""

import json

from hornbook.errors import RecipeError, SpecError
from hornbook.models.recurrences import TwoWayReading
from hornbook.models.spec import Spec
from hornbook.recipe.plugins import digests, find_all
from hornbook.recipe.recipe import Recipe


def require_sections_fit(recipe: Recipe) -> None:
    """Check the sections against each other, before anything is made.

    Raises:
        RecipeError: every fault, one line each.
    """
    faults = []
    for name, options in recipe.sections.items():
        try:
            digests({name: options})
            find_all(options)
        except RecipeError as error:
            faults.append(str(error))
    faults += [
        f"tokenizer.{name} is set, and a tokenizer of the kind {recipe['tokenizer'].kind} does not "
        "read it; leave it out."
        for name in recipe["tokenizer"].unused()
    ]
    faults += [
        f"pretraining.{name} is set, and without pretraining.final_weights no weights move; give "
        "final_weights, or leave it out."
        for name in recipe["pretraining"].unused()
    ]
    if fault := recipe["tokenizer"].size_fault():
        faults.append(f"tokenizer.vocab_size = {recipe['tokenizer'].vocab_size}: {fault}.")
    try:
        spec = recipe["model"].spec(recipe["tokenizer"].vocab_size)
    except SpecError as error:
        faults.append(f"[model]: {error}")
    else:
        if not spec.continues:
            faults.append(
                f"model.family = {spec.family}: this family does not predict a text from left to "
                "right, which pretraining.objective = causal asks for; choose a decoder, such as "
                "gpt2 or llama."
            )
        both, objective = isinstance(spec.reading, TwoWayReading), recipe["pretraining"].objective
        if both and objective == "causal":
            faults.append(
                f"model.family = {spec.family}: this family learns from both ends of a text, and "
                "pretraining.objective = causal would train half of it; take both_ways, or lstm."
            )
        if objective == "both_ways" and not both:
            faults.append(
                f"pretraining.objective = both_ways: the family {spec.family} does not read a text "
                "from both ends; take causal, or the family bilm."
            )
        if recipe["pretraining"].order == "lanes":
            faults += lane_faults(recipe, spec)
        for stage in ("pretraining", "finetuning"):
            length = recipe[stage].sequence_length
            if length > spec.max_length:
                faults.append(
                    f"{stage}.sequence_length = {length} is longer than the model's context, "
                    f"model.max_length = {spec.max_length}; lower the one or raise the other."
                )
    if faults:
        raise RecipeError("\n".join(faults))


def lane_faults(recipe: Recipe, spec: Spec) -> list[str]:
    """What cannot be where states go on from row to row."""
    options = recipe["pretraining"]
    faults = []
    if not spec.carries_state:
        faults.append(
            f'pretraining.order = "lanes" carries a state from row to row, and the family '
            f"{spec.family} has none; choose a recurrent one, such as lstm, or leave the order out."
        )
    needed = {
        "weights": {},
        "final_weights": {},
        "epoch_caps": {},
        "packing": "stream",
        "same_document": False,
        "objective": "causal",
    }
    faults += [
        f'pretraining.{name} does not go with pretraining.order = "lanes", which reads all text '
        f"as one; set pretraining.{name}={json.dumps(value)}."
        for name, value in needed.items()
        if getattr(options, name) != value
    ]
    return faults
