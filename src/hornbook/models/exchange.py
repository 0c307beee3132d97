"""How a family's weights and settings are named in Hugging Face folders, as data.

`checkpoints/hf.py` reads these rows in both directions; no family writes code for it. `{layer}`
in a pair of names stands for the number of a block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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

    prefix: may stand before every tensor's name. ignored: patterns of tensors that are old buffers.
    tied: tensors that may be stored and must equal another. vocabulary: our tensors with one row a
    token. config: their config keys and the paths in our spec that have that value; dimensions:
    those of them that make the spec, and its arguments; activated: those of them that name an
    activation, by `activations`. required: keys that change the numbers, and the one value that our
    parts compute. written: keys that are only written.
    """

    model_type: str
    architecture: str
    prefix: str
    keys: tuple[Key, ...]
    ignored: tuple[str, ...]
    tied: Mapping[str, str]
    vocabulary: tuple[str, ...]
    config: Mapping[str, tuple[str, ...]]
    dimensions: Mapping[str, str]
    activated: tuple[str, ...]
    activations: Mapping[str, str]
    required: Mapping[str, Any]
    written: Mapping[str, Any]
