"""A resolved recipe as TOML that a person can read: every default, each under its description."""

from collections.abc import Mapping
from typing import Any

import tomli_w

from hornbook.recipe.options import Options


def recipe_text(sections: Mapping[str, Options], borrowed: Mapping[str, str]) -> str:
    """Write sections out in order; a borrowed one says only where it comes from."""
    return "\n".join(
        _borrowed_text(name, borrowed[name]) if name in borrowed else _section_text(name, options)
        for name, options in sections.items()
    )


def _borrowed_text(name: str, source: str) -> str:
    return f"[{name}]\n{tomli_w.dumps({'from': source})}"


def _section_text(name: str, options: Options) -> str:
    """Plain values first, then tables, since TOML ends a section where a table begins."""
    values = options.model_dump()
    tables = {key: value for key, value in values.items() if _is_table(value)}
    plain = {key: value for key, value in values.items() if key not in tables}
    parts = [f"[{name}]\n"]
    parts += [_comment(options, key) + tomli_w.dumps({key: plain[key]}) for key in plain]
    for key, value in tables.items():
        body = tomli_w.dumps({name: {key: value}}).removeprefix(f"[{name}]\n")
        parts.append("\n" + _comment(options, key) + body)
    return "".join(parts)


def _comment(options: Options, key: str) -> str:
    description = type(options).model_fields[key].description or ""
    return f"# {' '.join(description.split())}\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, tuple) and any(_is_table(item) for item in value)
    )
