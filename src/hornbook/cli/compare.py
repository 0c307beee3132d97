"""`hornbook compare`: two runs side by side."""

import click

from hornbook.reporting.comparison import compare, write_comparison
from hornbook.stages.run import existing_run


@click.command(
    epilog="""\b
Examples:
  hornbook compare runs/demo runs/faster
  hornbook compare runs/demo runs/faster --html comparison.html
"""
)
@click.argument("left", metavar="RUN", type=click.Path())
@click.argument("right", metavar="RUN", type=click.Path())
@click.option("--html", type=click.Path(), help="Write a page with both runs' curves too.")
def command(left: str, right: str, html: str | None) -> None:
    """Show what two runs' recipes differ in, and their scores side by side."""
    runs = existing_run(left), existing_run(right)
    click.echo(compare(*runs).render())
    if html:
        click.echo(write_comparison(*runs, html))
