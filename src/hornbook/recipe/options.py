"""What a section of a recipe may hold: the frozen, strict base of every room's options.

A section is flat: text, numbers, truth values, `Literal` choices, tuples of these and tables of
`name = value` (`dict[str, float]`). Every option has a default and a description, and never `None`:
an absent key means the default, so a recipe can always be written out whole and read back equal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from hornbook.recipe.faults import nearest

SCALARS = (str, int, float, bool)
KINDS = "str, int, float, bool, Literal[...], tuple[...] and dict[str, ...]"


class Options(BaseModel):
    """The options of one section: frozen, strict, without nulls; lists are kept as tuples.

    Raises `TypeError` when a subclass is defined with an option that has no default, no
    description, may be `None`, or is of a kind that TOML cannot hold plainly.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_default=True, allow_inf_nan=False
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **keywords: Any) -> None:
        """Refuse a badly declared option where it is written, not where a recipe is read."""
        super().__pydantic_init_subclass__(**keywords)
        for name, field in cls.model_fields.items():
            fault = _declaration_fault(field)
            if fault:
                raise TypeError(f"{cls.__name__}.{name} {fault}")

    @model_validator(mode="before")
    @classmethod
    def _lists_become_tuples(cls, given: Any) -> Any:
        """TOML gives lists; options hold tuples, which cannot change."""
        return (
            {key: frozen(value) for key, value in given.items()} if type(given) is dict else given
        )

    def hashed(self) -> dict[str, Any]:
        """Return the options that change what a stage makes (all but the `unhashed` ones)."""
        fields = type(self).model_fields
        return {name: getattr(self, name) for name, field in fields.items() if is_hashed(field)}


def unhashed(default: Any = ..., **keywords: Any) -> Any:
    """Declare an option that is recorded but not fingerprinted (device, threads, display)."""
    return Field(default, json_schema_extra={"hashed": False}, **keywords)


def is_hashed(field: FieldInfo) -> bool:
    """Tell whether an option counts in fingerprints."""
    return field.json_schema_extra != {"hashed": False}


def plugins_of(options: Options) -> list[tuple[str, str]]:
    """Return (option, plug-in) for every `module:Thing` that the hashed options name, in order."""
    found = []
    for key, value in options.hashed().items():
        field = type(options).model_fields[key]
        if any(isinstance(one, OneOf) for one in _constraints(field.annotation, field.metadata)):
            names = [value] if isinstance(value, str) else value
            found += [(key, name) for name in names if ":" in name]
    return found


def _constraints(annotation: Any, metadata: Iterable[Any] = ()) -> list[Any]:
    """Collect what annotates a type, and what annotates the types inside it."""
    inner = [one for argument in get_args(annotation) for one in _constraints(argument)]
    return [*metadata, *getattr(annotation, "__metadata__", ()), *inner]


def frozen(value: Any) -> Any:
    """Return the value with every list in it made a tuple."""
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class OneOf:
    """A constraint for `Annotated[str, one_of(TABLE)]`: a name of the table, or a plug-in.

    elsewhere: names of something else, each with what to say where it is given.
    """

    names: tuple[str, ...]
    elsewhere: tuple[tuple[str, str], ...] = ()

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check after the value is known to be text."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def check(self, name: str) -> str:
        """Return a name of the table or a `module:Thing`; raise `ValueError` for others."""
        if name in self.names or ":" in name:
            return name
        fault = f"must be {self}{nearest(name, self.names)}"
        raise ValueError(dict(self.elsewhere).get(name, fault))

    def __str__(self) -> str:
        names = ", ".join(f'"{name}"' for name in self.names)
        return f'one of {names} or "module:Thing"'


def one_of(names: Iterable[str], elsewhere: Mapping[str, str] = MappingProxyType({})) -> OneOf:
    """Allow the names of a room's table (name -> "module:Thing"), and the user's own plug-ins."""
    return OneOf(tuple(names), tuple(elsewhere.items()))


def _declaration_fault(field: FieldInfo) -> str | None:
    if field.is_required() or field.default_factory is not None:
        return "needs a plain default: an absent key means the default"
    if not field.description:
        return "needs a description"
    return _kind_fault(field.annotation)


def _kind_fault(annotation: Any) -> str | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in SCALARS or (origin is Literal and {*map(type, arguments)} <= {*SCALARS}):
        return None
    if annotation is type(None) or (origin is Literal and None in arguments):
        return "may not be None: use a value that says what is meant"
    if origin is Annotated:
        return _kind_fault(arguments[0])
    if origin is dict and arguments[0] is not str:
        return "may only have text as the names of its table"
    if origin is None or annotation in (tuple, dict) or origin in (list, set, frozenset):
        return f"has type {annotation}; a section holds {KINDS}"
    return next((fault for a in arguments if a is not ... and (fault := _kind_fault(a))), None)
