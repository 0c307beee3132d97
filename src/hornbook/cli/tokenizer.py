"""`hornbook tokenizer`: train, use, look at and compare tokenizers."""

import json
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hornbook.cli.arguments import picture, progress_of
from hornbook.errors import InputError, TokenizerError
from hornbook.runs.signals import StopSignal
from hornbook.tokenizers import OPTIONS_OF, TOKENIZERS, load_tokenizer
from hornbook.tokenizers.kinds.patterns import PATTERNS
from hornbook.tokenizers.options import TokenizerOptions
from hornbook.tokenizers.special import SPECIAL_SETS

if TYPE_CHECKING:
    from hornbook.reporting.terminal import Table

COUNT = click.IntRange(min=1)
DEFAULTS = TokenizerOptions()
RECIPE_KEY = re.compile(rf"\btokenizer\.({'|'.join(TokenizerOptions.model_fields)})\b")
tokenizer_argument = click.argument("place", metavar="TOKENIZER", type=click.Path())
with_special_tokens = click.option(
    "--with-special-tokens",
    is_flag=True,
    help="Let names such as <|endoftext|> in the text become those tokens.",
)


@click.group()
def command() -> None:
    """Train tokenizers, use them, look into them, and compare them.

    TOKENIZER is a run, or a folder or file that holds one: tokenizer.json, vocab.json with
    merges.txt, and the other formats that docs/tokenizers.md lists.
    """


@command.command(
    epilog="""\b
Examples:
  hornbook tokenizer train byte-bpe ~/notes --vocab-size 8192 --output notes-8k
  hornbook tokenizer train byte-bpe runs/demo --vocab-size 1024 --pattern gpt2 --output small
  hornbook tokenizer train byte --output bytes
"""
)
@click.argument("kind", type=click.Choice([*TOKENIZERS]))
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path())
@click.option(
    "--vocab-size", type=COUNT, help="Ids in all; byte has one size.  [default: 4096]", metavar="N"
)
@click.option("--output", required=True, type=click.Path(), help="The new folder to write.")
@click.option(
    "--special-tokens",
    type=click.Choice([*SPECIAL_SETS]),
    default=DEFAULTS.special_tokens,
    show_default=True,
    help="Which special tokens are reserved.",
)
@click.option("--pattern", type=click.Choice([*PATTERNS]), help="How text is cut into words first.")
@click.option("--lowercase", is_flag=True, default=None, help="Drop case and accents.")
@click.option(
    "--normalization",
    type=click.Choice(["identity", "nfkc"]),
    help="How sentencepiece changes text first.",
)
@click.option(
    "--byte-fallback/--no-byte-fallback",
    default=None,
    help="Whether characters without a token become bytes.",
)
@click.option(
    "--training-bytes",
    type=COUNT,
    default=DEFAULTS.training_bytes,
    show_default=True,
    metavar="N",
    help="Learn from an even sample of at most so many bytes.",
)
@click.pass_context
def train(
    context: click.Context,
    /,
    kind: str,
    paths: tuple[str, ...],
    vocab_size: int | None,
    output: str,
    training_bytes: int,
    **options: Any,
) -> None:
    """Train a tokenizer of a KIND on files, folders or a run's corpus; write a folder.

    A tenth of the text is held out, by pieces: the same pieces that compare measures on. A run
    keeps its own validation split.
    """
    from hornbook.reporting.terminal import shown
    from hornbook.stages.compared_tokenizers import size_of_bytes
    from hornbook.stages.tokenizer_texts import split_of
    from hornbook.tokenizers.comparison import measure
    from hornbook.tokenizers.train import train_tokenizer

    chosen = _options_of(kind, options)
    if not paths and kind != "byte":
        raise click.UsageError("Name the text to learn from: files, folders, or a run.")
    if Path(output).exists():
        raise click.UsageError(f"{output} exists; name a new folder.")
    size = vocab_size or (size_of_bytes(options["special_tokens"]) if kind == "byte" else 4096)
    progress, started = progress_of(context), time.monotonic()
    with StopSignal() as stop:
        split = split_of(paths, training_bytes, progress=progress, stop=stop)
    progress.say(f"learning    {size:,} tokens from {len(split.training):,} pieces")
    try:
        tokenizer = train_tokenizer(kind, split.training, size, **chosen)
    except TokenizerError as error:
        raise TokenizerError(RECIPE_KEY.sub(_as_option, str(error))) from error
    tokenizer.save(output)
    seconds = time.monotonic() - started
    click.echo(f"{output}: {kind} of {tokenizer.vocab_size:,} ids, in {seconds:.1f} s")
    if split.held_out:
        click.echo(shown(_measured_rows(measure(output, tokenizer, split.held_out))))


def _as_option(key: re.Match[str]) -> str:
    """A recipe's key as this verb's option."""
    return f"--{key[1].replace('_', '-')}"


def _options_of(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """What the kind's training takes; UsageError for what it does not read."""
    said = {name: value for name, value in given.items() if value is not None}
    read = {"special_tokens", *OPTIONS_OF[kind]}
    for name in said:
        if name not in read:
            taken = ", ".join(f"--{other.replace('_', '-')}" for other in sorted(read))
            raise click.UsageError(
                f"A tokenizer of kind {kind} does not read --{name.replace('_', '-')}; leave it "
                f"out. It reads {taken}."
            )
    return said


def _measured_rows(measured: Any) -> list["Table | str"]:
    """The tables of one tokenizer, without that of the tokenizers."""
    from hornbook.reporting.tokenizers_compared import compared_tables

    return [*compared_tables([measured])][1:]


@command.command(
    epilog="""\b
Examples:
  hornbook tokenizer encode runs/demo "def read(self):"
  hornbook tokenizer encode runs/demo --file notes.txt --tokens
  echo "one line" | hornbook tokenizer encode runs/demo | hornbook tokenizer decode runs/demo
"""
)
@tokenizer_argument
@click.argument("text", required=False)
@click.option("--file", "path", type=click.Path(), help="Read this file instead of TEXT.")
@click.option("--tokens", is_flag=True, help="Show the tokens instead of their ids.")
@with_special_tokens
@click.pass_context
def encode(
    context: click.Context,
    place: str,
    text: str | None,
    path: str | None,
    tokens: bool,
    with_special_tokens: bool,
) -> None:
    """Print the ids of TEXT, of a file, or of standard input.

    --tokens shows the tokens on two backgrounds in turn, or with separators where there is no
    colour: blanks as ·, line ends as ⏎, bytes that form no character as <E4>. A line with the
    counts goes to standard error.
    """
    tokenizer = load_tokenizer(place)
    text = _text(text, path)
    if with_special_tokens:
        ids = tokenizer.encode_with_special_tokens(text).tolist()
    else:
        ids = tokenizer.encode(text).tolist()
    if tokens:
        from hornbook.reporting.tokens import shown_tokens

        coloured = context.color is not False and sys.stdout.isatty()
        click.echo(shown_tokens(tokenizer, ids, coloured), color=coloured)
    else:
        click.echo(" ".join(map(str, ids)))
    if not context.obj["quiet"]:
        size = len(text.encode("utf-8"))
        each = f", {size / len(ids):.2f} bytes/token" if ids else ""
        click.echo(f"{len(ids):,} tokens, {size:,} bytes{each}", err=True)


def _text(text: str | None, path: str | None) -> str:
    """The text that is asked for; exactly its bytes where it is read."""
    if text is not None and path:
        raise click.UsageError("Give TEXT or --file, not both.")
    if text is not None:
        return text
    try:
        data = Path(path).read_bytes() if path else sys.stdin.buffer.read()
    except OSError as error:
        raise InputError(
            f"{path or 'Standard input'} cannot be read ({error.strerror}); give --file a file of "
            "text."
        ) from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path or 'Standard input'} is not UTF-8 text ({error.reason} at byte {error.start}); "
            "convert it first."
        ) from None


@command.command(
    epilog="""\b
Examples:
  hornbook tokenizer decode runs/demo 322 1403 8
  hornbook tokenizer encode runs/demo --file notes.txt | hornbook tokenizer decode runs/demo
"""
)
@tokenizer_argument
@click.argument("ids", nargs=-1, metavar="[ID]...")
def decode(place: str, ids: tuple[str, ...]) -> None:
    """Print the text behind IDs, or behind those of standard input: exactly its bytes.

    Special tokens show as their names.
    """
    tokenizer = load_tokenizer(place)
    words = " ".join(ids) if ids else sys.stdin.read()
    numbers = words.replace(",", " ").split()
    wrong = next((word for word in numbers if not word.isdecimal() or len(word) > 18), None)
    if wrong is not None:
        raise InputError(f"{wrong!r} is no id; give whole numbers with blanks between.")
    sys.stdout.buffer.write(tokenizer.decode_bytes([int(number) for number in numbers]))
    sys.stdout.flush()


@command.command(
    epilog="""\b
Examples:
  hornbook tokenizer inspect runs/demo
  hornbook tokenizer inspect gpt2/vocab.json
"""
)
@tokenizer_argument
@click.option("-n", "count", type=COUNT, default=10, show_default=True, help="Tokens in each list.")
def inspect(place: str, count: int) -> None:
    """Show what a TOKENIZER is: its kind, special tokens and their parts, and its tokens."""
    from hornbook.reporting.terminal import shown
    from hornbook.reporting.tokenizer_inspected import inspected

    click.echo(shown(inspected(load_tokenizer(place), count)))


def _sizes(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    """ "512,1024" as numbers; none where nothing is said."""
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    wrong = next((word for word in words if not re.fullmatch(r"[0-9]{1,18}", word)), None)
    if wrong is not None:
        raise click.BadParameter(f"'{wrong}': sizes read 512,1024,2048.")
    return tuple(int(word) for word in words)


@command.command(
    epilog="""\b
Examples:
  hornbook tokenizer compare runs/demo gpt2/tokenizer.json --text ~/notes
  hornbook tokenizer compare byte byte-bpe --sizes 512,2048,8192 --text runs/demo --plot sizes.png
  hornbook tokenizer compare byte-bpe --sizes 512,2048,8192 --text runs/demo --loss --plot loss.png
"""
)
@click.argument("names", nargs=-1, required=True, metavar="TOKENIZER...")
@click.option(
    "--text", "paths", multiple=True, required=True, metavar="PATH", type=click.Path(),
    help="Text to measure on: a file, a folder, a run, python:docs; may be given again.",
)  # fmt: skip
@click.option("--sizes", callback=_sizes, metavar="512,1024", help="Vocabulary sizes of each.")
@click.option("--plot", type=click.Path(), callback=picture, help="The .png or .svg file to draw.")
@click.option("--loss", is_flag=True, help="Train a small model with each that is trained here.")
@click.option(
    "--tflop", type=float, default=2.0, show_default=True, metavar="NUMBER",
    help="With --loss: arithmetic of one training, in 10^12 operations.",
)  # fmt: skip
@click.option(
    "-d", "--directory", type=click.Path(), default="runs/vocabulary-sizes", show_default=True,
    help="With --loss: the folder of the trainings; one that was begun goes on.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def compare(
    context: click.Context,
    names: tuple[str, ...],
    paths: tuple[str, ...],
    sizes: tuple[int, ...],
    plot: str | None,
    loss: bool,
    tflop: float,
    directory: str,
    as_json: bool,
) -> None:
    """Measure tokenizers on the held-out tenth of a text, which none trained here has seen.

    TOKENIZER is a run, folder or file, or KIND:SIZE to train one on the other nine tenths; with
    --sizes, KIND alone. Larger vocabularies always make fewer tokens; --loss tells what a small
    model makes of them at equal arithmetic, in bits per byte.
    """
    from hornbook.reporting.svg import write_picture
    from hornbook.reporting.terminal import shown
    from hornbook.reporting.tokenizers_compared import (
        compared_figure,
        compared_tables,
        loss_table,
    )
    from hornbook.stages.compared_tokenizers import asked_for, tokenizers_for
    from hornbook.stages.tokenizer_texts import split_of
    from hornbook.tokenizers.comparison import measure

    asked, progress = asked_for(names, sizes), progress_of(context)
    with StopSignal() as stop:
        trainings: Iterable[Any] = ()
        if loss:
            from hornbook.stages.vocabulary_sizes import losses_of_sizes  # torch

            trainings = losses_of_sizes(
                asked, paths, directory, budget=tflop * 1e12, progress=progress, stop=stop
            )
        split = split_of(paths, DEFAULTS.training_bytes, progress=progress, stop=stop)
        measured = []
        for one, tokenizer in tokenizers_for(asked, split.training, progress):
            stop.check()
            progress.say(f"measuring   {one.name}")
            measured.append(measure(one.name, tokenizer, split.held_out))
        losses = list(trainings)
    if as_json:
        rows = {
            "tokenizers": [one.figures() for one in measured],
            "losses": [vars(one) for one in losses],
        }
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        click.echo(shown([*compared_tables(measured), *([loss_table(losses)] if losses else [])]))
    if plot:
        write_picture(plot, compared_figure(measured, losses))
