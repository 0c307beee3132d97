"""Stage `tokenizer`: learn how to cut this corpus's text into tokens."""

from collections.abc import Iterator
from typing import Any

from hornbook.corpus.read import open_documents
from hornbook.runs.stage import StageContext
from hornbook.tokenizers.build import build_tokenizer


def build(context: StageContext) -> dict[str, Any]:
    """Train on the training split; measure bytes per token on the validation split."""
    corpus = context.inputs["corpus"]

    def texts(split: str) -> Iterator[str]:
        for batch in open_documents(corpus, split):
            yield from map(str, batch.column("text").to_pylist())

    return build_tokenizer(
        context.recipe["tokenizer"],
        texts("train"),
        context.directory,
        events=context.events,
        progress=context.progress,
        stop=context.stop,
        measure_texts=texts("validation"),
    )
