"""Stage `store`: the corpus as tokens on disk."""

from typing import Any

from hornbook.corpus.read import open_documents, sources_of
from hornbook.runs.stage import StageContext
from hornbook.store.build import build_store
from hornbook.tokenizers import load_tokenizer


def build(context: StageContext) -> dict[str, Any]:
    """Encode every source of both splits; the summary has the tokens of each split."""
    corpus = context.inputs["corpus"]
    counts = build_store(
        context.recipe["store"],
        lambda split, source: open_documents(corpus, split, source),
        sources_of(corpus),
        load_tokenizer(context.inputs["tokenizer"]),
        context.directory,
        events=context.events,
        progress=context.progress,
        stop=context.stop,
    )
    tokens = {
        f"{split}_tokens": sum(source["tokens"] for source in sources.values())
        for split, sources in counts.items()
    }
    return counts | tokens
