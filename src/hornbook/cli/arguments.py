"""What several verbs take: overrides, the run directory, and how much to show."""

import click

from hornbook.runs.progress import Progress
from hornbook.stages import STAGES

overrides_argument = click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")


def stage_names() -> list[str]:
    """Name the stages in their order."""
    return [stage.name for stage in STAGES]


def progress_of(context: click.Context) -> Progress:
    """Make the progress display that the global options ask for."""
    return Progress(quiet=bool(context.obj and context.obj["quiet"]))
