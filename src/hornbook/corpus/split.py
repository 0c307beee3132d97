"""Splitting: what is held back for validation, by groups, so that kin stay on one side.

A group (a module, a file, a record) falls by a hash of (seed, "split", group): the same side
whatever else the corpus holds, and in every source, so that a docstring and the source it stands in
stay together. A source of few groups, or of a few large ones, gives the end of each of its texts
instead.
"""

from collections import Counter
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hornbook.recipe.fingerprint import derive_seed

FEWEST_GROUPS = 10
"""A source of fewer groups than this is split inside its documents."""


Grouped = tuple[str, str, int]
"""A document as the split sees it: source, group, bytes."""


class Side(IntEnum):
    """Where a document goes; BOTH: its text is cut, the end is for validation."""

    TRAIN = 0
    VALIDATION = 1
    BOTH = 2


def draw(seed: int, group: str) -> float:
    """Return the group's number in [0, 1): uniform, and the same for ever."""
    return derive_seed(seed, "split", group) / 2**63


def split(groups: Sequence[Grouped], fraction: float, seed: int) -> NDArray[np.int64]:
    """Return the `Side` of each document, given its source, group and bytes.

    Groups whose draw is below `fraction` are for validation; so is each source's group of smallest
    draw, while that of largest draw is for training. A group of more than twice `fraction` of a
    source's bytes is never held back. A source with fewer than FEWEST_GROUPS others is split inside
    its documents.
    """
    bytes_of: dict[str, Counter[str]] = {}
    for source, group, size in groups:
        bytes_of.setdefault(source, Counter())[group] += size
    large = {
        group
        for sizes in bytes_of.values()
        for group, size in sizes.items()
        if size > 2 * fraction * sizes.total()
    }
    choices = {source: set(sizes) - large for source, sizes in bytes_of.items()}
    inside = {source for source, names in choices.items() if len(names) < FEWEST_GROUPS}
    held_back = _held_back(
        [names for source, names in choices.items() if source not in inside], fraction, seed
    )
    sides = np.full(len(groups), Side.TRAIN, np.int64)
    for place, (source, group, _) in enumerate(groups):
        if source in inside:
            sides[place] = Side.BOTH
        elif group in held_back:
            sides[place] = Side.VALIDATION
    return sides


def _held_back(choices: Sequence[set[str]], fraction: float, seed: int) -> set[str]:
    draws = {group: draw(seed, group) for names in choices for group in names}
    ranked = [sorted(names, key=lambda group: (draws[group], group)) for names in choices]
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
