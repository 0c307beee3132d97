"""`hornbook clean`: empty a run's archive."""

import click

from hornbook.runs.archive import clean
from hornbook.stages.run import existing_run


@click.command(epilog="\b\nExample:\n  hornbook clean runs/demo\n")
@click.argument("directory", metavar="RUN", type=click.Path())
def command(directory: str) -> None:
    """Delete what changed recipes replaced in RUN; recipes changed back then run again."""
    click.echo(f"{directory}: {clean(existing_run(directory))}")
