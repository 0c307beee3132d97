"""Word vectors of a finished run: from its token store and its tokenizer to named vectors."""

from typing import Any

from hornbook.handle.vectors import token_names
from hornbook.models.vectors import vector_spec_for
from hornbook.models.vectors.train import train_vectors
from hornbook.models.vectors.words import WordVectors
from hornbook.runs.directory import RunDirectory
from hornbook.runs.progress import Progress
from hornbook.stages.stored import stored_tokens


def vectors_of_run(
    run: RunDirectory, progress: Progress, *, seed: int = 0, **numbers: Any
) -> WordVectors:
    """Learn a vector for each token of a run's training text; `numbers` replace the family's.

    Raises InputError where the run has not finished its store, SpecError for impossible numbers.
    """
    tokenizer, store = stored_tokens(run)
    spec = vector_spec_for("word2vec", vocab_size=tokenizer.vocab_size, **numbers)
    sources = [*store.splits["train"].values()]
    # Where both stand, the one that ends is enough: windows do not cross it.
    begin, end = sources[0].begin_of_text, sources[0].end_of_text
    separator = end if end is not None else begin
    assert separator is not None
    trained = train_vectors(spec, sources, separator, seed=seed, progress=progress)
    return trained.word_vectors(token_names(tokenizer))
