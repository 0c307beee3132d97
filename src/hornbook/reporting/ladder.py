"""A ladder as a table and as a picture: bits a byte of each rung, with what it cost."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from hornbook.evaluation.baseline import ALL
from hornbook.evaluation.climbed import Climbed
from hornbook.reporting.figures import dress
from hornbook.reporting.svg import Drawing, Palette
from hornbook.reporting.terminal import Table

Ladders = Mapping[str, Sequence[Climbed]]


def ladder_table(title: str, rungs: Sequence[Climbed]) -> Table:
    """A row a rung; intervals are of the mean over seeds, 95 %."""
    sources = [source for source in rungs[0].bits_per_byte if source != ALL]
    sources = sources if len(sources) > 1 else []
    rows = tuple(
        (
            rung.name,
            f"{rung.parameters:,}",
            f"{rung.tokens:,}",
            f"{rung.flops / 1e12:.2f}",
            f"{rung.seconds:.1f}",
            *(f"{rung.interval(source)[0]:.3f}" for source in sources),
            _with_interval(rung),
        )
        for rung in rungs
    )
    heads = ("rung", "parameters", "tokens read", "TFLOP", "seconds", *sources, "bits per byte")
    best = min(range(len(rungs)), key=lambda number: rungs[number].interval()[0])
    return Table(title, heads, rows, tuple(range(1, len(heads))), best)


def _with_interval(rung: Climbed) -> str:
    mean, half = rung.interval()
    if rung.counted:
        return f"{mean:.3f}, exactly"
    return f"{mean:.3f} ± {half:.3f}" if half == half else f"{mean:.3f}, one seed"


def ladder_figure(ladders: Ladders) -> Drawing:
    """Rungs from left to right, a panel a corpus: every seed as a dot, the mean with its interval.

    A broken line goes through the best of what counts: what learning has to beat.
    """

    def draw(palette: Palette) -> Figure:
        figure = Figure(figsize=(8.4, 1.0 + 3.0 * len(ladders)), layout="constrained")
        grid = figure.subplots(len(ladders), 1, sharex=True, squeeze=False)
        for (title, rungs), axes in zip(ladders.items(), grid[:, 0], strict=True):
            dress(axes, palette)
            for place, rung in enumerate(rungs):
                mean, half = rung.interval()
                colour = palette.muted if rung.counted else palette.line(0)
                values = rung.bits_per_byte[ALL]
                axes.plot([place] * len(values), values, ".", color=colour, alpha=0.5, markersize=5)
                axes.errorbar(
                    place, mean, yerr=half if half == half else None, fmt="o", color=colour,
                    markersize=6, capsize=4, linewidth=1.6,
                )  # fmt: skip
                axes.annotate(
                    f"{mean:.2f}", (place, mean), xytext=(8, 4), textcoords="offset points",
                    fontsize=9, color=colour,
                )  # fmt: skip
            counted = [rung.interval()[0] for rung in rungs if rung.counted]
            if counted:
                axes.axhline(min(counted), color=palette.muted, linewidth=1.0, linestyle="--")
            axes.set_title(title, fontsize=10, color=palette.ink, loc="left")
            axes.set_ylabel("bits per byte (lower is better)", color=palette.muted, fontsize=9)
            axes.set_xticks(range(len(rungs)), [rung.name for rung in rungs], fontsize=8)
            axes.margins(x=0.06)
        return figure

    return draw
