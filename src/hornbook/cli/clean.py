"""`hornbook clean`: empty a run's archive."""

import click

from hornbook.runs.directory import RunDirectory, lock
from hornbook.runs.execute import clean


@click.command(epilog="\b\nExample:\n  hornbook clean runs/demo\n")
@click.argument("directory", metavar="RUN", type=click.Path())
def command(directory: str) -> None:
    """Delete what changed recipes replaced in RUN, and unfinished work of recipes it left."""
    run = RunDirectory.open(directory)
    with lock(run):
        freed = clean(run)
    click.echo(f"{directory}: {freed / 1e6:.1f} MB freed.")
