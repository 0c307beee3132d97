"""`hornbook chat`: talk with a model in the terminal."""

import sys
from collections.abc import Iterator

import click

import hornbook


@click.command(
    epilog="""\b
Examples:
  hornbook chat runs/demo
  hornbook chat runs/demo --message "What does `os.path.join` do?"
  echo "What does `json.loads` do?" | hornbook chat runs/demo
"""
)
@click.argument("path", metavar="RUN_OR_FOLDER", type=click.Path())
@click.option("-m", "--message", multiple=True, help="Ask this and leave; may be repeated.")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=120,
    show_default=True,
    help="Longest answer, in tokens.",
)
@click.option("--temperature", default=0.0, show_default=True, help="0 always takes the likeliest.")
@click.option("--top-p", default=1.0, show_default=True, help="Keep the likeliest tokens up to p.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sampling.")
@click.option("--device", default="cpu", show_default=True, help="Where the model runs.")
def command(
    path: str,
    message: tuple[str, ...],
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    device: str,
) -> None:
    """Talk with the model of RUN_OR_FOLDER; an empty line or Ctrl-D ends.

    Every question stands alone: a model of the demo's size has learned single questions.
    """
    from hornbook.training.memory import keep_memory  # torch

    keep_memory()
    model = hornbook.load(path, device=device)
    interactive = not message and sys.stdin.isatty()
    questions = message or _typed_questions(interactive)
    for question in questions:
        for piece in model.chat(
            [{"role": "user", "content": question}],
            max_new_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
        ):
            click.echo(piece, nl=False)
        click.echo()


def _typed_questions(interactive: bool) -> Iterator[str]:
    """Yield what is typed, or what comes through a pipe, line by line."""
    if interactive:
        click.echo("Ask one question a line; an empty line ends.", err=True)
    while True:
        if interactive:
            click.secho("you  ", fg="cyan", nl=False, err=True)
        line = sys.stdin.readline()
        if not line.strip():
            return
        if interactive:
            click.secho("model  ", fg="green", nl=False, err=True)
        yield line.strip()
