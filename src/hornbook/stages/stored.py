"""The tokens that a finished run has stored, and the tokenizer that made them."""

from hornbook.errors import InputError
from hornbook.runs.directory import RunDirectory
from hornbook.store.reader import Store, open_store
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.tokenizer import Tokenizer


def stored_tokens(run: RunDirectory) -> tuple[Tokenizer, Store]:
    """Open both, own or borrowed. Raises InputError where the run has not finished them."""
    found = {name: run.find(name) for name in ("tokenizer", "store")}
    for name, stage in found.items():
        if stage is None:
            raise InputError(f"{run.path} has not finished its {name}; run it first.")
    places = {name: stage.directory for name, stage in found.items() if stage is not None}
    tokenizer = load_tokenizer(places["tokenizer"])
    return tokenizer, open_store(places["store"], tokenizer.fingerprint)
