"""How documents become rows: a plan for each source by the policy that is asked for, and its cost.

stream     contiguous text with separators between documents (Brown et al. 2020, appendix B)
best_fit   whole documents, side by side (Ding et al. 2024)
padded     one document, or piece of one, a row
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from hornbook.batches.cuts import Cuts, cuts
from hornbook.batches.plans import StreamPlan, Tokens, training_plans
from hornbook.batches.whole_documents import POLICIES, DocumentPlan, document_plans
from hornbook.runs.directory import RunDirectory
from hornbook.stages.networks import context_length
from hornbook.stages.run import read_recipe
from hornbook.stages.stored import stored_tokens

STREAM = "stream"

Plans = Mapping[str, StreamPlan] | Mapping[str, DocumentPlan]


def packed_rows(
    arrays: Mapping[str, Tokens], length: int, packing: str, folder: Path | None = None
) -> Plans:
    """Rows of each training source that has any.

    folder: where plans that are not arithmetic are stored; None: nowhere.

    Raises:
        InputError: no source has a row.
    """
    if packing == STREAM:
        return training_plans(arrays, length)
    return document_plans(arrays, length, packing, folder)


def without_rows(arrays: Mapping[str, Tokens], length: int, packing: str) -> dict[str, str]:
    """Why each training source that has no row has none, to be said of the source."""
    if packing == STREAM:
        return {
            source: f"it has {array.tokens:,} tokens, and a row needs {length + 1:,}"
            for source, array in arrays.items()
            if array.tokens <= length
        }
    return {
        source: "it has no document of two tokens or more"
        for source, array in arrays.items()
        if not (np.diff(array.document_starts, append=np.uint64(array.tokens)) > 1).any()
    }


def cuts_line(found: Cuts) -> str:
    """Say on one line what a policy does to a source."""
    return (
        f"{found.rows:,} rows, {found.cut_share:.1%} of {found.documents:,} documents cut "
        f"({found.needless_share:.0%} of them needlessly), {found.padding_share:.1%} padding, "
        f"{found.dropped:,} tokens dropped"
    )


def packing_of_run(run: RunDirectory) -> Iterator[tuple[str, str, Cuts | str]]:
    """Policy, source and cost, for every policy and every source of a run's training text.

    Of a source that has no row by a policy, why, in the place of the cost.

    Raises:
        InputError: the run has not finished its store, or no source has a row.
    """
    _, store = stored_tokens(run)
    length = context_length(read_recipe(run.recipe_path))
    for policy in (STREAM, *POLICIES):
        arrays = store.splits["train"]
        for source, plan in packed_rows(arrays, length, policy).items():
            yield policy, source, cuts(plan)
        for source, why in without_rows(arrays, length, policy).items():
            yield policy, source, why
