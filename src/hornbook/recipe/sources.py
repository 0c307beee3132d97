"""Where a recipe is written: presets, files and mappings, followed along `extends`.

A source becomes a chain of layers, the one it rests on first; each later layer says what differs.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hornbook.errors import RecipeError
from hornbook.recipe.faults import nearest, shown

PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class Layer:
    """What one file, preset, mapping or command line says: section -> key -> value."""

    origin: str
    tables: Mapping[str, Any]


def preset_names() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.toml")))


def layers(source: str | Path | Mapping[str, Any]) -> list[Layer]:
    """Read a preset's name, a path or a mapping, and everything it extends, the base first.

    Raises `RecipeError`: nothing of that name, not TOML (with the line), or a circle of `extends`.
    """
    if isinstance(source, Mapping):
        return _with_base(Layer("", source), Path(), ())
    return _chain(source, Path(), ())


def _chain(source: str | Path, folder: Path, behind: tuple[str, ...]) -> list[Layer]:
    """Follow one name or path; `behind` are the origins that led here."""
    if isinstance(source, str) and source in preset_names():
        origin, path = f"preset {source}", PRESETS / f"{source}.toml"
    else:
        path = folder / source
        origin = str(path)
    if origin in behind:
        raise RecipeError(f"{' extends '.join([*behind, origin])}: a recipe cannot extend itself")
    return _with_base(Layer(origin, _read(path, source)), path.parent, (*behind, origin))


def _with_base(layer: Layer, folder: Path, behind: tuple[str, ...]) -> list[Layer]:
    tables = dict(layer.tables)
    base = tables.pop("extends", None)
    own = Layer(layer.origin, tables)
    if base is None:
        return [own]
    if not isinstance(base, str):
        where = f" ({layer.origin})" if layer.origin else ""
        raise RecipeError(f"extends = {shown(base)}{where}: must be one preset's name or one path")
    return [*_chain(base, folder, behind), own]


def _read(path: Path, asked: str | Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except IsADirectoryError:
        raise RecipeError(f"{path}: a folder, not a recipe; name the .toml file itself") from None
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        names = preset_names()
        raise RecipeError(
            f"{asked}: no preset of this name, and no file that can be read ({error.strerror})"
            f"{nearest(str(asked), names)} (presets: {', '.join(names) or 'none'})"
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not TOML: {error}") from None
