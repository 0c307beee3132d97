"""`hornbook export`: write a model where other engines open it."""

from pathlib import Path

import click

import hornbook

LAYOUTS = {"hf": "hf", "safetensors": "hornbook", "arpa": "arpa"}
"""What people ask for, and the layout that `Model.save` knows."""


@click.command(
    epilog="""\b
Examples:
  hornbook export runs/demo --to hf exported
  hornbook export runs/demo --stage pretraining --to safetensors weights
  hornbook export runs/demo --stage baseline --to arpa ngrams.arpa
"""
)
@click.argument("path", metavar="RUN_OR_FOLDER", type=click.Path())
@click.argument("folder", metavar="NEW_FOLDER_OR_FILE", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "layout",
    type=click.Choice(list(LAYOUTS)),
    default="hf",
    show_default=True,
    help="hf: a folder that transformers opens; safetensors: a folder of our own; arpa: a file "
    "for n-gram programs, of the stage baseline.",
)
@click.option("--stage", help="The stage whose model to take.  [default: the last finished]")
def command(path: str, folder: Path, layout: str, stage: str | None) -> None:
    """Write the model of RUN_OR_FOLDER, with its tokenizer, to NEW_FOLDER_OR_FILE."""
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise click.UsageError(f"{folder} is not empty; name a new folder or file.")
    model = hornbook.load(path, stage=stage)
    model.save(folder, layout=LAYOUTS[layout])
    files = sorted(file for file in (folder, *folder.rglob("*")) if file.is_file())
    for file in files:
        click.echo(f"{file.stat().st_size:14,d}  {file}")
