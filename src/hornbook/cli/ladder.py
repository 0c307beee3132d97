"""`hornbook ladder`: every kind of language model on one corpus, at one price."""

from pathlib import Path

import click

from hornbook.cli.arguments import overrides_argument, picture, progress_of
from hornbook.runs.signals import StopSignal


@click.command(
    epilog="""\b
Examples:
  hornbook ladder                            this Python's own library, in less than half an hour
  hornbook ladder 'corpus.sources=["~/notes"]' --directory runs/notes-ladder
  hornbook ladder --tflop 1 --seeds 2        a quick look
  hornbook ladder --beside runs/notes-ladder --plot both.png
"""
)
@overrides_argument
@click.option("--recipe", default="ladder", show_default=True, help="A preset's name or a file.")
@click.option(
    "-d", "--directory", type=click.Path(), default="runs/ladder", show_default=True,
    help="The ladder's folder; one that was begun goes on.",
)  # fmt: skip
@click.option(
    "--tflop", type=float, default=6.0, show_default=True, metavar="NUMBER",
    help="Training arithmetic of one rung and seed, in 10^12 operations.",
)  # fmt: skip
@click.option("--seeds", default=3, show_default=True, help="Trainings of each learnt rung.")
@click.option(
    "--beside", multiple=True, type=click.Path(), metavar="LADDER",
    help="Show and draw this finished ladder too; may be given again.",
)  # fmt: skip
@click.option(
    "--plot", type=click.Path(), callback=picture, help="Draw into this .png or .svg file as well."
)
@click.pass_context
def command(
    context: click.Context,
    overrides: tuple[str, ...],
    recipe: str,
    directory: str,
    tflop: float,
    seeds: int,
    beside: tuple[str, ...],
    plot: str | None,
) -> None:
    """Climb from n-grams to LLaMA on one corpus, tokenizer and order, at equal training cost.

    n-grams of order 1 to 5, feed-forward, RNN, LSTM, GRU, GPT-2 and LLaMA: bits per byte on
    held-out text, with the interval over seeds. The recipe names the text, OVERRIDES change single
    keys. Stopped or killed, the same command goes on; climbed, it prints what is known.
    """
    from hornbook.reporting.ladder import ladder_figure, ladder_table
    from hornbook.reporting.svg import write_picture
    from hornbook.reporting.terminal import shown
    from hornbook.stages.ladder import climb, read_ladder

    names = [directory, *beside]
    short = {name: Path(name).resolve().name for name in names}
    shown_as = short if len(set(short.values())) == len(names) else {name: name for name in names}
    others = {shown_as[name]: read_ladder(name) for name in beside}
    with StopSignal() as stop:
        rungs = climb(
            recipe, directory, overrides, budget=tflop * 1e12, seeds=seeds,
            progress=progress_of(context), stop=stop,
        )  # fmt: skip
    ladders = {shown_as[directory]: rungs, **others}
    click.echo(shown(ladder_table(name, own) for name, own in ladders.items()))
    if plot:
        write_picture(plot, ladder_figure(ladders))
