"""`hornbook show`: a model family, part by part."""

import click

from hornbook.models.count import flops_per_token, parameters
from hornbook.models.families import family, spec_for
from hornbook.models.spec import expected_first_loss, spec_to_dict


@click.command(
    epilog="""\b
Examples:
  hornbook show gpt2
  hornbook show gpt2/124m
  hornbook show gpt2 n_layers=4 d_model=128 vocab_size=4096
"""
)
@click.argument("name", metavar="FAMILY[/SIZE]")
@click.argument("dimensions", nargs=-1, metavar="[DIMENSION=NUMBER]...")
def command(name: str, dimensions: tuple[str, ...]) -> None:
    """Show a family's spec, its parameters by part, its cost a token and its published sizes."""
    spec = spec_for(name, **dict(_dimension(text) for text in dimensions))
    module = family(spec.family)
    click.echo((module.__doc__ or "").strip() + "\n")
    click.echo(_tree(spec_to_dict(spec)))
    counts = parameters(spec)
    for part, count in counts.items():
        click.echo(f"{part:24s}{count:16,d}{count / counts['total']:8.1%}")
    flops = flops_per_token(spec, spec.max_length)
    click.echo(f"\ntraining costs {flops / 1e6:,.1f} MFLOP a token at length {spec.max_length}")
    click.echo(f"fresh weights lose {expected_first_loss(spec):.3f} nats a token\n")
    click.echo("published sizes")
    for size, published in module.SIZES.items():
        numbers = ", ".join(f"{key} {value}" for key, value in published.dimensions.items())
        click.echo(f"  {name.partition('/')[0]}/{size:8s}{published.parameters:16,d}  {numbers}")
    click.echo("\nhow it differs from its ancestor")
    for line in module.DIFFERENCES:
        click.echo(f"  {line}")


def _dimension(text: str) -> tuple[str, float]:
    key, equals, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        equals = ""
    if not equals:
        raise click.UsageError(f"'{text}': a dimension reads n_layers=4.")
    return key, int(number) if number.is_integer() else number


def _tree(part: dict[str, object], depth: int = 0) -> str:
    """Draw nested choices of parts as an indented list."""
    lines = []
    for key, value in part.items():
        if isinstance(value, dict):
            lines.append(f"{'  ' * depth}{key}: {value['part']}")
            lines.append(_tree(value, depth + 1))
        elif key != "part":
            lines.append(f"{'  ' * depth}{key} = {value}")
    return "\n".join(line for line in lines if line) + ("" if depth else "\n")
