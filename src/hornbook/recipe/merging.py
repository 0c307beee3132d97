"""Layers of a recipe laid over each other, overrides last, and where each value was written.

Sections merge key by key; a value, be it a list or a table, replaces the one below it whole. Only a
dotted override (`pretraining.weights.code=0.5`) changes one entry of a table. `from` in a section
borrows the stage of that name from another run, which leaves nothing to say about its options;
`from = ""` takes that back.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hornbook.errors import RecipeError
from hornbook.recipe import faults
from hornbook.recipe.options import SCALARS, Options
from hornbook.recipe.sources import Layer

OVERRIDE = "override"


@dataclass(frozen=True)
class Given:
    """A value and the file, preset or command line it was written in."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Merged:
    """All that was written, before its values are checked."""

    tables: dict[str, dict[str, Given]] = field(default_factory=dict)
    borrowed: dict[str, Given] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def parse_override(text: str) -> tuple[str, Any]:
    """Split `section.key=value`; the value is read as TOML if it is TOML, else it is plain text.

    Raises `RecipeError` when there is no `=` or no section.
    """
    path, equals, raw = text.partition("=")
    path, raw = path.strip(), raw.strip()
    if not equals or not all(path.split(".")) or "." not in path:
        raise RecipeError(f"{text}: an override reads section.key=value")
    try:
        table = tomllib.loads(f"value = {raw}")
    except tomllib.TOMLDecodeError:
        return path, raw
    value = table["value"]
    plain = set(table) == {"value"} and isinstance(value, (*SCALARS, list, dict))
    return path, value if plain else raw


def merge(
    layers: Sequence[Layer],
    overrides: Mapping[str, Any],
    sections: Mapping[str, type[Options]],
    stages: Sequence[str],
) -> Merged:
    """Lay the layers over each other, then the overrides; collect the faults of structure."""
    merged = Merged()
    for layer in layers:
        _lay(merged, layer, sections)
    _lay(merged, _override_layer(merged, overrides, sections), sections)
    for section, origin in merged.borrowed.items():
        if section not in stages:
            merged.faults.append(
                faults.line(
                    f"{section}.from",
                    origin.value,
                    origin.origin,
                    f"only stages can be borrowed ({', '.join(stages)})",
                )
            )
        for key, given in merged.tables.get(section, {}).items():
            what = (
                f"has no effect, for {section} is borrowed from {origin.value}: "
                f'leave it out, or set {section}.from = ""'
            )
            merged.faults.append(faults.line(f"{section}.{key}", given.value, given.origin, what))
    return merged


def _lay(merged: Merged, layer: Layer, sections: Mapping[str, type[Options]]) -> None:
    """Put one layer over what is there."""
    names = {name: tuple(options.model_fields) for name, options in sections.items()}
    for section, table in layer.tables.items():
        if section not in sections:
            what = faults.unknown_section(section, names)
            merged.faults.append(faults.line(section, table, layer.origin, what))
        elif not isinstance(table, Mapping):
            what = f"[{section}] is a section, so it holds keys, not a value"
            merged.faults.append(faults.line(section, table, layer.origin, what))
        else:
            _lay_section(merged, section, table, layer.origin)


def _lay_section(merged: Merged, section: str, table: Mapping[str, Any], origin: str) -> None:
    given = {key: Given(value, origin) for key, value in table.items()}
    source = given.pop("from", None)
    if source is not None:
        merged.borrowed.pop(section, None)
        if not isinstance(source.value, str):
            what = "must be the directory of a run, as text in quotes"
            merged.faults.append(faults.line(f"{section}.from", source.value, origin, what))
        elif source.value:
            merged.borrowed[section] = source
            merged.tables.pop(section, None)
    merged.tables.setdefault(section, {}).update(given)


def _override_layer(
    merged: Merged, overrides: Mapping[str, Any], sections: Mapping[str, type[Options]]
) -> Layer:
    """Turn `a.b` and `a.b.c` into tables; deeper paths change one entry of the table below."""
    tables: dict[str, dict[str, Any]] = {}
    for path, value in overrides.items():
        section, *keys = path.split(".")
        if not keys or not all(keys):
            merged.faults.append(
                faults.line(path, value, OVERRIDE, "an override reads section.key=value")
            )
            continue
        table = tables.setdefault(section, {})
        if len(keys) > 1:
            known = table.get(keys[0], _below(merged, sections, section, keys[0]))
            table[keys[0]] = _with_entry(known, keys[1:], value)
        else:
            table[keys[0]] = value
    return Layer(OVERRIDE, tables)


def _below(merged: Merged, sections: Mapping[str, type[Options]], section: str, key: str) -> Any:
    """Return what a key would hold without the override: as written, else its default."""
    given = merged.tables.get(section, {}).get(key)
    if given is not None:
        return given.value
    fields = sections[section].model_fields if section in sections else {}
    return fields[key].default if key in fields else {}


def _with_entry(table: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a copy of a table with one entry, however deep, replaced."""
    base = dict(table) if isinstance(table, Mapping) else {}
    base[path[0]] = _with_entry(base.get(path[0]), path[1:], value) if path[1:] else value
    return base
