import numpy as np
import pytest


class ArrayStandIn:
    """The methods of a stored token array, over one in memory."""

    def __init__(self, tokens, document_starts=(0,)):
        self._tokens = np.asarray(tokens, dtype=np.int64)
        self.document_starts = np.asarray(document_starts, dtype=np.uint64)
        self.gathers = 0

    @property
    def tokens(self):
        return len(self._tokens)

    @property
    def documents(self):
        return len(self.document_starts)

    def read(self, start, count):
        return self._tokens[start : start + count]

    def gather(self, starts, width):
        self.gathers += 1
        return self._tokens[np.asarray(starts)[:, None] + np.arange(width)]


@pytest.fixture(scope="session")
def array_of():
    return ArrayStandIn
