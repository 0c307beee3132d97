"""A model drawn in boxes and lines, made from its spec: read it from the bottom up."""

from collections.abc import Sequence
from itertools import pairwise

from hornbook.models import choices
from hornbook.models.recurrences import RecurrentSourceReading, TwoWayReading
from hornbook.models.spec import Spec
from hornbook.reporting.canvas import Canvas
from hornbook.reporting.columns import Box, Column, Frame, Mark, columns_of

GAP = 4


def draw(spec: Spec) -> str:
    """The drawing of a model; an encoder stands at the left of its decoder."""
    canvas, pens, left = Canvas(), [], 0
    for column in columns_of(spec):
        pen = _Pen(canvas, column, left)
        left = pen.right + GAP
        pens.append(pen)
    for giver, reader in pairwise(pens):
        _connect(canvas, giver.gives, reader.reads, giver.right + GAP // 2)
    return canvas.render()


def legend(spec: Spec) -> tuple[str, ...]:
    """What the drawing does not say by itself."""
    blocks = [*spec.stack.blocks, *(spec.encoder.blocks if spec.encoder else ())]
    kinds = dict.fromkeys(type(block) for block in blocks)
    said = [f"{kind.__name__}: {(kind.__doc__ or '').splitlines()[0]}" for kind in kinds]
    if 1 < len(spec.stack.blocks) < spec.n_layers:
        said.append("The kinds of layers take turns, by their numbers.")
    if isinstance(spec.reading, choices.TwoStreamReading):
        said.append("Both streams go through the same layers, with one set of weights.")
    if isinstance(spec.reading, RecurrentSourceReading):
        said.append("The decoder's layers begin with the states that the encoder's ended with.")
    if isinstance(spec.reading, TwoWayReading):
        said.append("Both directions share the token table and the output layer, and nothing else.")
    rate = max(spec.embedding.dropout, *(getattr(block, "dropout", 0.0) for block in blocks))
    said.append(f"Dropout ({rate:g} in training) is not drawn." if rate else "There is no dropout.")
    return tuple(said)


def _connect(
    canvas: Canvas,
    gives: Sequence[tuple[int, int]],
    reads: Sequence[tuple[int, int]],
    between: int,
) -> None:
    """Lines from what one column gives to the boxes of the next that read it."""
    givers = list(gives) * len(reads) if len(gives) == 1 else gives
    for (x, y), (to_x, to_y) in zip(givers, reads, strict=False):
        canvas.line((x, y), (between, y), (between, to_y), (to_x, to_y))
        canvas.write(to_x, to_y, "▶")


class _Pen:
    """Draws one column upwards from row 0.

    right: the first x beyond it. gives, reads: where lines from and to other columns end.
    """

    def __init__(self, canvas: Canvas, column: Column, left: int) -> None:
        self.canvas, self.left = canvas, left
        self.inner = max(_width(element) for element in column)
        self.center = self.x = left + 2 + self.inner // 2
        self.right = left + self.inner + 6
        self.row = self.end = self.branch = 0
        self.gives: list[tuple[int, int]] = []
        self.reads: list[tuple[int, int]] = []
        for element in column:
            self._draw(element)

    def _draw(self, element: Box | Mark | Frame) -> None:
        if isinstance(element, Frame):
            self._frame(element)
        elif isinstance(element, Box):
            self._box(element)
        else:
            self._mark(element)

    def _stream(self, end: int) -> None:
        """Lead the stream up to this row; it goes on from there."""
        self.canvas.line((self.x, self.end), (self.x, end))
        self.end = end

    def _frame(self, frame: Frame) -> None:
        bottom = self.row
        self.row -= 1
        for step in frame.steps:
            self._draw(step)
        self.canvas.box(self.left, self.row, self.right - self.left, bottom - self.row + 1)
        self.canvas.write(self.left + 2, self.row, f" {frame.title} ")
        self.row -= 1

    def _box(self, box: Box) -> None:
        if box.beside:
            self._pair(box)
            return
        self._stream(self.row)
        top = self._words(self.center - self.inner // 2, self.inner, self.row, box.words)
        if box.reads:
            self.reads.append((self.center - self.inner // 2 - 1, (self.row + top) // 2))
        self.end, self.row = top, top - 1

    def _pair(self, box: Box) -> None:
        """Two boxes on one stream; it goes on from both, or from the left one alone."""
        left = self.center - self.inner // 2
        half = _box_width(box.words) + (self.inner - _width(box)) // 2
        spans = [(left, half), (left + half + 1, self.inner - half - 1)]
        centers = [x + width // 2 for x, width in spans]
        self._stream(self.row)
        fork = self.row
        bottom, height = fork - 1, max(len(box.words), len(box.beside))
        top = bottom - height - 1
        for (x, width), middle, words in zip(spans, centers, (box.words, box.beside), strict=True):
            self.canvas.line((self.x, fork), (middle, fork), (middle, bottom))
            self._words(x, width, bottom, words, height)
            if box.joined:
                self.canvas.line((middle, top), (middle, top - 1), (self.x, top - 1))
        if box.joined:
            self.end, self.row = top - 1, top - 2
        else:
            self.x, self.end, self.row = centers[0], top, top - 1

    def _words(self, x: int, width: int, bottom: int, words: Sequence[str], height: int = 0) -> int:
        """A box with words; its top row."""
        top = bottom - (height or len(words)) - 1
        self.canvas.box(x, top, width, bottom - top + 1)
        for line, text in enumerate(words, top + 1):
            self.canvas.write(x + 2, line, text)
        return top

    def _mark(self, mark: Mark) -> None:
        row, side = self.row, self.right - 3
        if mark.kind == "branch":
            self.branch = row
        elif mark.kind == "sum":
            self.canvas.line((self.x, self.branch), (side, self.branch), (side, row), (self.x, row))
            self.canvas.write(self.x, row, "⊕◀")
            if mark.word:
                self.canvas.write(side - len(mark.word) - 2, row, f" {mark.word} ")
        elif mark.kind == "note":
            self.canvas.write(self.x + 2, row, mark.word)
        else:
            self._stream(row)
            self.canvas.write(self.x - len(mark.word) // 2, row, mark.word)
        if mark.gives:
            self.gives.append((side if mark.kind == "branch" else self.x, row))
        self.row -= 1


def _box_width(words: Sequence[str]) -> int:
    return max(len(line) for line in words) + 4


def _width(element: Box | Mark | Frame) -> int:
    """Columns that an element needs between the edges of its frame and the residual lines."""
    if isinstance(element, Frame):
        # The title ends at the left of the stream, which is in the middle.
        return max(2 * len(element.title) + 4, *(_width(step) for step in element.steps))
    if isinstance(element, Mark):
        return len(element.word)
    beside = 1 + _box_width(element.beside) if element.beside else 0
    return _box_width(element.words) + beside
