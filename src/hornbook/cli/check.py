"""`hornbook check`: every fault of a recipe at once, without running anything."""

import click

from hornbook.cli.arguments import overrides_argument
from hornbook.recipe.recipe import to_toml
from hornbook.stages.run import read_recipe


@click.command(
    epilog="""\b
Examples:
  hornbook check recipe.toml
  hornbook check demo pretraining.steps=100 --show
"""
)
@click.argument("recipe")
@overrides_argument
@click.option("--show", is_flag=True, help="Print the recipe with every default written out.")
def command(recipe: str, overrides: tuple[str, ...], show: bool) -> None:
    """Read RECIPE with OVERRIDES and report every fault; exit with 2 if there is one."""
    checked = read_recipe(recipe, overrides)
    if show:
        click.echo(to_toml(checked), nl=False)
    else:
        click.echo(f"{recipe}: sound, {len(checked.sections)} sections.")
