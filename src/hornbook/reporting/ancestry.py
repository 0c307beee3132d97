"""Where a family comes from: its line of ancestors, and the fields of the spec that differ."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from hornbook.models.families import family, spec_for
from hornbook.models.spec import Spec

ABSENT = "-"

Difference = tuple[str, str, str]
"""A field of the spec, and its value in the ancestor and in the family."""


def line_of(name: str) -> tuple[str, ...]:
    """The family and its ancestors, the oldest first."""
    line = [name]
    while (ancestor := getattr(family(line[0]), "ANCESTOR", "")) and ancestor not in line:
        line.insert(0, ancestor)
    return tuple(line)


def differences(name: str) -> tuple[Difference, ...]:
    """What differs between a family and its ancestor, both at their published defaults."""
    line = line_of(name)
    return spec_differences(spec_for(line[-2]), spec_for(name)) if len(line) > 1 else ()


def spec_differences(first: Spec, second: Spec) -> tuple[Difference, ...]:
    """The fields in which two specs differ; of a part that only one of them has, its name alone."""
    turns = max(len(spec.stack.blocks) for spec in (first, second))
    ours, theirs = _values(first, turns), _values(second, turns)
    return tuple(
        (path, ours.get(path, ABSENT), theirs.get(path, ABSENT))
        for path in _ordered(ours, theirs)
        if ours.get(path) != theirs.get(path)
        and path != "family"
        and not _within_absent(path, ours, theirs)
    )


def _ordered(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """All paths; those that only the second has follow the one before them."""
    paths, last = list(ours), ""
    for path in theirs:
        if path not in ours:
            paths.insert(paths.index(last) + 1, path)
        last = path
    return paths


def _within_absent(path: str, ours: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    """Whether a part that holds this field is not there in one of the two."""
    outer = path.rpartition(".")[0]
    if not outer:
        return False
    absent = ("none", None)
    if ours.get(outer) in absent or theirs.get(outer) in absent:
        return True
    return _within_absent(outer, ours, theirs)


def _values(part: Any, turns: int, path: str = "") -> dict[str, str]:
    """Every field by its place in the spec; a part by its name.

    turns: how many kinds of blocks to tell apart; fewer are repeated.
    """
    values: dict[str, str] = {}
    for field in fields(part):
        value, place = getattr(part, field.name), f"{path}{field.name}"
        if field.name == "blocks":
            values[place] = f"{len(value)} in turn" if len(value) > 1 else "one kind"
            for number in range(turns):
                named = f"{place}.{number + 1}" if turns > 1 else place
                block = value[number % len(value)]
                values[named] = type(block).__name__
                values |= _values(block, turns, f"{named}.")
        elif is_dataclass(value):
            values |= {place: type(value).__name__, **_values(value, turns, f"{place}.")}
        else:
            values[place] = written(value)
    return values


def written(value: Any) -> str:
    """A value of a spec as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and value == int(value):
        return f"{int(value):,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None or value == () else str(value)
