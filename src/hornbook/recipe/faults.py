"""Faults of a recipe, a line each: key path, the value given, what is allowed, nearest name."""

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

SHOWN_LENGTH = 80


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean "x"?` for the name most like the one given, or nothing."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def shown(value: Any) -> str:
    """Write a value as it would stand in TOML, cut to one short line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 1] + "…"


def line(path: str, value: Any, origin: str, what: str) -> str:
    """Join one fault's line: where, what was given, where it was written, what is wrong."""
    written = f" ({origin})" if origin else ""
    return f"{path} = {shown(value)}{written}: {what}"


def unknown_section(name: str, sections: Mapping[str, Iterable[str]]) -> str:
    """Explain a top-level name that is no section, given the keys of each section."""
    homes = _homes(name, sections)
    if homes:
        return f"not a section; {name} belongs in {homes}"
    return (
        f"unknown section{nearest(name, sections)} "
        f"(sections: {', '.join(sections)}; besides them only `extends`)"
    )


def unknown_key(section: str, key: str, sections: Mapping[str, Iterable[str]]) -> str:
    """Explain a key that its section does not know, given the keys of each section."""
    homes = _homes(key, sections)
    hint = f"; {key} belongs in {homes}" if homes else nearest(key, sections[section])
    return f"unknown key{hint} (keys of [{section}]: {', '.join(sections[section])})"


def _homes(key: str, sections: Mapping[str, Iterable[str]]) -> str:
    return " or ".join(f"[{name}]" for name, keys in sections.items() if key in set(keys))
