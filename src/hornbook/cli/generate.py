"""`hornbook generate`: continue a text."""

import sys

import click

import hornbook


@click.command(
    epilog="""\b
Examples:
  hornbook generate runs/demo "def read_file(path):"
  hornbook generate runs/demo --stage pretraining --temperature 0.8 --seed 7 "Return the "
  hornbook generate runs/demo --stage baseline "Return the "       by counted n-grams
  cat beginning.txt | hornbook generate runs/demo -
"""
)
@click.argument("path", metavar="RUN_OR_FOLDER", type=click.Path())
@click.argument("text")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How much to write, in tokens.",
)
@click.option("--temperature", default=0.8, show_default=True, help="0 always takes the likeliest.")
@click.option(
    "--top-k",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Keep the k likeliest tokens; 0 all.",
)
@click.option("--top-p", default=1.0, show_default=True, help="Keep the likeliest tokens up to p.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sampling.")
@click.option("--stage", help="The stage whose model to take.  [default: the last finished]")
@click.option("--device", default="cpu", show_default=True, help="Where the model runs.")
def command(
    path: str,
    text: str,
    max_tokens: int,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int,
    stage: str | None,
    device: str,
) -> None:
    """Continue TEXT ("-" reads it from stdin) with the model of RUN_OR_FOLDER."""
    model = hornbook.load(path, device=device, stage=stage)
    beginning = sys.stdin.read() if text == "-" else text
    pieces = model.stream(
        beginning,
        max_new_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
    )
    click.echo(beginning, nl=False)
    for piece in pieces:
        click.echo(piece, nl=False)
    click.echo()
