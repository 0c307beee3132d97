"""All that is known of a family of counts without counting any: its page."""

import textwrap
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any

from hornbook.errors import SpecError
from hornbook.models import COUNTED
from hornbook.models.families import require_dimensions
from hornbook.models.ngrams import ESTIMATORS, NORMALISED
from hornbook.models.ngrams.spec import NGramSpec
from hornbook.recipe.plugins import find
from hornbook.reporting.terminal import Table


def counted_page(name: str, dimensions: Mapping[str, Any], width: int) -> Iterator[Table | str]:
    """Text and tables about a family of counts; `dimensions` replace its numbers.

    Raises SpecError for a size or an unknown dimension.
    """
    family, _, size = name.partition("/")
    if size:
        raise SpecError(f"{family} has no published sizes; give its numbers, such as order=3.")
    module = find(family, COUNTED)
    require_dimensions(family, module, dimensions)
    spec: NGramSpec = module.spec(**dimensions)
    yield cleandoc(module.__doc__)
    each = (f"{value:,}" if isinstance(value, int) else f"{value}" for value in vars(spec).values())
    rows = tuple(zip(vars(spec), each, strict=True))
    yield Table("Its numbers", ("field of the spec", "value"), rows, (1,))
    yield (
        f"a table of all n-grams would have {float(spec.vocab_size) ** spec.order:.3g} entries; "
        "what occurs in the text is kept, and nothing else"
    )
    yield estimators_table(spec.estimator)
    yield "\n".join(textwrap.fill(said, width) for said in module.DIFFERENCES)


def estimators_table(chosen: str) -> Table:
    """What each estimator does, and whether its numbers are probabilities after every context."""
    rows = []
    for name, target in ESTIMATORS.items():
        told = (find(name, ESTIMATORS).__doc__ or target).splitlines()[0]
        rows.append((name, "yes" if name in NORMALISED else "no", told))
    marked = list(ESTIMATORS).index(chosen) if chosen in ESTIMATORS else None
    heads = ("estimator", "sums to 1 always", "what it does")
    return Table("Estimators", heads, tuple(rows), (), marked)
