"""One function a figure: from plain numbers to a drawing that waits for its colours.

A drawing knows no run and no file; `svg.svg` and `svg.png` give it the page's or paper's colours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hornbook.reporting.svg import Drawing, Palette

MAXIMUM_POINTS = 600
"""A line is drawn with at most this many points; each is the mean of an equal stretch."""

DASHES = ("--", ":", "-.")


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


@dataclass(frozen=True)
class Panel:
    """One small plot of a stack that shares its x axis."""

    label: str
    line: Line


def finite(line: Line) -> tuple[np.ndarray, np.ndarray]:
    """The line's points where both coordinates are finite, as float64."""
    x, y = np.asarray(line.x, dtype=np.float64), np.asarray(line.y, dtype=np.float64)
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]


def thinned(x: np.ndarray, y: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `points` points: the mean of each of that many equal stretches, in order."""
    if len(x) <= points:
        return x, y
    edges = np.linspace(0, len(x), points + 1).astype(np.int64)[:-1]
    counts = np.diff(np.append(edges, len(x)))
    return np.add.reduceat(x, edges) / counts, np.add.reduceat(y, edges) / counts


def smoothed(y: np.ndarray, share: float = 0.02) -> np.ndarray:
    """An exponential mean whose memory is `share` of the curve, corrected for its empty start.

    m_t = b·m_{t-1} + (1-b)·y_t with m_0 = 0, shown as m_t / (1 - bᵗ), b = 1 - 1/max(1, share·n).
    """
    keep = 1 - 1 / max(1.0, share * len(y))
    mean, out = 0.0, np.empty(len(y), dtype=np.float64)
    for t, value in enumerate(y.tolist()):
        mean = keep * mean + (1 - keep) * value
        out[t] = mean / (1 - keep ** (t + 1))
    return out


def short_number(value: float) -> str:
    """3300000 -> `3.3M`; at most three digits count."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _dress(axes: Axes, palette: Palette) -> None:
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
        _dress(each, palette)
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
        colour = palette.line(0)
        axes.plot(
            *thinned(x, y, MAXIMUM_POINTS), color=colour, linewidth=0.8, alpha=0.4, label="measured"
        )
        axes.plot(
            *thinned(x, smoothed(y), MAXIMUM_POINTS), color=colour, linewidth=2.0, label="mean"
        )
        _label(axes, palette, x_label, "loss (nats a token)")
        _legend(axes, palette)
        return figure

    return draw


def panels(stack: Sequence[Panel], x_label: str) -> Drawing:
    """Small plots above each other (learning rate, gradient norm, speed) over one x axis."""

    def draw(palette: Palette) -> Figure:
        figure, grid = _figure(palette, 1.0 + 1.25 * len(stack), len(stack))
        for i, (axes, panel) in enumerate(zip(grid, stack, strict=True)):
            x, y = thinned(*finite(panel.line), MAXIMUM_POINTS)
            axes.plot(x, y, color=palette.line(i), linewidth=1.4)
            axes.set_ylabel(panel.label, color=palette.muted, fontsize=9)
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
        grid[-1].set_xlabel(x_label, color=palette.muted, fontsize=10)
        grid[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
        figure.align_ylabels(grid)
        return figure

    return draw


def evaluation(lines: Sequence[Line], levels: Sequence[Level], x_label: str) -> Drawing:
    """Bits per byte on held-out text: a line a source, baselines as dashed levels of its colour."""

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = _figure(palette, 4.4)
        colours = {line.name: palette.line(i) for i, line in enumerate(lines)}
        kinds = list(dict.fromkeys(level.kind for level in levels))
        for line in lines:
            x, y = finite(line)
            axes.plot(
                x, y, color=colours[line.name], linewidth=2.0, marker="o", markersize=3.5,
                label=line.name,
            )  # fmt: skip
        for level in levels:
            colour = colours.get(level.belongs, palette.muted)
            dash = DASHES[kinds.index(level.kind) % len(DASHES)]
            axes.axhline(level.y, color=colour, linewidth=1.1, linestyle=dash)
            axes.annotate(
                f"{level.kind}, {level.belongs} {level.y:.2f}",
                xy=(0.995, level.y), xycoords=("axes fraction", "data"),
                xytext=(0, 3), textcoords="offset points",
                ha="right", va="bottom", fontsize=8.5, color=colour,
            )  # fmt: skip
        _label(axes, palette, x_label, "bits per byte (lower is better)")
        axes.legend(frameon=False, fontsize=9, labelcolor=palette.ink, loc="upper center", ncols=4)
        axes.margins(y=0.12)
        return figure

    return draw


def compared(groups: Mapping[str, Sequence[Line]], x_label: str, y_label: str) -> Drawing:
    """Curves of several runs in one picture: a colour a run, a dash a line within it."""

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = _figure(palette, 4.0)
        for i, (run, lines) in enumerate(groups.items()):
            for j, line in enumerate(lines):
                x, y = finite(line)
                x, y = thinned(x, smoothed(y), MAXIMUM_POINTS)
                name = f"{run}: {line.name}" if line.name else run
                dash = ("-", *DASHES)[j % 4]
                axes.plot(
                    x, y, color=palette.line(i), linewidth=1.8, linestyle=dash, label=name
                )  # fmt: skip
        _label(axes, palette, x_label, y_label)
        _legend(axes, palette)
        return figure

    return draw
