"""What a page is made of: sections that hold cards, figures, tables, samples, answers and code.

The template draws each by its `kind`; a block holds plain text (the template escapes it), except
the figure's `svg`, which `svg.svg` has made.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from markupsafe import Markup

from hornbook.reporting import svg
from hornbook.reporting.svg import Drawing


@dataclass(frozen=True)
class Card:
    """One headline figure with a word on what it is next to."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Cards:
    """A row of headline figures."""

    kind: ClassVar[str] = "cards"
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Picture:
    """An inline figure; `name` also names its PNG beside the page."""

    kind: ClassVar[str] = "figure"
    name: str
    title: str
    svg: Markup
    caption: str
    drawing: Drawing


@dataclass(frozen=True)
class Table:
    """Rows of text; the first cell of a row is its heading, `numeric` columns align right."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Samples:
    """Generated texts, each with its prompt and a label."""

    kind: ClassVar[str] = "samples"
    samples: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Answers:
    """Questions with the model's answers, the reference and a verdict."""

    kind: ClassVar[str] = "answers"
    answers: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Code:
    """Text in a fixed-width font, folded away unless `open`."""

    kind: ClassVar[str] = "code"
    caption: str
    text: str
    open: bool = False


Block = Cards | Picture | Table | Samples | Answers | Code


@dataclass(frozen=True)
class Section:
    """A heading with words and blocks under it; `id` is its anchor."""

    id: str
    heading: str
    text: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()


def picture(name: str, title: str, caption: str, drawing: Drawing) -> Picture:
    """Draw a figure for the page; a screen reader says `title` and `caption`."""
    return Picture(name, title, Markup(svg.svg(drawing, name, title, caption)), caption, drawing)


def table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], numeric: Sequence[int] = ()
) -> Table:
    """A table of any values, made text that a page can show."""
    text = tuple(tuple(visible(cell) for cell in row) for row in rows)
    return Table(caption, tuple(columns), text, frozenset(numeric))


def visible(value: Any) -> str:
    """A value as text in which nothing is hidden or unwritable.

    Control characters other than newline and tab are written out (NUL as \\x00); lone surrogates
    and characters that turn the direction of writing become U+FFFD.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "".join(_visible_character(character) for character in str(value))


def _visible_character(character: str) -> str:
    if character in "\n\t":
        return character
    category = unicodedata.category(character)
    if category == "Cc":
        return f"\\x{ord(character):02x}"
    if category == "Cs" or character in "\u202a\u202b\u202d\u202e":
        return "\ufffd"
    return character
