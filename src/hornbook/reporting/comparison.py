"""Two runs side by side: what their recipes differ in, what came of it, and both curves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from hornbook.reporting import curves, figures
from hornbook.reporting.blocks import Block, Section, picture, table, visible
from hornbook.reporting.facts import RunFacts, read_run
from hornbook.reporting.figures import Line
from hornbook.reporting.page import render
from hornbook.reporting.sections import duration, flat
from hornbook.runs.atomic import write_text
from hornbook.runs.directory import RunDirectory

Row = tuple[str, str, str]
"""What is compared, and its value in the first and in the second run."""

ABSENT = "-"


@dataclass(frozen=True)
class Comparison:
    """Names of both runs, the keys in which their recipes differ, and their final figures."""

    names: tuple[str, str]
    differences: tuple[Row, ...]
    results: tuple[Row, ...]

    def render(self) -> str:
        """Both tables as plain text for a terminal."""
        differences = (
            _text_table(("recipe", *self.names), self.differences)
            if self.differences
            else "The recipes are the same."
        )
        return f"{differences}\n\n{_text_table(('result', *self.names), self.results)}"


def compare(first: RunDirectory, second: RunDirectory) -> Comparison:
    """Compare two runs, finished or not; what a run does not have is shown as `-`."""
    return _compare(read_run(first), read_run(second), _names(first, second))


def _compare(first: RunFacts, second: RunFacts, names: tuple[str, str]) -> Comparison:
    recipes = _rows(flat(first.recipe), flat(second.recipe))
    return Comparison(
        names=names,
        differences=tuple(row for row in recipes if row[1] != row[2]),
        results=_rows(_results(first), _results(second)),
    )


def write_comparison(first: RunDirectory, second: RunDirectory, path: str | Path) -> Path:
    """Write the comparison as one self-contained page with both runs' curves; returns its path."""
    path = Path(path)
    names = _names(first, second)
    pair = {names[0]: read_run(first), names[1]: read_run(second)}
    facts = tuple(pair.values())
    compared = _compare(facts[0], facts[1], names)
    sections = (
        Section(
            "differences",
            "What the recipes differ in",
            () if compared.differences else ("Nothing: the recipes are the same.",),
            _table("Keys with different values", ("key", *names), compared.differences),
        ),
        Section(
            "results",
            "Results",
            (),
            (
                *_table("Final figures", ("figure", *names), compared.results),
                *_curve("evaluation", "bits per byte (lower is better)", _evaluations(pair)),
                *_curve("loss", "loss (nats a token)", _losses(pair)),
            ),
        ),
    )
    title = f"{names[0]} and {names[1]}"
    write_text(path, render(title, "Two runs side by side.", sections))
    return path


def _names(first: RunDirectory, second: RunDirectory) -> tuple[str, str]:
    """The folders' names, or their paths where the names are the same."""
    names = first.path.resolve().name, second.path.resolve().name
    if names[0] == names[1]:
        names = str(first.path), str(second.path)
    if names[0] == names[1]:
        names = f"{names[0]} (1)", f"{names[1]} (2)"
    return names


def _rows(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Row, ...]:
    """One row a key of either, in the order of the first, then what only the second has."""
    return tuple(
        (key, _shown(first.get(key)), _shown(second.get(key)))
        for key in dict.fromkeys([*first, *second])
    )


def _shown(value: Any) -> str:
    """A value as a recipe writes it: floats in full, an empty text visible as quotes."""
    if value is None:
        return ABSENT
    if value == "":
        return '""'
    return repr(value) if isinstance(value, float) else visible(value)


def _results(facts: RunFacts) -> dict[str, Any]:
    """The figures that two runs are compared by; absent ones are left out."""
    results: dict[str, Any] = {
        f"bits per byte, {source}": f"{value:.4f}"
        for source, value in facts.final_bits_per_byte().items()
    }
    for model, values in facts.compared_baselines().items():
        for source, value in values.items():
            results[f"{model}, {source}"] = f"{value:.4f}"
    tokens = facts.tokens_seen()
    if tokens is not None:
        results["tokens seen"] = int(tokens)
    if facts.tuning:
        for name, share in facts.tuning.shares.items():
            results[f"answers {name.replace('_', '-')}"] = f"{share.count} of {share.total}"
    for stage in facts.stages:
        if stage.seconds is not None:
            results[f"time of {stage.name}"] = duration(stage.seconds)
    return results


def _text_table(head: Row, rows: tuple[Row, ...]) -> str:
    widths = [max(cell_len(row[i]) for row in (head, *rows)) for i in range(3)]
    lines = [
        f"{key}{_pad(key, widths[0])}  {_pad(first, widths[1])}{first}"
        f"  {_pad(second, widths[2])}{second}"
        for key, first, second in (head, *rows)
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]])


def _pad(text: str, width: int) -> str:
    """Blanks that bring a text to its column's width on a terminal, where Han takes two cells."""
    return " " * (width - cell_len(text))


def _table(caption: str, columns: Row, rows: tuple[Row, ...]) -> tuple[Block, ...]:
    return (table(caption, columns, rows, (1, 2)),) if rows else ()


def _evaluations(pair: Mapping[str, RunFacts]) -> dict[str, list[Line]]:
    return {name: curves.evaluation_lines(facts)[0] for name, facts in pair.items()}


def _losses(pair: Mapping[str, RunFacts]) -> dict[str, list[Line]]:
    lines = {n: curves.metric_line(f, "pretraining", "loss", "") for n, f in pair.items()}
    return {
        name: [Line("", line.x, figures.smoothed(figures.finite(line)[1]).tolist())]
        for name, line in lines.items()
        if line.y
    }


def _curve(name: str, y_label: str, groups: Mapping[str, list[Line]]) -> tuple[Block, ...]:
    """Both runs' lines in one picture; nothing where neither has any."""
    if not any(groups.values()):
        return ()
    caption = f"{y_label} over tokens: {' and '.join(groups)}"
    drawing = figures.compared(groups, "tokens", y_label)
    return (picture(name, caption, caption, drawing),)
