"""How a family's weights and settings are named in Hugging Face folders, as data.

`checkpoints/hf.py` reads these rows in both directions; no family writes code for it. `{layer}`
in a pair of names stands for the number of a block.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Size:
    """A published size: the dimensions that differ from the family's defaults, the exact count."""

    dimensions: Mapping[str, int]
    parameters: int


@dataclass(frozen=True)
class Key:
    """One tensor: our name, theirs, and whether theirs is stored [in, out] (Conv1D)."""

    ours: str
    theirs: str
    transposed: bool = False


@dataclass(frozen=True)
class HuggingFace:
    """A family's Hugging Face layout.

    `config` maps their config keys to paths in our spec (several paths must agree); `dimensions`
    are those of them that make the spec; `required` are keys that change the numbers and have one
    value that our parts compute; `written` are keys only written. Tensors matching `ignored` are
    old buffers; `prefix` may stand before every name.
    """

    model_type: str
    architecture: str
    prefix: str
    keys: tuple[Key, ...]
    ignored: tuple[str, ...]
    dimensions: Mapping[str, str]
    config: Mapping[str, tuple[str, ...]]
    activations: Mapping[str, str]
    required: Mapping[str, Any] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)
