"""Options of the recipe's section [model]."""

from inspect import signature
from typing import Annotated

from pydantic import Field

from hornbook.errors import SpecError
from hornbook.models import ELSEWHERE, FAMILIES
from hornbook.models.families import family, spec_for
from hornbook.models.spec import Spec
from hornbook.recipe.options import Options, one_of

OTHERS = ("family", "size", "direct", "dropout")
"""Options that are no dimension whose 0 is the family's rule."""


class ModelOptions(Options):
    """Which model to build; the vocabulary comes from the tokenizer. 0 takes the family's rule."""

    family: Annotated[str, one_of(FAMILIES, ELSEWHERE)] = Field(
        default="gpt2", description="Architecture, one of the families."
    )
    size: str = Field(
        default="", description='Published size, such as "124m"; its numbers replace the defaults.'
    )
    n_layers: int = Field(default=0, ge=0, description="Blocks.")
    d_model: int = Field(default=0, ge=0, description="Width of the residual stream.")
    n_heads: int = Field(default=0, ge=0, description="Attention heads; 0 is d_model / 64.")
    n_kv_heads: int = Field(
        default=0, ge=0, description="Key-value heads; 0 is the family's rule. Must divide n_heads."
    )
    d_head: int = Field(default=0, ge=0, description="Width of a head; 0 is d_model / n_heads.")
    d_ff: int = Field(default=0, ge=0, description="Inner width; 0 is the family's rule.")
    d_hidden: int = Field(
        default=0, ge=0, description="Width of a recurrent state, or of a hidden layer."
    )
    order: int = Field(default=0, ge=0, description="Tokens read and predicted, by a window.")
    direct: bool = Field(
        default=True, description="Whether a window's vectors reach the output layer directly too."
    )
    max_length: int = Field(default=0, ge=0, description="Longest context in tokens.")
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0, description="Dropout rate at every site.")

    def spec(self, vocab_size: int) -> Spec:
        """The spec these options name. Raises SpecError where they cannot be built."""
        numbers = [name for name in type(self).model_fields if name not in OTHERS]
        given = {name: getattr(self, name) for name in numbers if getattr(self, name)}
        known = signature(family(self.family).spec).parameters
        absent = [name for name in given if name not in known]
        if absent:
            raise SpecError(
                f"{self.family} has no {absent[0]}; leave model.{absent[0]} out, or set it to 0."
            )
        # A family that knows no dropout (LLaMA) is told of it only where it is asked for.
        if self.dropout or "dropout" in known:
            given["dropout"] = self.dropout
        if not self.direct or "direct" in known:
            given["direct"] = self.direct
        name = f"{self.family}/{self.size}" if self.size else self.family
        return spec_for(name, vocab_size=vocab_size, **given)
