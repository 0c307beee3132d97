"""Where a decoder looks: one row a token written, one column a token read, darker for more.

A map is read along its rows: each adds up to 1 (to less in local attention, whose window fades).
A translation that keeps its order is a diagonal, a reversal the other one; rows that are pale all
over attend to nothing in particular.

Source: Bahdanau et al. 2015, figure 3.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from hornbook.errors import InputError
from hornbook.reporting.svg import Drawing, Palette

CELL = 0.24
"""Inches a token; letters of 9 points stand apart in it."""

SHOWN = {" ": "␣", "\n": "⏎", "\t": "⇥"}
"""What stands for a label that would leave no mark."""

TOLERANCE = 1e-3


def attention_map(
    weights: ArrayLike, source: Sequence[str], target: Sequence[str], title: str = ""
) -> Drawing:
    """Draw weights [target, source], with what was read above and what was written at the left.

    A weight w is a square of opacity w, so the map looks right on light and dark pages.

    Raises:
        InputError: the weights do not fit the labels, or a row holds no shares.
    """
    cells = np.asarray(weights, dtype=np.float64)
    if cells.shape != (len(target), len(source)) or not cells.size:
        raise InputError(
            f"Weights of shape {list(cells.shape)} do not fit {len(target)} target and "
            f"{len(source)} source labels; give [target, source]."
        )
    sums = cells.sum(1)
    wrong = ~np.isfinite(sums) | (cells < 0).any(1) | (sums > 1 + TOLERANCE)
    if wrong.any():
        raise InputError(
            f"Row {int(np.argmax(wrong))} of the weights holds no shares; give numbers from 0 to 1 "
            "that add up to 1, or to less where some were left out."
        )

    def draw(palette: Palette) -> Figure:
        rows, columns = cells.shape
        wide, high = (1.2 + CELL * count for count in (columns, rows))
        figure = Figure(figsize=(max(wide, 2.4), max(high, 1.8)), layout="constrained")
        axes: Any = figure.subplots()
        axes.set_facecolor("none")
        squares = [Rectangle((x, y), 1, 1) for y in range(rows) for x in range(columns)]
        axes.add_collection(
            PatchCollection(
                squares,
                facecolors=palette.line(0),
                alpha=cells.clip(0, 1).ravel(),
                linewidths=0,
            )
        )
        axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal")
        axes.set_xticks(np.arange(columns) + 0.5, [_shown(label) for label in source])
        axes.set_yticks(np.arange(rows) + 0.5, [_shown(label) for label in target])
        upright = max(map(len, source)) <= 2
        axes.xaxis.tick_top()
        axes.tick_params(length=0, labelsize=9, labelcolor=palette.ink)
        axes.tick_params(axis="x", rotation=0 if upright else 90)
        for spine in axes.spines.values():
            spine.set_color(palette.grid)
        if title:
            axes.set_xlabel(title, color=palette.muted, fontsize=9)
        return figure

    return draw


def _shown(label: str) -> str:
    """A label with what is invisible in it made visible."""
    return "".join(SHOWN.get(letter, letter) for letter in label)
