"""What a plan does to documents: how many are cut, and how many of those for no reason."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hornbook.batches.plans import Plan, StreamPlan
from hornbook.batches.whole_documents import DocumentPlan


@dataclass(frozen=True)
class Cuts:
    """One source under one policy.

    rows; documents; cut: documents in a row that no row holds whole; needless: those of them that
    would have fitted a row; tokens: of the source; dropped: tokens in no row; targets: tokens that
    carry loss once an epoch; places: of all rows, T + 1 each; padding: places without a token.
    """

    rows: int
    documents: int
    cut: int
    needless: int
    tokens: int
    dropped: int
    targets: int
    places: int
    padding: int

    @property
    def cut_share(self) -> float:
        """Share of documents that are cut."""
        return self.cut / self.documents if self.documents else 0.0

    @property
    def needless_share(self) -> float:
        """Share of the cut documents that would have fitted a row."""
        return self.needless / self.cut if self.cut else 0.0

    @property
    def padding_share(self) -> float:
        """Share of places that hold no token."""
        return self.padding / self.places if self.places else 0.0


def cuts(plan: Plan) -> Cuts:
    """Count what a plan over stored documents does to them, by arithmetic.

    Raises TypeError for a plan of something else.
    """
    if isinstance(plan, StreamPlan):
        return _of_stream(plan)
    if isinstance(plan, DocumentPlan):
        return _of_documents(plan)
    raise TypeError(f"{type(plan).__name__} holds no stored documents")


def _of_stream(plan: StreamPlan) -> Cuts:
    """Row r holds tokens r T .. r T + T; a document is whole if one row holds all of it."""
    starts, lengths = _documents(plan)
    row, last = starts // plan.length, starts + lengths - 1
    end = len(plan) * plan.length  # the last token of the last row
    whole = (last <= (row + 1) * plan.length) & (last <= end)
    cut = ~whole & (starts <= end)
    return _counted(plan, lengths, cut, dropped=plan.array.tokens - end - 1, targets=end, padding=0)


def _of_documents(plan: DocumentPlan) -> Cuts:
    """A document is cut if it is in more than one piece; pieces after its first begin one early."""
    starts, lengths = _documents(plan)
    of_piece = np.searchsorted(starts, plan.starts, side="right") - 1
    pieces = np.bincount(of_piece, minlength=len(starts))
    filled, repeated = int(plan.lengths.sum()), int(np.maximum(pieces - 1, 0).sum())
    return _counted(
        plan,
        lengths,
        pieces > 1,
        dropped=plan.array.tokens - (filled - repeated),
        targets=filled - len(plan.lengths),
        padding=len(plan) * (plan.length + 1) - filled,
    )


def _documents(plan: StreamPlan | DocumentPlan) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and length of each document, [documents]."""
    starts = np.asarray(plan.array.document_starts).astype(np.int64)
    return starts, np.diff(starts, append=plan.array.tokens)


def _counted(
    plan: StreamPlan | DocumentPlan,
    lengths: NDArray[np.int64],
    cut: NDArray[np.bool_],
    *,
    dropped: int,
    targets: int,
    padding: int,
) -> Cuts:
    return Cuts(
        rows=len(plan),
        documents=len(lengths),
        cut=int(cut.sum()),
        needless=int((cut & (lengths <= plan.length + 1)).sum()),
        tokens=plan.array.tokens,
        dropped=dropped,
        targets=targets,
        places=len(plan) * (plan.length + 1),
        padding=padding,
    )
