"""Stage `baseline`: what counting alone predicts, on the same tokens and the same targets."""

from typing import Any

from hornbook.evaluation.baseline import build_baseline
from hornbook.runs.stage import StageContext
from hornbook.store.reader import open_store
from hornbook.tokenizers import load_tokenizer


def build(context: StageContext) -> dict[str, Any]:
    """Count n-grams on the training split; score them on the pre-training's evaluation set."""
    tokenizer = load_tokenizer(context.inputs["tokenizer"])
    pretraining = context.recipe["pretraining"]
    return build_baseline(
        context.recipe["baseline"],
        open_store(context.inputs["store"], tokenizer.fingerprint).splits,
        context.directory,
        sequence_length=pretraining.sequence_length,
        rows=pretraining.evaluation_rows,
        byte_lengths=tokenizer.byte_lengths,
        events=context.events,
        progress=context.progress,
        stop=context.stop,
    )
