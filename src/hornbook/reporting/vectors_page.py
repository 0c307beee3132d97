"""All that is known of a family of word vectors without learning any: its page."""

import textwrap
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any

from hornbook.models import VECTORS
from hornbook.models.vectors import vector_spec_for
from hornbook.recipe.plugins import find
from hornbook.reporting.terminal import Table


def vectors_page(name: str, dimensions: Mapping[str, Any], width: int) -> Iterator[Table | str]:
    """Text and a table about a family of vectors; `dimensions` replace its numbers.

    Raises SpecError for an unknown dimension.
    """
    spec, module = vector_spec_for(name, **dimensions), find(name, VECTORS)
    yield cleandoc(module.__doc__)
    each = (f"{value:,}" if isinstance(value, int) else f"{value}" for value in vars(spec).values())
    rows = tuple(zip(vars(spec), each, strict=True))
    yield Table("Its numbers", ("field of the spec", "value"), rows, (1,))
    table = f"{spec.vocab_size:,} x {spec.d_model:,}"
    yield (
        f"parameters {spec.n_parameters:,}: two tables of {table}, v and u; v is kept\n"
        f"fresh v are drawn evenly from ±1/{2 * spec.d_model:,}, fresh u are 0"
    )
    yield "\n".join(textwrap.fill(said, width) for said in module.DIFFERENCES)
