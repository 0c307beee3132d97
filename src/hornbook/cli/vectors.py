"""`hornbook vectors`: word vectors, learnt from a run's text."""

from pathlib import Path
from typing import Any

import click

from hornbook.cli.arguments import progress_of
from hornbook.models.vectors.spec import ARCHITECTURES
from hornbook.models.vectors.text_format import load_text, save_text
from hornbook.models.vectors.words import Near
from hornbook.stages.run import existing_run

COUNT = click.IntRange(min=1)
how_many = click.option(
    "-n", "count", type=COUNT, default=10, show_default=True, help="How many words to show."
)


@click.group()
def command() -> None:
    """Learn word vectors with word2vec, and look at what is near what."""


@command.command(
    epilog="""\b
Examples:
  hornbook vectors train runs/demo --output vectors.txt
  hornbook vectors train runs/demo --architecture cbow --epochs 10 --output vectors.txt
"""
)
@click.argument("directory", metavar="RUN", type=click.Path())
@click.option("--output", required=True, type=click.Path(dir_okay=False), help="The file to write.")
@click.option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    default="skip_gram",
    show_default=True,
    help="What predicts a word: each word near it, or their mean.",
)
@click.option("--epochs", type=COUNT, default=5, show_default=True, help="Times to read the text.")
@click.option("--d-model", type=COUNT, default=100, show_default=True, help="Numbers a vector.")
@click.option("--window", type=COUNT, default=5, show_default=True, help="Words on each side.")
@click.option(
    "--negatives", type=COUNT, default=5, show_default=True, help="Wrong words for each right one."
)
@click.option(
    "--threshold",
    type=click.FloatRange(min=0),
    default=1e-3,
    show_default=True,
    help="Thin out words of a larger share of the text; 0 keeps all.",
)
@click.option(
    "--minimum-count", type=COUNT, default=5, show_default=True, help="Leave out rarer words."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed.")
@click.pass_context
def train(context: click.Context, /, directory: str, output: str, **numbers: Any) -> None:
    """Learn a vector for each token of RUN's training text, and write word2vec's text format."""
    from hornbook.stages.vectors import vectors_of_run  # torch

    if not Path(output).absolute().parent.is_dir():
        raise click.UsageError(f"The folder of {output} does not exist; make it first.")
    found = vectors_of_run(existing_run(directory), progress_of(context), **numbers)
    save_text(found, output)
    click.echo(f"{output}: {len(found.words)} words of {found.d_model} numbers")


@command.command(
    epilog="""\b
Examples:
  hornbook vectors nearest vectors.txt " return"
  hornbook vectors nearest vectors.txt king -n 5
"""
)
@click.argument("path", metavar="FILE", type=click.Path())
@click.argument("word")
@how_many
def nearest(path: str, word: str, count: int) -> None:
    """Show the words whose vectors in FILE point most nearly where WORD's does.

    Byte-level tokens begin with the space before them: " return" and "return" are two words.
    """
    _print(load_text(path).nearest(word, count))


@command.command(
    epilog="""\b
Example:
  hornbook vectors analogy vectors.txt man king woman
"""
)
@click.argument("path", metavar="FILE", type=click.Path())
@click.argument("words", metavar="A B C", nargs=3)
@how_many
def analogy(path: str, words: tuple[str, str, str], count: int) -> None:
    """Show what is to C as B is to A, by the vectors in FILE."""
    _print(load_text(path).analogy(*words, count))


def _print(near: Near) -> None:
    for word, cosine in near:
        click.echo(f"{cosine:7.4f}  {word!r}")
