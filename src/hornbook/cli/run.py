"""`hornbook run`: a recipe, from raw text to a model."""

import click

from hornbook.cli.arguments import overrides_argument, progress_of, stage_names
from hornbook.runs.signals import StopSignal
from hornbook.stages.run import run


@click.command(
    epilog="""\b
Examples:
  hornbook run demo
  hornbook run demo pretraining.learning_rate=1e-3 --directory runs/faster
  hornbook run demo 'corpus.sources=["~/notes", "~/books.jsonl.gz"]' --directory runs/notes
  hornbook run recipe.toml --until store
"""
)
@click.argument("recipe")
@overrides_argument
@click.option(
    "-d", "--directory", type=click.Path(), help="The run directory.  [default: runs/RECIPE]"
)
@click.option(
    "--until", type=click.Choice(stage_names()), metavar="STAGE", help="Stop after this stage."
)
@click.pass_context
def command(
    context: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    directory: str | None,
    until: str | None,
) -> None:
    """Run RECIPE (a preset's name or a TOML file), skipping every stage that is up to date.

    OVERRIDES such as pretraining.steps=500 change single keys. A run that was stopped or killed
    continues where it was. Press Ctrl-C once to save and stop.
    """
    with StopSignal() as stop:
        run(recipe, directory, overrides, until=until, progress=progress_of(context), stop=stop)
