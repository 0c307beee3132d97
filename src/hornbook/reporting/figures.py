"""One function a figure: from plain numbers to a drawing that waits for its colours.

A drawing knows no run and no file; `svg.svg` and `svg.png` give it the page's or paper's colours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from hornbook.reporting.svg import Drawing, Palette

Points = NDArray[np.float64]

MAXIMUM_POINTS = 600
"""A line is drawn with at most this many points; each is the mean of an equal stretch."""

DASHES = ("--", ":", "-.")

LABEL_HEIGHT = 0.055
"""The room that a label needs, as a share of the axes' height."""


@dataclass(frozen=True)
class Line:
    """One curve: points (x, y) under a name; entries that are not finite are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Level:
    """A horizontal line to compare with: `kind` chooses the dashes, `belongs` the colour."""

    kind: str
    belongs: str
    y: float


def finite(line: Line) -> tuple[Points, Points]:
    """The line's points where both coordinates are finite, as float64."""
    x, y = np.asarray(line.x, dtype=np.float64), np.asarray(line.y, dtype=np.float64)
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]


def thinned(x: Points, y: Points, points: int) -> tuple[Points, Points]:
    """At most `points` points: the mean of each of that many equal stretches, in order."""
    if len(x) <= points:
        return x, y
    edges = np.linspace(0, len(x), points + 1).astype(np.int64)[:-1]
    counts = np.diff(np.append(edges, len(x)))
    return np.add.reduceat(x, edges) / counts, np.add.reduceat(y, edges) / counts


def smoothed(y: Points, share: float = 0.03) -> Points:
    """The mean of the neighbours on both sides, over a window of `share` of the curve.

    m_t = mean(y[t-h .. t+h]), h = share·n/2, at least 1; at the ends the window is cut.
    """
    half = max(1, round(share * len(y) / 2))
    sums = np.concatenate([[0.0], np.cumsum(y, dtype=np.float64)])
    places = np.arange(len(y))
    first, last = np.maximum(places - half, 0), np.minimum(places + half + 1, len(y))
    mean: Points = (sums[last] - sums[first]) / (last - first)
    return mean


def short_number(value: float) -> str:
    """3300000 -> `3.3M`; at most three digits count."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def dress(axes: Axes, palette: Palette) -> None:
    """Quiet axes: a grid, no box, small figures."""
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(palette.grid)
    axes.tick_params(colors=palette.muted, labelcolor=palette.muted, length=3, labelsize=9)
    axes.grid(True, color=palette.grid, linewidth=0.7)
    axes.set_axisbelow(True)


def _figure(palette: Palette, height: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(8.4, height), layout="constrained")
    grid = figure.subplots(panels, 1, sharex=True, squeeze=False)
    axes = [row[0] for row in grid]
    for each in axes:
        dress(each, palette)
    return figure, axes


def _label(axes: Axes, palette: Palette, x: str, y: str) -> None:
    axes.set_xlabel(x, color=palette.muted, fontsize=10)
    axes.set_ylabel(y, color=palette.muted, fontsize=10)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


def _legend(axes: Axes, palette: Palette) -> None:
    axes.legend(frameon=False, fontsize=9, labelcolor=palette.ink, loc="upper right")


def loss(line: Line, x_label: str) -> Drawing:
    """Training loss: as measured and pale, its smooth mean over it."""

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = _figure(palette, 3.9)
        x, y = finite(line)
        mean, colour = smoothed(y), palette.line(0)
        raw, smooth = thinned(x, y, MAXIMUM_POINTS), thinned(x, mean, MAXIMUM_POINTS)
        axes.plot(*raw, color=colour, linewidth=0.8, alpha=0.4, label="measured")
        axes.plot(*smooth, color=colour, linewidth=2.0, label="mean")
        _label(axes, palette, x_label, "loss (nats a token)")
        _legend(axes, palette)
        return figure

    return draw


def panels(stack: Sequence[Line], x_label: str) -> Drawing:
    """Small plots above each other, one a line, from 0 up, over one x axis."""

    def draw(palette: Palette) -> Figure:
        figure, grid = _figure(palette, 1.0 + 1.25 * len(stack), len(stack))
        for i, (axes, line) in enumerate(zip(grid, stack, strict=True)):
            x, y = thinned(*finite(line), MAXIMUM_POINTS)
            axes.plot(x, y, color=palette.line(i), linewidth=1.4)
            axes.set_ylabel(line.name, color=palette.muted, fontsize=9)
            axes.set_ylim(bottom=0.0)
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
        grid[-1].set_xlabel(x_label, color=palette.muted, fontsize=10)
        grid[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
        figure.align_ylabels(grid)
        return figure

    return draw


def evaluation(lines: Sequence[Line], levels: Sequence[Level], x_label: str) -> Drawing:
    """Bits per byte on held-out text: a line a source, baselines as broken lines of its colour.

    What each line is stands at its right end.
    """

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = _figure(palette, 4.4)
        colours = {line.name: palette.line(i) for i, line in enumerate(lines)}
        kinds = list(dict.fromkeys(level.kind for level in levels))
        ends = []
        for line in lines:
            x, y = finite(line)
            axes.plot(x, y, color=colours[line.name], linewidth=2.2, marker="o", markersize=3.5)
            ends.append((float(y[-1]), f"{line.name} {y[-1]:.2f}", colours[line.name], "bold"))
        for level in levels:
            colour = colours.get(level.belongs, palette.muted)
            dash = DASHES[kinds.index(level.kind) % len(DASHES)]
            axes.axhline(level.y, color=colour, linewidth=1.1, linestyle=dash)
            ends.append((level.y, f"{level.kind}, {level.belongs} {level.y:.2f}", colour, "normal"))
        _label(axes, palette, x_label, "bits per byte (lower is better)")
        _name_ends(axes, ends)
        return figure

    return draw


def by_order(held_out: Sequence[Line], counted: Line) -> Drawing:
    """Bits per byte over n: a line a source that was held out, a broken one for what was counted.

    The last of held_out is of all sources together; a ring is around its lowest point.
    """

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = _figure(palette, 4.4)
        ends = []
        for i, line in enumerate((*reversed(held_out), counted)):
            is_all, is_counted = i == 0, i == len(held_out)
            colour = palette.muted if is_counted else palette.line(i)
            axes.plot(
                line.x, line.y, color=colour, marker="o", markersize=4.0 if is_all else 2.5,
                linewidth=2.4 if is_all else 1.4, linestyle=DASHES[0] if is_counted else "-",
            )  # fmt: skip
            weight = "bold" if is_all else "normal"
            ends.append((line.y[-1], f"{line.name} {line.y[-1]:.2f}", colour, weight))
        best = min(range(len(held_out[-1].y)), key=lambda place: held_out[-1].y[place])
        axes.plot(
            held_out[-1].x[best], held_out[-1].y[best], "o", markersize=11, fillstyle="none",
            color=palette.line(0),
        )  # fmt: skip
        _label(axes, palette, "n: tokens of history + 1", "bits per byte (lower is better)")
        axes.set_xticks(list(counted.x))
        _name_ends(axes, ends)
        return figure

    return draw


def _name_ends(axes: Axes, ends: Sequence[tuple[float, str, str, str]]) -> None:
    """Write (height, text, colour, weight) right of the axes, moved apart where they touch."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    ends = sorted(ends)
    heights = apart([(height - low) / (high - low) for height, *_ in ends], LABEL_HEIGHT)
    for place, (_, text, colour, weight) in zip(heights, ends, strict=True):
        axes.annotate(
            text, xy=(1.0, place), xycoords="axes fraction", xytext=(6, 0),
            textcoords="offset points", va="center", fontsize=9, color=colour, weight=weight,
            annotation_clip=False,
        )  # fmt: skip


def apart(places: Sequence[float], distance: float) -> list[float]:
    """Sorted places moved as little as a sweep up and a sweep down need to be `distance` apart.

    The first is at least 0; the last is at most 1 where they all fit.
    """
    moved = list(places)
    for i in range(len(moved)):
        least = moved[i - 1] + distance if i else 0.0
        moved[i] = max(moved[i], least)
    for i in reversed(range(len(moved))):
        most = moved[i + 1] - distance if i + 1 < len(moved) else 1.0
        moved[i] = min(moved[i], most)
    return moved


def compared(groups: Mapping[str, Sequence[Line]], x_label: str, y_label: str) -> Drawing:
    """Curves of several runs in one picture: a colour a run, a dash a line within it."""

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = _figure(palette, 4.0)
        for i, (run, lines) in enumerate(groups.items()):
            for j, line in enumerate(lines):
                x, y = thinned(*finite(line), MAXIMUM_POINTS)
                name = f"{run}: {line.name}" if line.name else run
                dash = ("-", *DASHES)[j % 4]
                axes.plot(
                    x, y, color=palette.line(i), linewidth=1.8, linestyle=dash, label=name
                )  # fmt: skip
        _label(axes, palette, x_label, y_label)
        _legend(axes, palette)
        return figure

    return draw
