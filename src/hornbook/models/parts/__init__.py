"""Parts: the building blocks of networks, one idea a file, each made from a choice in a spec.

In: a choice (`spec.LayerNorm(eps=1e-5)`) and the dimensions it stands in. Out: a module of that
name. `PARTS` is the table; `make` builds by it. The precision rule that all parts keep: a
`Linear` computes in the dtype of its own weight, norms compute in the dtype of their gain
(float32 in training), and the residual stream has the dtype of the final norm. Modules with
`computes_low = True` are those whose weights may be bfloat16 shadows of float32 masters; nothing
else in a model changes with precision.

Every module declares `roles`, parameter name to role, which is all that initialisation needs to
know.
"""

from importlib import import_module
from typing import Any

PARTS: dict[str, str] = {
    name: f"hornbook.models.{module}"
    for module, names in {
        "parts.norms": ("LayerNorm", "RMSNorm"),
        "parts.positions": ("LearnedPositions", "BlockPositions", "SinusoidalPositions"),
        "parts.rotary": ("Rotary", "BlockRotary"),
        "parts.bias": ("BucketBias",),
        "parts.embeddings": ("Embedding",),
        "parts.attention": ("Attention", "CrossAttention"),
        "parts.relative": ("RelativeAttention",),
        "parts.feedforward": ("FeedForward", "GatedFeedForward"),
        "parts.experts": ("Experts",),
        "parts.blocks": ("PreNormBlock", "PostNormBlock", "ParallelBlock", "NormedResidualBlock"),
        "parts.recurrent": ("Recurrence", "BothWays", "ResidualRecurrence"),
        "parts.window": ("Window",),
        "parts.aligned": ("PreviousStateAttention", "CurrentStateAttention"),
        "parts.heads": ("TiedHead", "UntiedHead", "MaskedHead", "Pooler"),
        "parts.readings": ("CausalReading", "FullReading", "UnpaddedReading", "BlankReading"),
    }.items()
    for name in names
}


def make(choice: Any, *arguments: Any) -> Any:
    """The module for a choice of a spec, built with (choice, *arguments)."""
    name = type(choice).__name__
    return getattr(import_module(PARTS[name]), name)(choice, *arguments)
