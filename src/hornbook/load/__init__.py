"""Load: the one way to build or open a model, and the handle that users hold.

In: a family's name with dimensions (`build`), or a path (`load`): a run, whose last finished
training stage is opened, a checkpoint, or a Hugging Face folder. Out: a `Model`, network and
tokenizer in one.

    opening   build and load: which kind of place a path is, and what it holds
    model     the handle: call, generate, stream, chat, bits_per_byte, save
    prompts   texts and ids of any shape as rows, long texts as windows

`hornbook.load` is both this room and, called, its function: importing any module of the room binds
the room to that name, so the room answers calls.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hornbook.load.model import Model, Output, Reply
    from hornbook.load.opening import build, load

__all__ = ["Model", "Output", "Reply", "build", "load"]

_DOORS = {
    "Model": "hornbook.load.model",
    "Output": "hornbook.load.model",
    "Reply": "hornbook.load.model",
    "build": "hornbook.load.opening",
    "load": "hornbook.load.opening",
}


def __getattr__(name: str) -> Any:
    """Import a door when it is first asked for: models need torch, listing them does not."""
    if name not in _DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_DOORS[name]), name)


class _Room(ModuleType):
    """A room that answers calls."""

    def __call__(
        self,
        path: Any,
        device: str = "cpu",
        dtype: str = "float32",
        stage: str | None = None,
    ) -> "Model":
        """Open a model; see `hornbook.load.opening.load`."""
        opened: Model = import_module("hornbook.load.opening").load(path, device, dtype, stage)
        return opened


sys.modules[__name__].__class__ = _Room
