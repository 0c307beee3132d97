"""Families: one short file each says what a published architecture is, in data.

A family file has:
    spec(**dimensions) -> Spec      the architecture, its published defaults as default arguments
    SIZES                           published sizes: dimensions and exact parameter counts
    HUGGING_FACE                    names and settings in Hugging Face folders (exchange.py)
    ANCESTOR, DIFFERENCES           which family it comes from; how it departs, one line each

`spec_for` is the door: a family's name, optionally with a published size, and dimensions.
"""

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from inspect import signature
from typing import Any

from hornbook.errors import SpecError
from hornbook.models import ELSEWHERE, FAMILIES
from hornbook.models.spec import Spec
from hornbook.recipe.plugins import find


def unknown(what: str, name: str, known: list[str]) -> SpecError:
    """The error that says what is known, and which of it was probably meant."""
    near = get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return SpecError(f"Unknown {what} {name!r}; known are {', '.join(known)}{hint or '.'}")


def family(name: str) -> Any:
    """The module of a family; "package.module:Thing" is anyone's own, with the same four names.

    Raises SpecError for an unknown name, RecipeError for a plug-in that cannot be imported.
    """
    if name in ELSEWHERE:
        raise SpecError(f"{name} {ELSEWHERE[name]}.")
    if name not in FAMILIES and ":" not in name:
        raise unknown("family", name, sorted(FAMILIES))
    return find(name, FAMILIES)


def require_dimensions(name: str, module: Any, dimensions: Iterable[str]) -> None:
    """Raise SpecError for a dimension that a family's spec does not take."""
    known = signature(module.spec).parameters
    for dimension in dimensions:
        if dimension not in known:
            raise unknown(f"dimension of {name}", dimension, list(known))


def spec_for(name: str, **dimensions: Any) -> Spec:
    """The spec of "gpt2" or of a published size, "gpt2/124m"; `dimensions` replace its numbers.

    Raises SpecError for an unknown family, size or dimension, and for impossible numbers.
    """
    family_name, _, size = name.partition("/")
    module = family(family_name)
    if size and size not in module.SIZES:
        raise unknown(f"size of {family_name}", size, list(module.SIZES))
    require_dimensions(family_name, module, dimensions)
    known = signature(module.spec).parameters
    for dimension, value in dimensions.items():
        several = isinstance(known[dimension].default, tuple)
        if several != isinstance(value, tuple | list):
            what = "several values, in a tuple" if several else "one number"
            raise SpecError(f"{family_name}'s {dimension} is {value!r}; it takes {what}.")
        # Here, where it still has the name it was given by: parts would name what follows from it.
        least = min(1, known[dimension].default) if type(known[dimension].default) is int else None
        if least is not None and type(value) is int and value < least:
            raise SpecError(
                f"{family_name}'s {dimension} is {value}; it must be a whole number of at least "
                f"{least}."
            )
    published = module.SIZES[size].dimensions if size else {}
    spec: Spec = module.spec(**{**published, **dimensions})
    # A plug-in is found again by the name it was found by, whatever it calls itself.
    return replace(spec, family=family_name)
