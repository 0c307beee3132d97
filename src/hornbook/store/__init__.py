"""The token store: a corpus as numbers on disk, ready to be read at any place in no time.

In: batches of documents by split and source, and a tokenizer. Out, for each source, a flat file of
token ids, with a special token at every document's end, start or both; the places where documents
start; and a manifest with counts, the tokenizer's fingerprint and checksums:

    DIRECTORY/{train,validation}/SOURCE/{tokens-00000.bin, documents-00000.bin, manifest.json}

`encoding.py` makes ids of text, in threads; `writer.py` stores them and continues after a kill;
`reader.py` maps them into memory and reads rows from them; `check.py` notices what is torn,
altered, or made for another tokenizer; `audit.py` reads all of it and holds it against the corpus.
The format takes its flat ids from nanoGPT's `.bin` and its document index from Megatron-LM's
`.idx`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hornbook.store.build import build_store
    from hornbook.store.reader import open_store

__all__ = ["build_store", "open_store"]

_DOORS = {
    "build_store": "hornbook.store.build",
    "open_store": "hornbook.store.reader",
}


def __getattr__(name: str) -> Any:
    """Import a door when it is first asked for."""
    if name not in _DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_DOORS[name]), name)
