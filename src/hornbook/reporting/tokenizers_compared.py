"""Tokenizers side by side: tables, and the picture of larger vocabularies and fewer tokens."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from hornbook.evaluation.baseline import ALL
from hornbook.evaluation.vocabulary_sizes import SizeLoss
from hornbook.reporting.figures import DASHES, dress, short_number
from hornbook.reporting.svg import Drawing, Palette
from hornbook.reporting.terminal import Table
from hornbook.reporting.tokens import visible
from hornbook.tokenizers.comparison import Measured

LONGEST_SHOWN = 24
"""Characters of the longest token that a row has room for."""

MARKERS = "osD^vPX"
"""Signs of points, by what the tokenizers are sizes of."""


def compared_tables(measured: Sequence[Measured]) -> Iterator[Table | str]:
    """A table of the tokenizers, one of each with each group of texts, and what did not come back.

    The row of the most bytes a token stands out where nothing is unknown.
    """
    yield Table(
        "Tokenizers",
        ("tokenizer", "kind", "ids", "never used", "not back", "MB/CPU s", "longest token"),
        tuple(
            (
                one.name,
                one.kind,
                f"{one.vocab_size:,}",
                f"{one.unused:,} ({one.unused_share:.1%})",
                f"{one.failures:,} of {one.pieces:,}",
                f"{one.megabytes_per_second:.1f}",
                _shortened(visible(one.longest[0])) if one.longest else "",
            )
            for one in measured
        ),
        (2, 3, 4, 5),
    )
    heads = ("tokenizer", "bytes/token", "tokens/word", "single bytes", "unknown")
    for group in group_names(measured):
        rows = [
            (one.name, score) for one in measured for score in one.groups if score.group == group
        ]
        known = [score.bytes_per_token if not score.unknown else 0.0 for _, score in rows]
        yield Table(
            f"{group}: {rows[0][1].bytes:,} bytes held out",
            heads,
            tuple(
                (
                    name,
                    f"{score.bytes_per_token:.3f}",
                    f"{score.fertility:.3f}",
                    f"{score.single_byte_share:.1%}",
                    f"{score.unknown_share:.2%}",
                )
                for name, score in rows
            ),
            (1, 2, 3, 4),
            known.index(max(known)) if len(rows) > 1 else None,
        )
    for one in measured:
        if one.failures:
            yield f"{one.name}: not back, for one: {one.first_failure}"


def loss_table(losses: Sequence[SizeLoss]) -> Table:
    """A row a vocabulary: what a small model of it came to at one price."""
    heads = ("tokenizer", "parameters", "updates", "tokens read", "bytes read", "bits per byte")
    best = min(range(len(losses)), key=lambda number: losses[number].bits_per_byte[ALL])
    rows = tuple(
        (
            loss.name,
            f"{loss.parameters:,}",
            f"{loss.steps:,}",
            f"{loss.tokens:,}",
            short_number(loss.bytes),
            f"{loss.bits_per_byte[ALL]:.3f}",
        )
        for loss in losses
    )
    title = (
        f"A small model of each vocabulary, about {short_number(losses[0].flops)} operations each"
    )
    return Table(title, heads, rows, tuple(range(1, len(heads))), best)


def group_names(measured: Sequence[Measured]) -> list[str]:
    """The groups of texts, in the order of the first tokenizer's."""
    return [score.group for score in measured[0].groups]


def compared_figure(measured: Sequence[Measured], losses: Sequence[SizeLoss] = ()) -> Drawing:
    """Bytes a token over vocabulary size: a colour a group of texts, a dash a training or place.

    Below it, where small models were trained, bits a byte over vocabulary size.
    """

    def draw(palette: Palette) -> Figure:
        panels = 2 if losses else 1
        figure = Figure(figsize=(8.4, 1.0 + 3.4 * panels), layout="constrained")
        grid = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        _shortness(grid[0], palette, measured)
        if losses:
            _losses(grid[1], palette, losses)
        sizes = sorted({one.vocab_size for one in measured} | {one.vocab_size for one in losses})
        for axes in grid:
            axes.set_xscale("log")
            axes.set_xticks(sizes)
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.tick_params(axis="x", labelrotation=45 if len(sizes) > 6 else 0)
        grid[-1].set_xlabel("vocabulary size", color=palette.muted, fontsize=10)
        return figure

    return draw


Points = list[tuple[float, float]]


def _shortness(axes: Axes, palette: Palette, measured: Sequence[Measured]) -> None:
    found: dict[tuple[str, str], Points] = {}
    for one in measured:
        for score in one.groups:
            point = (float(one.vocab_size), score.bytes_per_token)
            found.setdefault((score.group, _without_size(one.name)), []).append(point)
    _lines(axes, palette, found)
    axes.set_title("Larger vocabulary, fewer tokens", fontsize=10, color=palette.ink, loc="left")
    axes.set_ylabel("bytes per token, held out", color=palette.muted, fontsize=9)


def _losses(axes: Axes, palette: Palette, losses: Sequence[SizeLoss]) -> None:
    sources = [source for source in losses[0].bits_per_byte if source != ALL]
    found: dict[tuple[str, str], Points] = {}
    for one in losses:
        for source in sources if len(sources) > 1 else [ALL]:
            point = (float(one.vocab_size), one.bits_per_byte[source])
            name = "held out" if source == ALL else source
            found.setdefault((name, _without_size(one.name)), []).append(point)
    _lines(axes, palette, found)
    price = f"{short_number(losses[0].flops)} operations each"
    title = f"A small model's loss, about {price}"
    axes.set_title(title, fontsize=10, color=palette.ink, loc="left")
    axes.set_ylabel("bits per byte (lower is better)", color=palette.muted, fontsize=9)


def _lines(axes: Axes, palette: Palette, found: Mapping[tuple[str, str], Points]) -> None:
    """A line for each (group of texts, name): colour of the group, dash and marker of the name.

    A line joins the sizes of one training or place alone: others were learnt from other text.
    """
    dress(axes, palette)
    groups, names = (list(dict.fromkeys(words)) for words in zip(*found, strict=True))
    shown = short_names(names)
    for (group, name), points in found.items():
        number = names.index(name)
        xs, ys = zip(*sorted(points), strict=True)
        axes.plot(
            xs, ys, linewidth=1.8, color=palette.line(groups.index(group)), markersize=5.0,
            marker=MARKERS[number % len(MARKERS)], linestyle=("-", *DASHES)[number % 4],
            label=f"{group}, {shown[name]}" if len(names) > 1 else group,
        )  # fmt: skip
    axes.legend(frameon=False, fontsize=8, labelcolor=palette.ink)


def _without_size(name: str) -> str:
    return re.sub(r":\d+$", "", name)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Each name, and as many of its path's last parts as tell it from the others."""
    parts = {name: PurePath(name).parts or (name,) for name in names}
    found = {}
    for name, own in parts.items():
        others = [other for key, other in parts.items() if key != name]
        alone = (
            count
            for count in range(1, len(own))
            if all(other[-count:] != own[-count:] for other in others)
        )
        found[name] = str(PurePath(*own[-next(alone, len(own)) :]))
    return found


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
