"""`hornbook resume`: continue a run with the recipe it holds."""

import click

from hornbook.cli.arguments import overrides_argument, progress_of
from hornbook.runs.signals import StopSignal
from hornbook.stages.run import resume


@click.command(
    epilog="""\b
Examples:
  hornbook resume runs/demo
  hornbook resume runs/demo finetuning.steps=400
"""
)
@click.argument("directory", metavar="RUN", type=click.Path())
@overrides_argument
@click.pass_context
def command(context: click.Context, directory: str, overrides: tuple[str, ...]) -> None:
    """Continue RUN with the recipe it holds (and OVERRIDES, which it then holds too)."""
    with StopSignal() as stop:
        resume(directory, overrides, progress=progress_of(context), stop=stop)
