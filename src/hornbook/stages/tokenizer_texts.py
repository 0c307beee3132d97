"""Text for the verbs of tokenizers: files, folders, libraries, or the corpus of a run."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from hornbook.corpus.documents import Documents, strings
from hornbook.corpus.read import open_documents, read_documents
from hornbook.errors import InputError
from hornbook.runs.directory import RunDirectory
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.tokenizers.held_out import Group, Labelled, Split, split_texts

UNKNOWN_LANGUAGE = "unknown"

SPLITS = {"train": False, "validation": True}
"""A corpus' splits, and whether they are held out."""


def split_of(
    paths: Iterable[str], training_bytes: int, *, progress: Progress, stop: StopSignal
) -> Split:
    """The training side and the held-out side of all paths; a run keeps its corpus' own.

    Raises InputError where a path cannot be read, or is a run without a corpus.
    """
    places = list(paths)
    for place in places:
        _corpus_of(place)  # what cannot be is said before anything is read
    with progress.task("reading", unit="bytes") as task:

        def watched() -> Iterator[Labelled]:
            for place in places:
                for one in _texts(place):
                    stop.check()
                    task.advance(len(one.text.encode("utf-8")))
                    yield one

        return split_texts(watched(), training_bytes)


def _texts(place: str) -> Iterator[Labelled]:
    corpus = _corpus_of(place)
    if corpus is None:
        yield from _labelled(read_documents(place), None)
        return
    for split, held_out in SPLITS.items():
        yield from _labelled(open_documents(corpus, split), held_out)


def _labelled(documents: Documents, held_out: bool | None) -> Iterator[Labelled]:
    for batch in documents:
        columns = (strings(batch, name) for name in ("source", "language", "text"))
        for source, language, text in zip(*columns, strict=True):
            known = "" if language == UNKNOWN_LANGUAGE else language
            yield Labelled(Group(source, known), text, held_out)


def _corpus_of(place: str) -> Path | None:
    """The corpus of a run; None where the path is no run."""
    run = RunDirectory(Path(place).expanduser())
    if not run.manifest_path.is_file():
        return None
    found = run.find("corpus")
    if found is None:
        raise InputError(
            f"{place} has not finished its corpus; continue it with 'hornbook resume'."
        )
    return found.directory
