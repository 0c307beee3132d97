"""How many texts each comparison with an original tried: what the table of kinds reports."""

from collections import Counter

TRIED: Counter[str] = Counter()
"""Texts by the test that is running (pytest's node id), filled by `count_cases`."""

_running = [""]


def begin(test: str) -> None:
    """Name the test that the next cases belong to."""
    _running[0] = test


def count_cases(number: int = 1) -> None:
    """Say that so many texts were compared with the original."""
    TRIED[_running[0]] += number
