"""Rows of a plan: samples, before an objective makes inputs and targets of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Rows:
    """n rows of T + 1 tokens: T inputs, and the last one's next token.

    tokens [n, T+1]: ids (0 in padding).
    documents [n, T+1]: 0, 1, … in each row, one number a document; -1 in padding.
    learn [n, T+1]: whether the token, seen as a target, carries loss. Column 0 is never a target.
    begins [n, T+1]: whether the token begins an item that was laid beside others: what stands
        before it in the row is no text that it follows. None: the rows are cut from one stream.
    """

    tokens: NDArray[np.int64]
    documents: NDArray[np.int32]
    learn: NDArray[np.bool_]
    begins: NDArray[np.bool_] | None = None

    @property
    def follows(self) -> NDArray[np.bool_]:
        """Whether each token [n, T+1] is text that follows the token before it in the row.

        Nothing else is predicted from what stands before. Column 0 counts as if it did.
        """
        there = self.documents >= 0
        return there if self.begins is None else there & ~self.begins

    @property
    def positions(self) -> NDArray[np.int64]:
        """Positions [n, T+1] that restart at 0 with every document (and with every row)."""
        columns = np.arange(self.tokens.shape[1], dtype=np.int64)
        starts = np.zeros(self.documents.shape, dtype=np.int64)
        changed = self.documents[:, 1:] != self.documents[:, :-1]
        starts[:, 1:] = np.where(changed, columns[1:], 0)
        return columns - np.maximum.accumulate(starts, axis=1)
