"""The tokens that a finished run has stored, and the tokenizer that made them."""

from pathlib import Path

from hornbook.errors import InputError
from hornbook.runs.directory import RunDirectory
from hornbook.store.reader import Store, open_store
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.tokenizer import Tokenizer


def finished(run: RunDirectory, *stages: str) -> dict[str, Path]:
    """Where stages lie, own or borrowed. Raises InputError where the run has not finished one."""
    found = {name: run.find(name) for name in stages}
    for name, stage in found.items():
        if stage is None:
            raise InputError(f"{run.path} has not finished its {name}; run it first.")
    return {name: stage.directory for name, stage in found.items() if stage is not None}


def stored_tokens(run: RunDirectory) -> tuple[Tokenizer, Store]:
    """Open both. Raises InputError where the run has not finished them."""
    places = finished(run, "tokenizer", "store")
    tokenizer = load_tokenizer(places["tokenizer"])
    return tokenizer, open_store(places["store"], tokenizer.fingerprint)
