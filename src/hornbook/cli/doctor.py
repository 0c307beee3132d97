"""`hornbook doctor`: what this machine can do, and what Hornbook would choose on it."""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

import click

from hornbook import __version__
from hornbook.training.compute import resolve_compute
from hornbook.training.measure import matrix_product_rate, physical_memory
from hornbook.training.options import ComputeOptions

PACKAGES = ("torch", "numpy", "tokenizers", "tiktoken", "pyarrow", "pydantic", "matplotlib")


@click.command(epilog="\b\nExample:\n  hornbook doctor\n")
def command() -> None:
    """Show versions, cores, memory, disk, and the matrix-product rate in each precision."""
    click.echo(f"hornbook    {__version__}, Python {platform.python_version()}")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    click.echo(f"packages    {versions}")
    click.echo(f"machine     {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    free = shutil.disk_usage(Path.cwd()).free
    click.echo(f"memory      {physical_memory() / 1e9:.1f} GB; disk free here {free / 1e9:.1f} GB")
    choice = resolve_compute(ComputeOptions())
    click.echo(f"choice      {choice.why}")
    for precision in ("float32", "bfloat16"):
        rate = matrix_product_rate(choice.device, precision, choice.threads)
        click.echo(f"{precision:12s}{rate / 1e9:,.0f} GFLOP/s in matrix products")
