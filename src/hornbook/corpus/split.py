"""Splitting: what is held back for validation, by groups, so that kin stay on one side.

A group (a module, a file, a record) falls by a hash of (seed, "split", group): the same side
whatever else the corpus holds, and in every source, so that a docstring and the source it stands in
stay together. A source of few groups gives the end of each of its texts instead.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hornbook.recipe.fingerprint import derive_seed

FEWEST_GROUPS = 10
"""A source of fewer groups than this is split inside its documents."""


class Side(IntEnum):
    """Where a document goes; BOTH: its text is cut, the end is for validation."""

    TRAIN = 0
    VALIDATION = 1
    BOTH = 2


def draw(seed: int, group: str) -> float:
    """Return the group's number in [0, 1): uniform, and the same for ever."""
    return derive_seed(seed, "split", group) / 2**63


def split(
    sources: Sequence[str], groups: Sequence[str], fraction: float, seed: int
) -> NDArray[np.int64]:
    """Return the `Side` of each document, given its source and group.

    Groups whose draw is below `fraction` are for validation; so is each source's group of smallest
    draw, while that of largest draw is for training: no source of ten groups lacks a side.
    """
    kin: dict[str, set[str]] = {}
    for source, group in zip(sources, groups, strict=True):
        kin.setdefault(source, set()).add(group)
    draws = {group: draw(seed, group) for group in set(groups)}
    held_back = _held_back(kin, draws, fraction)
    sides = [
        Side.BOTH
        if len(kin[source]) < FEWEST_GROUPS
        else (Side.VALIDATION if group in held_back else Side.TRAIN)
        for source, group in zip(sources, groups, strict=True)
    ]
    return np.array(sides, dtype=np.int64)


def _held_back(
    kin: Mapping[str, set[str]], draws: Mapping[str, float], fraction: float
) -> set[str]:
    large = [groups for groups in kin.values() if len(groups) >= FEWEST_GROUPS]
    ranked = [sorted(groups, key=lambda group: (draws[group], group)) for groups in large]
    below = {group for group, value in draws.items() if value < fraction}
    return below - {names[-1] for names in ranked} | {names[0] for names in ranked}


def tail_start(text: str, fraction: float) -> int:
    """Return where the last `fraction` of a text begins: at a line, else a blank, else anywhere.

    Both parts hold at least one character where the text has two; 0 says that it cannot be cut.
    """
    if len(text) < 2:
        return 0
    wanted = min(len(text) - 1, max(1, round(len(text) * (1 - fraction))))
    for mark in ("\n", " "):
        for found in (text.rfind(mark, 0, wanted), text.find(mark, wanted, len(text) - 1)):
            if found > 0 and abs(found + 1 - wanted) <= len(text) * fraction / 2:
                return found + 1
    return wanted
