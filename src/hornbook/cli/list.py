"""`hornbook list`: what there is to name in a recipe."""

from pathlib import Path

import click

from hornbook.cli.tables import TABLES


@click.command(
    epilog="""\b
Examples:
  hornbook list
  hornbook list families
  hornbook list runs
"""
)
@click.argument("what", required=False, type=click.Choice([*TABLES, "runs"]))
def command(what: str | None) -> None:
    """List what a recipe can name: presets, families, filters and so on; and runs made here."""
    for name in [what] if what else [*TABLES, "runs"]:
        rows = list(_runs()) if name == "runs" else list(TABLES[name]())
        click.echo(f"{name:12s}{', '.join(rows) or '(none)'}")


def _runs() -> list[str]:
    return sorted(str(path.parent) for path in Path("runs").glob("*/manifest.json"))
