"""From a matplotlib figure to a picture that lives inside a page, in light and in dark.

matplotlib writes fixed colours. A figure that is meant for a page is therefore drawn with the
marker colours of `MARKERS`, which are replaced by CSS variables of the page; the page gives these
their values for both schemes. Text stays text, so that it is found, read aloud and drawn with the
reader's fonts. The same figure drawn with `PAPER` becomes a PNG.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.figure import Figure

from hornbook.errors import InputError
from hornbook.runs.atomic import write_bytes

SERIES = 6
"""How many lines a figure can tell apart by colour; more begin again at the first."""


@dataclass(frozen=True)
class Palette:
    """The colours a figure is drawn with."""

    ink: str
    muted: str
    grid: str
    series: tuple[str, ...]

    def line(self, index: int) -> str:
        """The colour of line number `index`."""
        return self.series[index % len(self.series)]


MARKERS = Palette("#010101", "#010102", "#010103", tuple(f"#01020{i}" for i in range(SERIES)))
"""Colours that stand for the page's variables."""

PAPER = Palette(
    "#1f1d1a",
    "#625d55",
    "#ddd7cb",
    ("#1d5fa8", "#b04a12", "#2c7a4b", "#7b4aa6", "#a5244f", "#5b6b12"),
)
"""Colours of a picture file, which lies on white paper."""

VARIABLES = {
    MARKERS.ink: "var(--ink)",
    MARKERS.muted: "var(--muted)",
    MARKERS.grid: "var(--grid)",
    **{colour: f"var(--series-{i + 1})" for i, colour in enumerate(MARKERS.series)},
}

HAN_FONTS = (
    "Noto Sans CJK SC",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
)

FILES: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
}
"""Picture files, and what matplotlib would write into them besides."""

Drawing = Callable[[Palette], Figure]
"""A figure waiting for its colours."""


def _fonts() -> list[str]:
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in HAN_FONTS if name in installed)]


def _save(drawing: Drawing, palette: Palette, form: str, metadata: dict[str, None]) -> bytes:
    """Draw and save; the bytes depend on nothing but the drawing, the fonts and matplotlib."""
    settings: dict[Any, Any] = {
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "hornbook",
        "font.family": _fonts(),
        "font.size": 10.0,
        "axes.unicode_minus": True,
        "path.simplify": True,
    }
    buffer = io.BytesIO()
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        drawing(palette).savefig(
            buffer,
            format=form,
            transparent=palette is MARKERS,
            facecolor="none" if palette is MARKERS else "white",
            dpi=144,
            metadata=metadata,
        )
    return buffer.getvalue()


def png(drawing: Drawing) -> bytes:
    """The figure as a picture file on white."""
    return _save(drawing, PAPER, "png", FILES["png"])


def write_picture(path: str | Path, drawing: Drawing) -> None:
    """Write the figure as a file on white, .png or .svg as its name says.

    Raises:
        InputError: the name ends in something else.
    """
    path = Path(path)
    form = path.suffix.removeprefix(".").lower()
    if form not in FILES:
        raise InputError(f"{path} is no picture's name; let it end in .png or .svg.")
    write_bytes(path, _save(drawing, PAPER, form, FILES[form]))


def svg(drawing: Drawing, name: str, title: str, description: str) -> str:
    """The figure as an `<svg>` element to stand inside HTML.

    `name` (letters, digits, dashes) goes before every id, so that several figures share a page;
    `title` and `description` are what a screen reader says. Nothing in it refers to anything
    outside, no size is fixed (the view box scales), the background is transparent.
    """
    text = _save(drawing, MARKERS, "svg", FILES["svg"]).decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"font: (\S+) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r"; font-family: [^;\"]*", "", text)
    for marker, variable in VARIABLES.items():
        text = text.replace(marker, variable)
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    label = (
        f' role="img" aria-labelledby="{name}-title {name}-description">\n'
        f'<title id="{name}-title">{escape(title)}</title>\n'
        f'<desc id="{name}-description">{escape(description)}</desc>'
    )
    return (head + label + rest).strip()
