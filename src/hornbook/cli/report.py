"""`hornbook report`: a run's page and curves."""

import click

from hornbook.reporting.page import write_report
from hornbook.stages.run import existing_run


@click.command(epilog="\b\nExample:\n  hornbook report runs/demo\n")
@click.argument("directory", metavar="RUN", type=click.Path())
def command(directory: str) -> None:
    """Write RUN/report.html (one self-contained page) and the curves in RUN/figures."""
    click.echo(write_report(existing_run(directory)))
