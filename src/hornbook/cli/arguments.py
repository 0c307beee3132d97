"""What several verbs take: overrides, the run directory, and how much to show."""

from pathlib import Path

import click

from hornbook.runs.progress import Progress
from hornbook.stages import STAGES

PICTURES = (".png", ".svg")

overrides_argument = click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")


def stage_names() -> list[str]:
    """Name the stages in their order."""
    return [stage.name for stage in STAGES]


def progress_of(context: click.Context) -> Progress:
    """Make the progress display that the global options ask for."""
    return Progress(quiet=bool(context.obj and context.obj["quiet"]))


def picture(context: click.Context, parameter: click.Parameter, path: str | None) -> str | None:
    """Check a picture's name before the work that it is to show."""
    if path and Path(path).suffix not in PICTURES:
        raise click.UsageError(f"{path} is no picture's name; let it end in .png or .svg.")
    if path and not Path(path).absolute().parent.is_dir():
        raise click.UsageError(f"The folder of {path} does not exist; make it first.")
    return path
