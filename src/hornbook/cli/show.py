"""`hornbook show`: a model family part by part, or several side by side."""

import click

from hornbook.reporting.families_compared import families_compared
from hornbook.reporting.family_page import family_page
from hornbook.reporting.terminal import shown


@click.command(
    epilog="""\b
Examples:
  hornbook show gpt2
  hornbook show gpt2/124m                   or: hornbook show gpt2 --size 124m
  hornbook show gpt2 n_layers=4 d_model=128 vocab_size=4096
  hornbook show --compare gpt2 llama/7b palm
  hornbook show my_package.my_family:FAMILY
"""
)
@click.argument("words", nargs=-1, required=True, metavar="FAMILY[/SIZE]... [DIMENSION=NUMBER]...")
@click.option("--size", metavar="SIZE", help="A published size, as FAMILY/SIZE names it too.")
@click.option("--compare", is_flag=True, help="Show the choices of several families side by side.")
def command(words: tuple[str, ...], size: str | None, compare: bool) -> None:
    """Show what a family is: a drawing, its spec, its numbers, and how it differs.

    Parameters by part, how fresh weights are drawn, arithmetic and memory a token, published sizes,
    and the fields in which it departs from its ancestor. Nothing is built.
    """
    names = [word for word in words if "=" not in word]
    dimensions = dict(_dimension(word) for word in words if "=" in word)
    if size is not None:
        names = [f"{name}/{size}" for name in names]
    if compare:
        click.echo(shown(families_compared(names, dimensions)))
    else:
        click.echo(shown(family_page(_only(names), dimensions)))


def _only(names: list[str]) -> str:
    if len(names) != 1 or names[0].count("/") > 1:
        raise click.UsageError(
            f"'{' '.join(names)}': name one family and at most one size of it; a dimension reads "
            "n_layers=4, and --compare takes several families."
        )
    return names[0]


def _dimension(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        raise click.UsageError(f"'{text}': a dimension reads n_layers=4.") from None
    return key, int(number) if number.is_integer() else number
