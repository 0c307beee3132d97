"""`hornbook ngrams`: counted models of a run's text, order by order."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hornbook.cli.arguments import picture, progress_of
from hornbook.models.ngrams import NORMALISED
from hornbook.runs.signals import StopSignal
from hornbook.stages.run import existing_run

if TYPE_CHECKING:
    from hornbook.evaluation.orders import OrderScore

MOST = 12
PICTURE = "ngrams.png"


def _orders(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int, ...]:
    """ "1-4" or "1,2,5" as numbers; none where nothing is said."""
    orders: set[int] = set()
    for part in (text or "").split(",") if text else []:
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= first <= last <= MOST:
            raise click.BadParameter(f"'{text}': orders read 1-8 or 1,2,5, from 1 to {MOST}.")
        orders |= set(range(first, last + 1))
    return tuple(sorted(orders))


@click.command(
    epilog="""\b
Examples:
  hornbook ngrams runs/demo
  hornbook ngrams runs/demo --orders 1-10 --estimator katz --plot katz.svg
  hornbook ngrams runs/demo --orders 4 --estimator all
"""
)
@click.argument("directory", metavar="RUN", type=click.Path())
@click.option(
    "--orders", callback=_orders, metavar="1-8", help="Which n: 1-8, or 1,2,5.  [default: 1-8]"
)
@click.option(
    "--estimator",
    type=click.Choice([*NORMALISED, "all"]),
    help="How counts become probabilities; all compares them at one order, the baseline's unless "
    "--orders names it.  [default: the baseline's]",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False),
    callback=picture,
    help=f"The .png or .svg file to draw.  [default: {PICTURE} in RUN]",
)
@click.pass_context
def command(
    context: click.Context,
    directory: str,
    orders: tuple[int, ...],
    estimator: str | None,
    plot: str | None,
) -> None:
    """Count n-grams on RUN's training text; score them on held-out text and on what was counted.

    Bits per byte for every n. Too small an n is bad on both. With too large an n the counted text
    goes on getting better, while held-out text stops or gets worse: most clearly without
    Kneser-Ney, with --estimator katz or add_k. The rows are the pre-training's evaluation set.
    """
    from hornbook.reporting.orders import orders_figure, orders_table
    from hornbook.reporting.svg import write_picture
    from hornbook.reporting.terminal import shown
    from hornbook.stages.ngrams import ngrams_of_run

    run, compares = existing_run(directory), estimator == "all"
    if compares and (len(orders) > 1 or plot):
        raise click.UsageError(
            "--estimator all compares at one order, in a table; name one order, and no --plot."
        )
    estimators = NORMALISED if compares else (estimator,) if estimator else ()
    asked = orders if compares else orders or tuple(range(1, 9))
    scores: dict[str, OrderScore] = {}
    with StopSignal() as stop, progress_of(context).task("n-grams", unit="models") as task:
        for name, score in ngrams_of_run(run, stop, orders=asked, estimators=estimators):
            scores[name if compares else str(score.order)] = score
            task.advance()
    what = f"order {score.order}" if compares else name
    title = f"Bits per byte by n-grams of {run.path}, {what}"
    click.echo(shown([orders_table(title, scores, "estimator" if compares else "order")]))
    for note in dict.fromkeys(note for one in scores.values() for note in one.notes):
        click.echo(f"note: {note}")
    if not compares:
        drawn = Path(plot) if plot else run.path / PICTURE
        write_picture(drawn, orders_figure([*scores.values()]))
        click.echo(drawn)
