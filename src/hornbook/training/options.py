"""Options of the recipe's sections that train: [compute], [pretraining], and what tuning shares."""

from typing import Annotated, Literal

from pydantic import Field

from hornbook.objectives import STREAMED
from hornbook.optimizers import OPTIMIZERS
from hornbook.optimizers.schedules import SCHEDULES
from hornbook.recipe.options import Options, one_of, unhashed

Threads = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0)]


class ComputeOptions(Options):
    """Where and how precisely numbers are computed; "auto" is resolved once and kept by the run."""

    device: str = unhashed("auto", description='"auto", "cpu", "cuda" or "cuda:1".')
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Type of matrix products; masters, norms, loss and optimiser stay fp32.",
    )
    threads: Threads | Literal["auto"] = unhashed(
        "auto", description='CPU threads; "auto" is one a physical core.'
    )


class TrainingOptions(Options):
    """What every stage that trains may set."""

    steps: int = Field(default=1000, ge=1, description="Updates of the weights.")
    batch_size: int = Field(default=16, ge=1, description="Rows an update, over all micro-batches.")
    micro_batch_size: int = Field(
        default=0,
        ge=0,
        description="Rows computed at once; 0 is all. Smaller saves memory and changes rounding.",
    )
    sequence_length: int = Field(default=256, ge=2, description="Tokens a row.")
    optimizer: Annotated[str, one_of(OPTIMIZERS)] = Field(
        default="adamw", description="Optimiser, one of the table."
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="Peak rate.")
    minimum_learning_rate_ratio: float = Field(
        default=0.1, ge=0, le=1, description="Rate at the end, as a share of the peak."
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        default="cosine", description="How the rate falls after the warm-up."
    )
    warmup_steps: int = Field(default=100, ge=0, description="Updates in which the rate rises.")
    weight_decay: float = Field(
        default=0.1, ge=0, description="Decay of matrices and embeddings, times the rate."
    )
    beta1: float = Field(default=0.9, ge=0, lt=1, description="Memory of the gradient's mean.")
    beta2: float = Field(default=0.95, ge=0, lt=1, description="Memory of its square.")
    epsilon: float = Field(default=1e-8, gt=0, description="Added to the root of the square.")
    clip_norm: float = Field(
        default=1.0, ge=0, description="Longest gradient; longer ones are shortened. 0 is no limit."
    )
    z_loss: float = Field(default=0.0, ge=0, description="Weight of log² Z in the loss.")
    evaluation_interval_steps: int = unhashed(
        200, ge=0, description="Updates between evaluations; 0 evaluates at the end only."
    )
    evaluation_rows: int = Field(
        default=64, ge=1, description="Rows of each source in the fixed evaluation set."
    )
    sample_interval_steps: int = unhashed(
        500, ge=0, description="Updates between samples of text; 0 samples at the end only."
    )
    checkpoint_interval_steps: int = unhashed(
        200, ge=0, description="Updates between checkpoints; 0 saves at the end only."
    )
    log_interval_steps: int = unhashed(10, ge=1, description="Updates between metric events.")
    loader_workers: int = unhashed(
        0, ge=0, description="Threads that prepare batches ahead; the batches are the same."
    )

    def rate_at(self, step: int) -> float:
        """Return the learning rate of the update after `step` updates: peak times factor."""
        factor = SCHEDULES[self.schedule](
            step, self.steps, self.warmup_steps, self.minimum_learning_rate_ratio
        )
        return self.learning_rate * factor

    def samples_free_of_steps(self) -> int | None:
        """Return how many of the first samples are the same for any `steps`; None: all of them."""
        return None


class PretrainingOptions(TrainingOptions):
    """How a fresh model learns from the token store."""

    objective: Annotated[str, one_of(STREAMED)] = Field(
        default="causal", description="What is learnt from streams of text."
    )
    order: Literal["shuffled", "lanes"] = Field(
        default="shuffled",
        description='"lanes": text in its own order, a recurrent state goes on from row to row.',
    )
    same_document: bool = Field(
        default=False, description="Whether tokens see their own document only."
    )
    prompts: tuple[str, ...] = unhashed(
        (), description="Beginnings of samples; empty takes one document of each source."
    )
    weights: dict[str, Share] = Field(
        default={}, description="Share of samples by source; empty is by size."
    )
    final_weights: dict[str, Share] = Field(
        default={}, description="Shares that weights move to by the end; empty is none."
    )
    annealing_start: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.8, description="Part of the run after which weights begin to move."
    )
    annealing_stretches: Annotated[int, Field(ge=1)] = Field(
        default=16, description="Equal steps in which weights move."
    )
    epoch_caps: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default={}, description="Most epochs of a source; then the others share by their weights."
    )
    packing: Literal["stream", "best_fit", "padded"] = Field(
        default="stream",
        description='Rows: "stream" is contiguous text and cuts documents where rows end, '
        '"best_fit" lays whole documents side by side, "padded" gives each a row.',
    )

    def samples_free_of_steps(self) -> int | None:
        """Return the first sample of moving weights, which is a part of all samples."""
        if not self.final_weights:
            return None
        return round(self.annealing_start * self.steps * self.batch_size)

    def unused(self) -> list[str]:
        """Options that are set, and count only where weights move."""
        fields = type(self).model_fields
        return [
            name
            for name in ("annealing_start", "annealing_stretches")
            if not self.final_weights and getattr(self, name) != fields[name].default
        ]
