"""What pydantic found wrong with a section, in the words of `faults`."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hornbook.recipe import faults
from hornbook.recipe.describe import allowed, choices
from hornbook.recipe.merging import Given
from hornbook.recipe.options import Options, frozen


def section_faults(
    section: str,
    given: Mapping[str, Given],
    sections: Mapping[str, type[Options]],
    error: ValidationError,
) -> list[str]:
    """Turn the faults of one section into our lines, one a place (a union fails once a branch)."""
    lines: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        path = _path(fault["loc"], given)
        if not path:
            lines.setdefault("", f"[{section}]: {_message(fault)}")
            continue
        key = str(path[0])
        what = _what(section, key, sections, fault, inside=len(path) > 1)
        value, origin = _follow(given, path), given[key].origin if key in given else "default"
        where = ".".join([section, *map(str, path)])
        lines.setdefault(where, faults.line(where, value, origin, what))
    return list(lines.values())


def _path(location: Sequence[str | int], given: Mapping[str, Given]) -> list[str | int]:
    """Keep a fault's location as far as it names keys and entries, not branches of a type."""
    path = list(location[:1])
    for step in location[1:]:
        value = _follow(given, path)
        inside = isinstance(value, Mapping) and step in value
        if not inside and not (isinstance(value, tuple) and isinstance(step, int)):
            break
        path.append(step)
    return path


def _follow(given: Mapping[str, Given], path: Sequence[Any]) -> Any:
    value: Any = frozen(given[path[0]].value) if path[0] in given else None
    for step in path[1:]:
        value = value[step]
    return value


def _what(
    section: str,
    key: str,
    sections: Mapping[str, type[Options]],
    fault: ErrorDetails,
    *,
    inside: bool,
) -> str:
    """Say what is wrong with one value; `inside` a list or table, name the option again."""
    field = sections[section].model_fields.get(key)
    if field is None:
        names = {name: tuple(options.model_fields) for name, options in sections.items()}
        return faults.unknown_key(section, key, names)
    if fault["type"] == "value_error":
        return _message(fault)
    if fault["type"] == "string_pattern_mismatch":
        return f"must match {fault['ctx']['pattern']}"
    hint = faults.nearest(str(fault["input"]), choices(field))
    return f"{f'{key} ' if inside else ''}must be {allowed(field)}{hint}"


def _message(fault: ErrorDetails) -> str:
    """Return the words of the validator that raised, without pydantic's."""
    return str(fault.get("ctx", {}).get("error", fault["msg"]))
