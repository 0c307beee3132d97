"""What a stage is, and what its function is given."""

import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hornbook.runs.directory import RunDirectory
from hornbook.runs.events import Events
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal


class RunRecipe(Protocol):
    """What a run needs of a recipe (this room does not see the recipe's)."""

    @property
    def borrowed(self) -> Mapping[str, str]:
        """Stage -> the run directory it is taken from."""

    def __getitem__(self, section: str) -> Any:
        """Return a section's options, whose `hashed()` are those that change what is made."""

    def fingerprint(
        self, sections: Sequence[str], also: Mapping[str, Any], without: Collection[str] = ()
    ) -> str:
        """Identify the hashed options of some sections, but for some, with other values."""

    def to_toml(self) -> str:
        """Write the resolved recipe out."""


@dataclass(frozen=True)
class Stage:
    """One row of the table of stages; functions are named "module:function", imported when needed.

    `function(context)` writes into `context.directory` and returns a small summary;
    `outside(recipe)` returns digests of what is read from outside; `skip(context)` returns the
    reason to leave the stage out, or None, once everything upstream is finished. Raise `revision`
    when the function gives other bytes for the same input. `grows` names options such as
    "pretraining.steps", under a higher value of which earlier work may be continued.
    """

    name: str
    function: str
    reads: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    revision: int = 1
    outside: str | None = None
    skip: str | None = None
    grows: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageContext:
    """What a stage's function is given; it holds nothing that could change the bytes it writes."""

    recipe: RunRecipe
    run: RunDirectory
    directory: Path  # write here; after a kill it is the same, with what was left in it
    inputs: Mapping[str, Path]  # upstream stage -> its finished directory; skipped ones are absent
    lineage: str  # the stage's fingerprint without the options that may grow; "" if none may
    events: Events
    progress: Progress
    stop: StopSignal


def resolve(name: str) -> Callable[..., Any]:
    """Import the function that "module:function" names."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found
