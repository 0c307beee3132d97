"""Tables and text as a terminal shows them; plain, and as wide as they need, anywhere else."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Drawn
from rich.text import Text

UNBOUNDED = 1000
"""Columns where nobody looks: a pipe or a file is never wrapped."""


@dataclass(frozen=True)
class Table:
    """Rows under their heads. right: columns of numbers; marked: the row that stands out."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[int, ...] = ()
    marked: int | None = None


def shown(parts: Iterable[Table | str]) -> str:
    """Text and tables one below another, for standard output: in colour where it has any.

    Colours follow NO_COLOR, as rich reads it.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = UNBOUNDED
    with console.capture() as captured:
        for part in parts:
            if isinstance(part, Table):
                console.print(_drawn(part))  # ends with an empty line of its own
            else:
                console.print(f"{part}\n", soft_wrap=True)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def _drawn(table: Table) -> Drawn:
    drawn = Drawn(
        title=Text(table.title, "bold") if table.title else None,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        header_style="bold",
    )
    for place, head in enumerate(table.heads):
        right = place in table.right
        drawn.add_column(Text(head), justify="right" if right else "left", overflow="fold")
    for number, row in enumerate(table.rows):
        style = "bold" if number == table.marked else None
        drawn.add_row(*(Text(cell) for cell in row), style=style)
    return drawn
