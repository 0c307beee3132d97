"""`hornbook plan`: what a recipe will do and cost, before it does it."""

from pathlib import Path

import click

from hornbook.cli.arguments import overrides_argument
from hornbook.errors import RecipeError
from hornbook.runs.directory import RunDirectory
from hornbook.runs.execute import plan_stages
from hornbook.runs.progress import readable_seconds
from hornbook.stages import STAGES
from hornbook.stages.forecast import forecast
from hornbook.stages.run import default_directory, read_recipe, with_recorded_choices


@click.command(
    epilog="""\b
Examples:
  hornbook plan demo
  hornbook plan recipe.toml model.d_model=512 --directory runs/wide
"""
)
@click.argument("recipe")
@overrides_argument
@click.option(
    "-d", "--directory", type=click.Path(), help="The run directory.  [default: runs/RECIPE]"
)
def command(recipe: str, overrides: tuple[str, ...], directory: str | None) -> None:
    """Show what RECIPE with OVERRIDES would do: stages, parameters, memory, disk, time.

    Exits with 2 if it cannot fit on this machine.
    """
    checked = read_recipe(recipe, overrides)
    run = RunDirectory(Path(directory) if directory else default_directory(recipe))
    for planned in plan_stages(STAGES, with_recorded_choices(checked, run), run):
        click.echo(f"{planned.stage:12s}{planned.action:12s}{planned.why}")
    found = forecast(checked, run.path)
    click.echo(f"\n{'machine':12s}{found.why}")
    for part, count in found.parameters.items():
        click.echo(f"{'parameters: ' + part:32s}{count:16,d}")
    for part, size in found.memory.items():
        click.echo(f"{'memory: ' + part:32s}{size / 1e6:13,.1f} MB")
    click.echo(f"{'disk: checkpoints':32s}{found.disk_bytes / 1e6:13,.1f} MB")
    click.echo(f"{'training costs':32s}{found.flops_per_token / 1e6:13,.1f} MFLOP a token")
    click.echo(f"{'steps':32s}{checked['pretraining'].steps:16,d}")
    click.echo(f"{'tokens':32s}{found.tokens:16,d}")
    if found.faults:
        raise RecipeError("\n".join(found.faults))
    how = "measured on this machine" if found.seconds_measured else "reckoned, not measured"
    click.echo(f"{'pre-training takes':32s}{readable_seconds(found.seconds):>16s}  ({how})")
