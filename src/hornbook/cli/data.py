"""`hornbook data`: what a model is trained on."""

import sys

import click

from hornbook.cli.arguments import progress_of
from hornbook.errors import StorageError
from hornbook.stages.run import existing_run

COUNT, NUMBER = click.IntRange(min=1), click.IntRange(min=0)


@click.group()
def command() -> None:
    """Look at the data a model is trained on."""


@command.command(
    epilog="""\b
Examples:
  hornbook data show runs/demo
  hornbook data show runs/demo --stage finetuning --rows 3
  hornbook data show runs/demo --sample 1600
"""
)
@click.argument("directory", metavar="RUN", type=click.Path())
@click.option(
    "--stage",
    type=click.Choice(["pretraining", "finetuning"]),
    default="pretraining",
    show_default=True,
    help="Whose batches.",
)
@click.option("--rows", type=COUNT, default=2, show_default=True, help="How many rows to show.")
@click.option("--sample", type=NUMBER, default=0, show_default=True, help="The first sample.")
def show(directory: str, stage: str, rows: int, sample: int) -> None:
    """Decode rows of a batch: what carries loss in green, what is only read in grey.

    Without colour, what carries loss stands between ⟦ and ⟧.
    """
    from hornbook.stages.inspect import decoded_rows  # torch

    for number, row in enumerate(decoded_rows(existing_run(directory), stage, sample, rows)):
        click.secho(f"── sample {sample + number}, {row.source}, {row.targets} targets", bold=True)
        for piece in row.pieces:
            _print_piece(piece.text, learnt=piece.learnt)
        click.echo()


@command.command(
    epilog="""\b
Example:
  hornbook data packing runs/demo
"""
)
@click.argument("directory", metavar="RUN", type=click.Path())
def packing(directory: str) -> None:
    """Compare what each pretraining.packing does to documents.

    For every policy and source of the training text: rows, the share of documents cut, how many of
    those would have fitted a row, the share of padding, and tokens that no row holds. Sources
    without a row are named below.
    """
    from hornbook.reporting.terminal import Table, shown
    from hornbook.stages.packing import packing_of_run

    heads = ("packing", "source", "rows", "documents", "cut", "of those needlessly", "padding")
    run = existing_run(directory)
    every = [*packing_of_run(run)]
    rows = [
        (
            policy,
            source,
            f"{found.rows:,}",
            f"{found.documents:,}",
            f"{found.cut_share:.1%}",
            f"{found.needless_share:.1%}",
            f"{found.padding_share:.1%}",
            f"{found.dropped:,}",
        )
        for policy, source, found in every
        if not isinstance(found, str)
    ]
    without = [
        f"{policy} reads nothing of {source}: {found}."
        for policy, source, found in every
        if isinstance(found, str)
    ]
    title = f"Packing of the training text of {run.path}"
    table = Table(title, (*heads, "tokens dropped"), tuple(rows), tuple(range(2, 8)))
    click.echo(shown([table, *without]))


@command.command(
    epilog="""\b
Examples:
  hornbook data check runs/demo
  hornbook data check runs/demo --stage store
  hornbook data check runs/demo --stage pretraining --epochs 3
"""
)
@click.argument("directory", metavar="RUN", type=click.Path())
@click.option(
    "--stage",
    type=click.Choice(["store", "pretraining"]),
    help="What to check.  [default: both]",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Epochs of each source to go through.",
)
@click.pass_context
def check(context: click.Context, directory: str, stage: str | None, epochs: int) -> None:
    """Prove from the bytes on disk that RUN reads every document once an epoch.

    store: sizes and checksums of every file, every id and separator, and that the ids are the
    corpus's documents, all of them, in order. pretraining: that each of the first N epochs of every
    training source reads each row once, and so each token that is to be a target; a source that no
    sample reads is said to be "not read", and why. Exits with 1 if a fault is found, and names it.
    """
    from hornbook.reporting.terminal import Table, shown
    from hornbook.stages.check_data import check_data  # torch

    stages = (stage,) if stage else ("store", "pretraining")
    run = existing_run(directory)
    found = [*check_data(run, stages, progress_of(context), epochs)]
    rows = tuple(
        (one.subject, one.state, "named below" if one.fault else one.what) for one in found
    )
    click.echo(shown([Table(f"Data of {run.path}", ("of", "", "checked"), rows)]))
    faults = [one.fault for one in found if one.fault]
    if faults:
        raise StorageError("\n".join(faults))


def _print_piece(text: str, *, learnt: bool) -> None:
    context = click.get_current_context()
    if context.color is False or not sys.stdout.isatty():
        click.echo(f"⟦{text}⟧" if learnt else text, nl=False)
    else:
        click.secho(text, fg="green" if learnt else "bright_black", nl=False)
