"""What people hand to a model, as rows of ids and back, and long texts as windows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor


def windows(tokens: int, length: int) -> Iterator[tuple[int, int, int]]:
    """(start, end, first scored) of windows that score each of `tokens` once.

    Windows are at most `length` long and move by half of it; each scores what none before did.
    """
    scored = 0
    while scored < tokens:
        end = min(tokens, scored + (max(1, length // 2) if scored else length))
        yield max(0, end - length), end, scored
        scored = end


def consecutive(tokens: int, length: int) -> Iterator[tuple[int, int, int]]:
    """As `windows`, one beginning where the one before ended: for who remembers what was read."""
    for start in range(0, tokens, length):
        yield start, min(tokens, start + length), start


def rows_of(prompt: Any) -> list[list[int]]:
    """One row of ids or several, from lists, arrays or tensors, as lists."""
    rows = prompt.tolist() if isinstance(prompt, Tensor | np.ndarray) else list(prompt)
    nested = bool(rows) and not isinstance(rows[0], int | np.integer)
    return [[int(token) for token in row] for row in (rows if nested else [rows])]


def like(prompt: Any, rows: list[list[int]]) -> Any:
    """Rows in the kind and shape that the prompt had; shorter rows repeat their stop token."""
    if not isinstance(prompt, Tensor | np.ndarray):
        nested = not isinstance(prompt[0], int | np.integer)
        return rows if nested else rows[0]
    longest = max(map(len, rows))
    square = [row + row[-1:] * (longest - len(row)) for row in rows]
    ids = np.array(square if prompt.ndim == 2 else square[0], dtype=np.int64)
    return torch.from_numpy(ids).to(prompt.device) if isinstance(prompt, Tensor) else ids
