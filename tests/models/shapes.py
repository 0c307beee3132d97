"""Small specs of any family: the dimensions that tests share, less those that a family has not."""

from inspect import signature
from typing import Any

from hornbook.models.families import family, spec_for
from hornbook.models.spec import Spec

STACKED = r"((en|de)coder\.)?blocks\.\d+"
"""Names of the modules that the stream passes one after another."""


def dimensions(name: str) -> set[str]:
    """What a family's spec may be told."""
    return set(signature(family(name).spec).parameters)


def shaped(name: str, shape: dict[str, Any], **own: Any) -> Spec:
    """The family's spec of what it has of `shape`, and of all of its `own`, which come first."""
    assert shape.keys() <= dimensions("gpt2"), "a dimension that no family has"
    known = dimensions(name)
    return spec_for(name, **{key: n for key, n in shape.items() if key in known} | own)
