"""The picture has one cell a weight, at its place, as strong as the weight."""

from itertools import pairwise

import matplotlib.colors
import numpy as np
import pytest

from hornbook.errors import InputError
from hornbook.reporting.attention_map import attention_map
from hornbook.reporting.svg import PAPER, png, svg

SOURCE, TARGET = ["ab", " ", "c", "d"], ["d", "c", "ab"]


def weights(seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(4), 3)


def cells(figure):
    """(column, row) from the upper left -> (colour, opacity), from what is drawn."""
    (axes,) = figure.axes
    (squares,) = axes.collections
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    assert left < right, "sources run from left to right"
    assert bottom > top, "targets run downwards"
    found = {}
    for path, colour in zip(squares.get_paths(), squares.get_facecolors(), strict=True):
        low, high = path.vertices.min(0), path.vertices.max(0)
        assert (high - low).tolist() == [1, 1]
        found[tuple(low.astype(int).tolist())] = (tuple(colour[:3]), colour[3])
    return found


def test_every_weight_is_a_cell_at_its_place():
    drawn = cells(attention_map(weights(), SOURCE, TARGET)(PAPER))
    blue = matplotlib.colors.to_rgb(PAPER.line(0))
    expected = {
        (column, row): (blue, pytest.approx(weights()[row, column]))
        for row in range(3)
        for column in range(4)
    }
    assert drawn == expected


def test_labels_stand_at_their_cells_and_blanks_are_seen():
    (axes,) = attention_map(weights(), SOURCE, TARGET)(PAPER).axes
    across = {tick.get_position()[0]: tick.get_text() for tick in axes.get_xticklabels()}
    down = {tick.get_position()[1]: tick.get_text() for tick in axes.get_yticklabels()}
    assert across == {0.5: "ab", 1.5: "␣", 2.5: "c", 3.5: "d"}
    assert down == {0.5: "d", 1.5: "c", 2.5: "ab"}


def test_labels_do_not_overlap():
    """As drawn: sixty letters side by side, and words that stand upright."""
    for source in (list("abcdefghij" * 6), ["Hornbook", "reads", "words"] * 4):
        even = np.full((2, len(source)), 1 / len(source))
        figure = attention_map(even, source, ["x", "y"])(PAPER)
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
        assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))


def test_it_becomes_a_picture_and_a_part_of_a_page():
    drawing = attention_map(weights(), SOURCE, TARGET, "what was read")
    assert png(drawing).startswith(b"\x89PNG")
    page = svg(drawing, "map", "where it looks", "a row a letter")
    assert "fill: var(--series-1); fill-opacity:" in page
    assert "what was read" in page


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (weights().T, r"shape \[4, 3\] do not fit 3 target and 4 source labels"),
        (np.zeros((0, 4)), "do not fit"),
        (weights() * [[1], [1], [1.1]], "Row 2 of the weights holds no shares"),
        (weights() - [[0], [0.9], [0]], "Row 1 of the weights holds no shares"),
        (weights() * [[1], [np.nan], [1]], "Row 1 of the weights holds no shares"),
    ],
)
def test_weights_that_cannot_be_drawn_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        attention_map(given, SOURCE, TARGET)


def test_a_window_that_fades_is_drawn():
    """Local attention leaves weight out: rows that add up to less than 1."""
    assert cells(attention_map(weights() * 0.7, SOURCE, TARGET)(PAPER))
