"""The recipe as a value, and the one way to read it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hornbook.errors import RecipeError
from hornbook.recipe.describe import Row, describe
from hornbook.recipe.explain import section_faults
from hornbook.recipe.fingerprint import fingerprint
from hornbook.recipe.merging import merge, parse_override
from hornbook.recipe.options import Options
from hornbook.recipe.plugins import digests
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

    def fingerprint(
        self, sections: Sequence[str], also: Mapping[str, Any], without: Collection[str] = ()
    ) -> str:
        """Identify the hashed options of some sections together with other values.

        A name such as "pretraining.sequence_length" stands for that one option. The code of the
        plug-ins that whole sections name counts too. `without` names options to leave out.
        """
        options = {name: self._part(name, without) for name in sections}
        whole = {name: self.sections[name] for name in sections if name in self.sections}
        code = digests(whole)
        return fingerprint({"options": options, **({"plugins": code} if code else {}), **also})

    def _part(self, name: str, without: Collection[str]) -> Any:
        section, _, key = name.partition(".")
        if key:
            return getattr(self.sections[section], key)
        hashed = self.sections[section].hashed()
        return {key: value for key, value in hashed.items() if f"{name}.{key}" not in without}

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
            found += section_faults(name, given, sections, error)
    if found:
        raise RecipeError("\n".join(found))
    return Recipe(options, {name: given.value for name, given in merged.borrowed.items()})


def to_toml(recipe: Recipe) -> str:
    """Write a recipe out with every default; `read` gives an equal one back."""
    return recipe.to_toml()
