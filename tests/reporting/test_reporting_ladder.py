"""A ladder's table and picture say what was climbed."""

from matplotlib.container import ErrorbarContainer

from hornbook.evaluation.baseline import ALL
from hornbook.evaluation.climbed import Climbed
from hornbook.reporting.ladder import ladder_figure, ladder_table
from hornbook.reporting.svg import PAPER

RUNGS = (
    Climbed("5-gram", True, 900, 1000, 2e10, 0.5, {"a": [1.5], "b": [2.5], ALL: [2.0]}),
    Climbed(
        "LSTM", False, 1200, 500, 5e12, 60.0,
        {"a": [1.0, 1.1, 1.2], "b": [2.0, 2.1, 2.2], ALL: [1.5, 1.6, 1.7]},
    ),
)  # fmt: skip


def test_the_table_has_a_row_a_rung_and_marks_the_best():
    table = ladder_table("corpus", RUNGS)
    assert table.heads[-3:] == ("a", "b", "bits per byte")
    assert table.rows[0] == (
        "5-gram",
        "900",
        "1,000",
        "0.02",
        "0.5",
        "1.500",
        "2.500",
        "2.000, exactly",
    )
    assert table.rows[1][-3:] == ("1.100", "2.100", "1.600 ± 0.248")
    assert table.marked == 1


def test_the_picture_has_every_seed_every_mean_and_the_interval():
    figure = ladder_figure({"one": RUNGS, "two": RUNGS})(PAPER)
    assert len(figure.axes) == 2
    axes = figure.axes[1]
    bars = [each for each in axes.containers if isinstance(each, ErrorbarContainer)]
    assert [round(float(bar[0].get_ydata()[0]), 6) for bar in bars] == [2.0, 1.6]
    low, high = bars[1][2][0].get_segments()[0][:, 1]
    assert round(high - low, 3) == 0.497
    assert [text.get_text() for text in axes.get_xticklabels()] == ["5-gram", "LSTM"]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed[0].get_ydata()[0] == 2.0
