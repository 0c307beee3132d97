"""How a family's weights and settings are named in Hugging Face folders, as data.

`checkpoints/hf.py` reads these rows in both directions; no family writes code for it. `{layer}`
in a pair of names stands for the number of a block, `{expert}` for that of an expert.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GELU_NAMES = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu_erf",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""What transformers' names of activations mean, in most of its classes."""


@dataclass(frozen=True)
class Size:
    """A published size: the dimensions that differ from the family's defaults, the exact count.

    parameters: exactly, of this network, tied tensors once. paper: what the paper prints. released:
    the count of the released configuration where that is another one (a model without its heads,
    say) or stated elsewhere; source: where both were read.
    """

    dimensions: Mapping[str, Any]
    parameters: int
    paper: str = ""
    released: int | None = None
    source: str = ""


@dataclass(frozen=True)
class Key:
    """One tensor of ours: its name and theirs.

    theirs: several names where our tensor has their rows one below another ([Q | K | V]). form: a
    row of `checkpoints/tensor_forms.py`: how one of their tensors is laid out ("transposed", …).
    """

    ours: str
    theirs: str | tuple[str, ...]
    form: str = "same"


@dataclass(frozen=True)
class Setting:
    """One key of config.json ("a.b" is b within a) and the paths in our spec that have its value.

    In a path "*" stands for every block. argument: of the family's `spec`, where it makes the
    others. codec: "same", "activation", or a row of `checkpoints/hf.py`'s table.
    """

    key: str
    paths: tuple[str, ...]
    argument: str = ""
    codec: str = "same"


@dataclass(frozen=True)
class HuggingFace:
    """A family's Hugging Face layout.

    prefix: may stand before every tensor's name. ignored: patterns of tensors that are old buffers.
    renamed: ends of old names and what they are called now. tied: tensors that may be stored and
    must equal another. required: config keys that change the numbers, and the one value that our
    parts compute; absent: what their class takes where a key is absent. In both, "=other" is what
    the config has under another key. fixed: paths of the spec that this class always has. optional:
    fields of the spec that are None where a tensor is absent, with that tensor and the
    architecture's name then. written: keys that are only written. zeros: tensors that our parts do
    not have and that must be zero. sinusoids: tables of positions, all sines first, that must be
    what our parts compute.
    """

    model_type: str
    architecture: str
    keys: tuple[Key, ...]
    settings: tuple[Setting, ...]
    prefix: str = ""
    ignored: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)
    required: Mapping[str, Any] = field(default_factory=dict)
    absent: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    optional: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    activations: Mapping[str, str] = field(default_factory=lambda: GELU_NAMES)
    written: Mapping[str, Any] = field(default_factory=dict)
    zeros: tuple[str, ...] = ()
    sinusoids: tuple[str, ...] = ()


def layer_keys(ours: str, theirs: str, *pairs: tuple[str, str] | Key) -> tuple[Key, ...]:
    """Keys of one block: both prefixes before every name of the pairs."""
    rows = (pair if isinstance(pair, Key) else Key(*pair) for pair in pairs)
    return tuple(
        Key(
            ours + row.ours,
            theirs + row.theirs
            if isinstance(row.theirs, str)
            else tuple(theirs + name for name in row.theirs),
            row.form,
        )
        for row in rows
    )


def with_bias(ours: str, theirs: str | tuple[str, ...], form: str = "same") -> tuple[Key, ...]:
    """The weight of a map, or of a norm, and its bias."""
    names = (theirs,) if isinstance(theirs, str) else theirs
    weights = tuple(f"{name}.weight" for name in names)
    biases = tuple(f"{name}.bias" for name in names)
    one = len(names) == 1
    return (
        Key(f"{ours}.weight", weights[0] if one else weights, form),
        Key(f"{ours}.bias", biases[0] if one else biases),
    )
