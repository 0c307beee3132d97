"""The recipe as a value, and the one way to read it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hornbook.errors import RecipeError
from hornbook.recipe import faults
from hornbook.recipe.describe import Row, allowed, choices, describe
from hornbook.recipe.fingerprint import fingerprint
from hornbook.recipe.merging import Given, merge, parse_override
from hornbook.recipe.options import Options, frozen
from hornbook.recipe.sources import layers, preset_names
from hornbook.recipe.text import recipe_text

__all__ = ["Recipe", "Row", "describe", "parse_override", "preset_names", "read", "to_toml"]


@dataclass(frozen=True)
class Recipe:
    """Everything about a run: the options of each section, and the stages taken from other runs."""

    sections: Mapping[str, Options]
    borrowed: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, section: str) -> Any:
        """Return a section's options; each caller knows their class."""
        return self.sections[section]

    def replace(self, overrides: Mapping[str, Any]) -> "Recipe":
        """Return the recipe with `section.key` values replaced, checked like any recipe."""
        return read(self, {name: type(own) for name, own in self.sections.items()}, overrides)

    def fingerprint(self, sections: Sequence[str], also: Mapping[str, Any]) -> str:
        """Identify the hashed options of some sections together with other values."""
        options = {name: self.sections[name] for name in sections}
        return fingerprint({"options": options, **also})

    def to_toml(self) -> str:
        """Write the recipe out with every default; `read` gives an equal one back."""
        return recipe_text(self.sections, self.borrowed)

    def tables(self) -> dict[str, dict[str, Any]]:
        """Return section -> key -> value, as `read` takes it."""
        own = {name: options.model_dump() for name, options in self.sections.items()}
        return own | {name: {"from": source} for name, source in self.borrowed.items()}


def read(
    source: str | Path | Mapping[str, Any] | Recipe,
    sections: Mapping[str, type[Options]],
    overrides: Mapping[str, Any] | None = None,
    *,
    stages: Collection[str] | None = None,
) -> Recipe:
    """Read a preset's name, a path, a mapping or a recipe, lay the overrides over it, and check it.

    `sections` names each section's options; `stages` are the sections that may be borrowed from
    another run with `from` (all, if not given). Raises one `RecipeError` that lists every fault,
    a line each: key path, value given, where it was written, what is allowed, nearest name.
    """
    tables = source.tables() if isinstance(source, Recipe) else source
    merged = merge(
        layers(tables), overrides or {}, sections, tuple(sections if stages is None else stages)
    )
    found = list(merged.faults)
    options: dict[str, Options] = {}
    for name, kind in sections.items():
        borrowed = name in merged.borrowed
        given = {} if borrowed else merged.tables.get(name, {})
        try:
            options[name] = kind.model_validate({key: item.value for key, item in given.items()})
        except ValidationError as error:
            found += _section_faults(name, given, sections, error)
    if found:
        raise RecipeError("\n".join(found))
    return Recipe(options, {name: given.value for name, given in merged.borrowed.items()})


def to_toml(recipe: Recipe) -> str:
    """Write a recipe out with every default; `read` gives an equal one back."""
    return recipe.to_toml()


def _section_faults(
    section: str,
    given: Mapping[str, Given],
    sections: Mapping[str, type[Options]],
    error: ValidationError,
) -> list[str]:
    """Turn pydantic's faults of one section into our lines, one a place."""
    lines: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        path, value = _place(fault["loc"], given)
        key, origin = path[0] if path else "", given[path[0]].origin if path else ""
        what = _what(section, key, len(path) > 1, sections, dict(fault))
        where = ".".join([section, *map(str, path)])
        lines.setdefault(
            where, faults.line(where, value, origin, what) if path else f"[{section}]: {what}"
        )
    return list(lines.values())


def _place(location: Sequence[str | int], given: Mapping[str, Given]) -> tuple[list[Any], Any]:
    """Follow a fault's location as far as it names keys and entries, not branches of a type."""
    path: list[Any] = []
    value: Any = frozen({key: item.value for key, item in given.items()})
    for step in location:
        inside = isinstance(value, Mapping) and step in value
        if not inside and not (isinstance(value, tuple) and isinstance(step, int)):
            break
        path, value = [*path, step], value[step]
    return path, value


def _what(
    section: str,
    key: str,
    inside: bool,
    sections: Mapping[str, type[Options]],
    fault: Mapping[str, Any],
) -> str:
    if fault["type"] == "extra_forbidden":
        names = {name: tuple(options.model_fields) for name, options in sections.items()}
        return faults.unknown_key(section, key, names)
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    field_info = sections[section].model_fields[key]
    hint = faults.nearest(str(fault["input"]), choices(field_info))
    ours = allowed(field_info)
    return f"must be {ours}{hint}" if not inside else f"{key} must be {ours}{hint}"
