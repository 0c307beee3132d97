"""`hornbook init`: a new recipe for one's own text and time."""

import re
from pathlib import Path

import click

from hornbook.cli.arguments import overrides_argument
from hornbook.errors import InputError
from hornbook.recipe.recipe import preset_names, to_toml
from hornbook.runs.atomic import write_text
from hornbook.stages.run import read_recipe

UNITS = {"s": 1, "min": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """Read "90s", "10min" or "2h"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h)", text.strip())
    if not match:
        raise click.BadParameter(f"'{text}' is no duration; write 90s, 10min or 2h.")
    return float(match[1]) * UNITS[match[2]]


@click.command(
    epilog="""\b
Examples:
  hornbook init recipe.toml
  hornbook init recipe.toml --source ~/notes --source ~/books.jsonl.gz --budget 10min
  hornbook init recipe.toml tokenizer.vocab_size=8192
"""
)
@click.argument("path", type=click.Path(dir_okay=False))
@overrides_argument
@click.option("--source", "sources", multiple=True, help="A file or folder to read; repeatable.")
@click.option("--budget", help="Measure this machine and fit size and steps: 90s, 10min, 2h.")
@click.option(
    "--preset",
    default="demo",
    show_default=True,
    type=click.Choice(preset_names()),
    help="What to begin from.",
)
@click.option("--force", is_flag=True, help="Replace PATH if it is there.")
def command(
    path: str,
    overrides: tuple[str, ...],
    sources: tuple[str, ...],
    budget: str | None,
    preset: str,
    force: bool,
) -> None:
    """Write a recipe to PATH with every key and its default, ready to be changed."""
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist; make it first, or name another file.")
    if Path(path).exists() and not force:
        raise InputError(f"{path} is there already; name another file, or replace it with --force.")
    seconds = seconds_of(budget) if budget else None
    recipe = read_recipe(preset, overrides)
    if sources:
        absolute = [str(Path(source).expanduser().absolute()) for source in sources]
        recipe = recipe.replace({"corpus.sources": absolute})
    if seconds is not None:
        from hornbook.stages.budget import fit  # torch: only where the machine is measured

        recipe, rungs = fit(recipe, seconds)
        for rung in rungs:
            click.echo(
                f"{rung.n_layers} layers of {rung.d_model:4d}: {rung.update_seconds:8.3f} s a "
                f"step, {rung.steps:6d} steps, {rung.tokens_a_parameter:8.1f} tokens a parameter",
                err=True,
            )
    write_text(Path(path), to_toml(recipe))
    click.echo(f"{path} written; look it over, then: hornbook run {path}")
