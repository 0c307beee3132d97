"""Options of the recipe's section [finetuning]."""

from pydantic import Field

from hornbook.training.options import TrainingOptions


class FinetuningOptions(TrainingOptions):
    """How a pre-trained model learns to answer; the context is the pre-trained model's."""

    steps: int = Field(default=200, ge=1, description="Updates of the weights.")
    learning_rate: float = Field(default=5e-4, gt=0, description="Peak rate.")
    warmup_steps: int = Field(default=20, ge=0, description="Updates in which the rate rises.")
    weight_decay: float = Field(
        default=0.0, ge=0, description="Decay of matrices and embeddings, times the rate."
    )
    held_out_questions: int = Field(
        default=100, ge=1, description="Functions of the validation split asked about afterwards."
    )
    answer_tokens: int = Field(
        default=80, ge=1, description="Longest answer, in tokens, when asking about them."
    )
