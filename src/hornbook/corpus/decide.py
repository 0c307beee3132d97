"""Deciding: thresholds applied to the table of measures, and to nothing else."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hornbook.corpus.documents import DROPPED
from hornbook.corpus.filters import FILTERS
from hornbook.corpus.filters.rule import Rule
from hornbook.corpus.options import CorpusOptions
from hornbook.recipe.plugins import find

KEPT = -1


def rules_of(options: CorpusOptions) -> tuple[Rule, ...]:
    """Return the rules of all chosen rule sets in order.

    Raises:
        RecipeError: a plug-in that cannot be imported.
    """
    return tuple(rule for name in options.filters for rule in find(name, FILTERS))


def decide(measures: pa.Table, rules: Sequence[Rule], options: CorpusOptions) -> NDArray[np.int64]:
    """Return for each row of the measures the first rule that drops it, or KEPT."""
    verdicts = np.full(measures.num_rows, KEPT)
    words = measures.column("words").to_numpy()
    for number, rule in enumerate(rules):
        values = measures.column(rule.column).to_numpy()
        limit = threshold_of(rule, options)
        past = values < limit if rule.bound == "minimum" else values > limit
        verdicts[past & (words >= rule.least_words) & (verdicts == KEPT)] = number
    return verdicts


def dropped_by_rules(
    measures: pa.Table,
    verdicts: NDArray[np.int64],
    rules: Sequence[Rule],
    options: CorpusOptions,
) -> pa.Table:
    """Return the rows of DROPPED for all that `decide` dropped, in the order of the measures."""
    rows = []
    for place in np.flatnonzero(verdicts != KEPT):
        rule = rules[verdicts[place]]
        value = _shown(measures.column(rule.column)[int(place)].as_py())
        reason = rule.reason.format(value=value, threshold=_shown(threshold_of(rule, options)))
        row = {name: measures.column(name)[int(place)].as_py() for name in ("id", "source", "path")}
        rows.append(row | {"rule": rule.name, "reason": reason, "value": value})
    return pa.Table.from_pylist(rows, DROPPED)


def threshold_of(rule: Rule, options: CorpusOptions) -> float:
    """Return the number that a rule judges by."""
    if isinstance(rule.threshold, str):
        return float(getattr(options, rule.threshold))
    return rule.threshold


def _shown(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() and value > 1 else f"{value:.3g}"
