"""Places in a spec, by name: "stack.blocks.*.attention.n_heads"."""

from dataclasses import fields, is_dataclass, replace
from typing import Any


def at(part: Any, path: str) -> Any:
    """The value at a path; "*" is the first of several blocks.

    Raises AttributeError where a part has no such field.
    """
    for name in path.split("."):
        part = part[0] if name == "*" else getattr(part, name)
    return part


def put(part: Any, path: list[str], value: Any) -> Any:
    """The part with the value at this path replaced, in every block where the path has "*"."""
    first, rest = path[0], path[1:]
    if first == "*":
        return tuple(put(block, rest, value) for block in part)
    return replace(part, **{first: put(getattr(part, first), rest, value) if rest else value})


def difference(first: Any, second: Any, path: str = "") -> str:
    """The path of the first field in which two specs differ, or ""."""
    if isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second):
        pairs = [(str(place), *pair) for place, pair in enumerate(zip(first, second, strict=True))]
    elif type(first) is type(second) and is_dataclass(first):
        pairs = [
            (field.name, getattr(first, field.name), getattr(second, field.name))
            for field in fields(first)
        ]
    else:
        return "" if first == second else path
    found = (difference(one, other, f"{path}.{name}".lstrip(".")) for name, one, other in pairs)
    return next((place for place in found if place), "")
