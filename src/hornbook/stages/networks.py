"""What the stages that train share: the spec, a writer of samples, the finished model's folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hornbook.errors import SpecError
from hornbook.handle.model import Model
from hornbook.models.spec import Spec
from hornbook.models.stacks import Network
from hornbook.runs.stage import StageContext
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.tokenizer import Tokenizer

CHECKPOINTS = "checkpoints"
HUGGING_FACE = "hf"
SAMPLE_TOKENS = 96
SAMPLE_TEMPERATURE = 0.7


def model_spec(recipe: Any, tokenizer: Tokenizer) -> Spec:
    """Return the spec of the recipe's model with this tokenizer's vocabulary."""
    spec: Spec = recipe["model"].spec(tokenizer.vocab_size)
    return spec


def model_tokenizer(context: StageContext) -> Tokenizer:
    """Open the run's tokenizer, and tell it where the store's documents are separated."""
    tokenizer = load_tokenizer(context.inputs["tokenizer"])
    tokenizer.separator = context.recipe["store"].separator
    return tokenizer


def context_length(recipe: Any) -> int:
    """Return the tokens of a row, which pre-training and its baseline share."""
    length: int = recipe["pretraining"].sequence_length
    return length


def writer(tokenizer: Tokenizer) -> Callable[[Network, str], str]:
    """Return a function that continues a prompt, the same way for the same weights."""

    def write(network: Network, prompt: str) -> str:
        text: str = Model(network, tokenizer).generate(
            prompt, SAMPLE_TOKENS, temperature=SAMPLE_TEMPERATURE, seed=0
        )
        return text

    return write


def earlier_checkpoints(context: StageContext) -> dict[str, Path]:
    """Return the checkpoints of the stage's other makings, by the short fingerprint of each."""
    found = context.run.makings(context.events.stage)
    return {
        fingerprint: path / CHECKPOINTS
        for fingerprint, path in sorted(found.items())
        if path != context.directory
    }


def write_model(context: StageContext, network: Network, tokenizer: Tokenizer) -> None:
    """Write the finished network as a Hugging Face folder, where there is a class like it."""
    try:
        Model(network, tokenizer).save(context.directory / HUGGING_FACE)
    except SpecError as error:
        context.events.write("decision", what="no Hugging Face folder", why=str(error))
