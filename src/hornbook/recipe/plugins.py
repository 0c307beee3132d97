"""Names of tables and plug-ins: `"adamw"`, or `"their_package.module:Thing"` for anyone's own.

A plug-in's code is read from outside, like a folder of text: its digest counts in the fingerprint
of every stage whose options name it, so that editing it makes those stages run again. A module
alone counts by its file, a package by all its Python files.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import xxhash

from hornbook.errors import RecipeError
from hornbook.recipe.options import Options, plugins_of

IMPORTED: dict[str, str] = {}
"""Top module of each plug-in that this process has imported, and the digest of its code then."""


def find(name: str, table: Mapping[str, str]) -> Any:
    """Import what a table's name or a plug-in stands for: the thing after the colon, or the module.

    Raises:
        RecipeError: a plug-in that fails when it is imported, or that lacks the thing.
    """
    module, _, thing = table.get(name, name).partition(":")
    if name in table or ":" not in name:
        found = import_module(module)
        return getattr(found, thing) if thing else found
    try:
        found = getattr(import_module(module), thing)
    except Exception as error:  # whatever their code raises is theirs to mend
        raise _cannot_load(name, f"{type(error).__name__}: {error}") from error
    if _top(name) not in IMPORTED:
        IMPORTED[_top(name)] = _code_digest(name, "")
    return found


def find_all(options: Options) -> None:
    """Import every plug-in that the options name, so that what is wrong with one is told at once.

    Raises:
        RecipeError: a plug-in that is not installed, fails when imported, or lacks the thing.
    """
    for _, name in plugins_of(options):
        find(name, {})


def digests(sections: Mapping[str, Options]) -> dict[str, str]:
    """Return a digest of the code of every plug-in that the sections name, by plug-in.

    Raises:
        RecipeError: one that is not installed, or was edited since this process imported it.
    """
    return {
        name: _code_digest(name, f"{section}.{key}: ")
        for section, options in sections.items()
        for key, name in plugins_of(options)
    }


def _code_digest(name: str, where: str) -> str:
    """Return a digest of the source of the module, or the whole package, of a plug-in."""
    top = _top(name)
    try:
        found = find_spec(top)
    except (ImportError, ValueError) as error:
        raise _cannot_load(name, error, where) from error
    if found is None:
        raise _cannot_load(name, f"there is no module {top}", where)
    digest = xxhash.xxh3_128()
    for path, shown in _sources(found):
        digest.update(shown.encode() + b"\0" + path.read_bytes())
    if IMPORTED.get(top, digest.hexdigest()) != digest.hexdigest():
        raise RecipeError(
            f"{where}{name} was edited after this process had imported it, so what would run is "
            "not what stands in the file; start Python again."
        )
    return digest.hexdigest()


def _top(name: str) -> str:
    return name.partition(":")[0].partition(".")[0]


def _sources(found: Any) -> list[tuple[Path, str]]:
    """Files of a module's code, each with its path within the package."""
    if not found.submodule_search_locations:
        return [(Path(found.origin), "")] if found.has_location else []
    roots = [Path(place) for place in found.submodule_search_locations]
    return [
        (path, path.relative_to(root).as_posix())
        for root in roots
        for path in sorted(root.rglob("*.py"))
    ]


def _cannot_load(name: str, reason: object, where: str = "") -> RecipeError:
    return RecipeError(
        f"{where}{name} cannot be loaded ({reason}); install its package, stand in the folder that "
        "holds it, or take the name out."
    )
