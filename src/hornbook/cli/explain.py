"""`hornbook explain`: an idea of the field, its equation, its code and its source."""

import click

from hornbook.reporting.topics import explain, topic_names


@click.command(
    epilog="""\b
Examples:
  hornbook explain                 all topics
  hornbook explain attention
  hornbook explain RMSNorm         a part, as a spec names it
  hornbook explain adamw --language zh
"""
)
@click.argument("topic", required=False)
@click.option(
    "--language",
    type=click.Choice(["en", "zh"]),
    default="en",
    show_default=True,
    help="Language of the explanation.",
)
def command(topic: str | None, language: str) -> None:
    """Explain TOPIC: what it is, its equation, where its code is, and its source.

    TOPIC is an idea, a family of models, or the name of a part as 'hornbook show' prints it.
    """
    if topic is None:
        for name in topic_names():
            click.echo(f"{name:24s}{explain(name, language).title}")
        return
    click.echo(explain(topic, language).render())
