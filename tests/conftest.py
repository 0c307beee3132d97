"""A small run on real text: the topics of Python's own documentation, and a model of toy size."""

import pydoc_data.topics
from pathlib import Path

import hypothesis
import pytest

# The same examples every time, so that a test fails only where the code changed; other ones are
# looked for with `pytest --hypothesis-profile=explore`.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.register_profile("explore", derandomize=False)
hypothesis.settings.load_profile("same")

SETTINGS = {
    "compute.device": "cpu",
    "compute.precision": "float32",
    "compute.threads": 1,
    "tokenizer.vocab_size": 512,
    "tokenizer.training_bytes": 200_000,
    "baseline.order": 3,
    "model.n_layers": 2,
    "model.d_model": 32,
    "model.n_heads": 2,
    "model.max_length": 64,
    "model.dropout": 0.1,
    "pretraining.steps": 8,
    "pretraining.batch_size": 4,
    "pretraining.sequence_length": 64,
    "pretraining.warmup_steps": 2,
    "pretraining.evaluation_rows": 4,
    "pretraining.evaluation_interval_steps": 4,
    "pretraining.sample_interval_steps": 0,
    "pretraining.checkpoint_interval_steps": 2,
    "finetuning.steps": 4,
    "finetuning.batch_size": 2,
    "finetuning.sequence_length": 64,
    "finetuning.warmup_steps": 1,
    "finetuning.held_out_questions": 3,
    "finetuning.answer_tokens": 8,
    "finetuning.evaluation_rows": 4,
}


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 300 kB of documentation, one file a topic."""
    folder = tmp_path_factory.mktemp("texts")
    for name, text in sorted(pydoc_data.topics.topics.items())[:40]:
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def settings(text_folder: Path) -> dict[str, object]:
    """Overrides of the demo's recipe that make it small, on the folder of text."""
    return {**SETTINGS, "corpus.sources": [str(text_folder)]}
