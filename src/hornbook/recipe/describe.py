"""What each option accepts, in words: for the documentation and for the lines of an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from hornbook.recipe.faults import shown
from hornbook.recipe.options import OneOf, Options, is_hashed

WORDS = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
TYPES = {
    str: "string",
    int: "integer",
    float: "float",
    bool: "boolean",
    tuple: "array",
    dict: "table",
}
BOUNDS: dict[type, tuple[str, str]] = {
    annotated_types.Ge: ("ge", "at least {}"),
    annotated_types.Gt: ("gt", "above {}"),
    annotated_types.Le: ("le", "at most {}"),
    annotated_types.Lt: ("lt", "below {}"),
    annotated_types.MultipleOf: ("multiple_of", "a multiple of {}"),
    annotated_types.MinLen: ("min_length", "of length {} or more"),
    annotated_types.MaxLen: ("max_length", "of length {} or less"),
}


@dataclass(frozen=True)
class Row:
    """One option as the documentation shows it; `hashed` tells whether it changes fingerprints."""

    section: str
    key: str
    type: str
    default: str
    allowed: str
    description: str
    hashed: bool


def describe(sections: Mapping[str, type[Options]]) -> list[Row]:
    """Return one row an option, in the order of the sections and of their fields."""
    return [
        Row(
            section=section,
            key=key,
            type=_type(field.annotation),
            default=shown(field.default),
            allowed=allowed(field),
            description=field.description or "",
            hashed=is_hashed(field),
        )
        for section, options in sections.items()
        for key, field in options.model_fields.items()
    ]


def allowed(field: FieldInfo) -> str:
    """Say what values an option accepts, bounds and choices included."""
    return _allowed(field.annotation, field.metadata)


def choices(field: FieldInfo) -> tuple[str, ...]:
    """Return the names an option chooses from, if it chooses among names."""
    return _choices(field.annotation)


def _allowed(annotation: Any, metadata: Any = ()) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _allowed(arguments[0], (*_unfolded(arguments[1:]), *metadata))
    named = [str(item) for item in metadata if isinstance(item, OneOf)]
    if named:
        return named[0]
    return ", ".join([_kind(annotation, origin, arguments), *_bounds(metadata)])


def _kind(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> str:
    if origin is Literal:
        names = ", ".join(shown(choice) for choice in arguments)
        return f"one of {names}" if len(arguments) > 1 else names
    if origin in (Union, UnionType):
        return " or ".join(_allowed(argument) for argument in arguments)
    if origin is tuple and arguments[-1] is ...:
        return f"a list, each entry {_allowed(arguments[0])}"
    if origin is tuple:
        return f"a list of {len(arguments)}: {'; '.join(_allowed(a) for a in arguments)}"
    if origin is dict:
        return f"a table, each entry {_allowed(arguments[1])}"
    return WORDS[annotation]


def _bounds(metadata: Any) -> list[str]:
    known = [(item, BOUNDS[type(item)]) for item in metadata if type(item) in BOUNDS]
    return [words.format(getattr(item, attribute)) for item, (attribute, words) in known]


def _unfolded(metadata: Any) -> list[Any]:
    """What stands beside a type, with what a `Field(...)` among it holds."""
    parts = [item.metadata if isinstance(item, FieldInfo) else [item] for item in metadata]
    return [item for part in parts for item in part]


def _choices(annotation: Any) -> tuple[str, ...]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return tuple(choice for choice in arguments if isinstance(choice, str))
    if origin in (None, dict):
        return ()
    return tuple(name for argument in arguments for name in _choices(argument))


def _type(annotation: Any) -> str:
    """Name a type as TOML does."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " | ".join(dict.fromkeys(TYPES[type(choice)] for choice in arguments))
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(_type(argument) for argument in arguments))
    return TYPES[origin or annotation]
