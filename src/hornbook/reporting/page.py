"""A run's page: `report.html`, one file that needs nothing else, and its curves as PNG files."""

from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hornbook.reporting import curves, sections
from hornbook.reporting.blocks import Picture, Section, visible
from hornbook.reporting.facts import UNFINISHED, RunFacts, read_run
from hornbook.reporting.svg import png
from hornbook.runs.atomic import write_bytes, write_text
from hornbook.runs.directory import RunDirectory

SECTIONS: tuple[Callable[[RunFacts], Section], ...] = (
    sections.headline,
    curves.evaluation,
    curves.training,
    sections.samples,
    sections.tuning,
    sections.corpus,
    sections.tokenizer,
    sections.incidents,
    sections.recipe,
    sections.stages,
)
"""The page from top to bottom."""

FOOTER = (
    "Written by Hornbook from the run directory alone; this file needs no network and no script."
)


def write_report(run: RunDirectory) -> Path:
    """Write `report.html` and `figures/*.png` of a run, finished or not; returns the page's path.

    The same run directory gives the same bytes. Raises StorageError when the disk is full.
    """
    facts = read_run(run)
    built = [section(facts) for section in SECTIONS]
    folder = run.path / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for block in (block for section in built for block in section.blocks):
        if isinstance(block, Picture):
            write_bytes(folder / f"{block.name}.png", png(block.drawing))
    write_text(run.report_path, render(facts.name, lead(facts), built))
    return run.report_path


def lead(facts: RunFacts) -> str:
    """One sentence under the title: how far the run has come."""
    unfinished = [stage.name for stage in facts.stages if stage.state in UNFINISHED]
    if not facts.stages:
        return "A run that has not begun."
    if unfinished:
        return f"A run that is not finished; begun and not ended: {', '.join(unfinished)}."
    return f"A finished run of {len(facts.stages)} stages, from raw text to a language model."


def render(title: str, lead: str, built: Sequence[Section]) -> str:
    """The page as text; everything but the figures is escaped by the template."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.jinja").render(
        title=visible(title),
        lead=visible(lead),
        contents=[(section.id, section.heading) for section in built],
        sections=built,
        footer=FOOTER,
    )
