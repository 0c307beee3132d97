"""Stage `corpus`: documents in, documents out."""

from typing import Any

from hornbook.corpus import build as corpus
from hornbook.recipe.recipe import Recipe
from hornbook.runs.stage import StageContext


def outside(recipe: Recipe) -> dict[str, str]:
    """Digest the text that the corpus is read from."""
    return corpus.outside(recipe["corpus"])


def build(context: StageContext) -> dict[str, Any]:
    """Read, filter, deduplicate and split the sources."""
    return corpus.build_corpus(
        context.recipe["corpus"],
        context.recipe["run"].seed,
        context.directory,
        events=context.events,
        progress=context.progress,
        stop=context.stop,
    )
