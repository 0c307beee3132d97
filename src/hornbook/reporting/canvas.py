"""Boxes, lines and words on a grid of characters; lines that meet are joined."""

from itertools import pairwise

UP, RIGHT, DOWN, LEFT = 1, 2, 4, 8

JOINTS = " ╵╶└╷│┌├╴┘─┴┐┤┬┼"
"""The character of a cell, by the sum of the directions in which lines leave it."""


class Canvas:
    """A drawing; x grows to the right, y downwards, both may be negative."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, int], int] = {}
        self._words: dict[tuple[int, int], str] = {}

    def line(self, *points: tuple[int, int]) -> None:
        """Draw upright and level lines from point to point."""
        for (x, y), (to_x, to_y) in pairwise(points):
            for column in range(min(x, to_x), max(x, to_x)):
                self._leave(column, y, RIGHT)
                self._leave(column + 1, y, LEFT)
            for row in range(min(y, to_y), max(y, to_y)):
                self._leave(to_x, row, DOWN)
                self._leave(to_x, row + 1, UP)

    def box(self, x: int, y: int, width: int, height: int) -> None:
        """Draw a box whose upper left corner is (x, y)."""
        right, low = x + width - 1, y + height - 1
        self.line((x, y), (right, y), (right, low), (x, low), (x, y))

    def write(self, x: int, y: int, text: str) -> None:
        """Write over whatever is drawn there."""
        self._words |= {(x + place, y): letter for place, letter in enumerate(text)}

    def render(self) -> str:
        """The drawing as text, without blanks at the ends of lines."""
        cells = {**{cell: JOINTS[ways] for cell, ways in self._lines.items()}, **self._words}
        left, top = min(x for x, _ in cells), min(y for _, y in cells)
        right, low = max(x for x, _ in cells), max(y for _, y in cells)
        rows = (
            "".join(cells.get((x, y), " ") for x in range(left, right + 1))
            for y in range(top, low + 1)
        )
        return "\n".join(row.rstrip() for row in rows)

    def _leave(self, x: int, y: int, way: int) -> None:
        self._lines[x, y] = self._lines.get((x, y), 0) | way
