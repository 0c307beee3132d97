"""From sample numbers to batches: the same with no worker or with many.

A batch is a pure function of (first sample, count), so workers need no state and no order: they are
threads that compute updates ahead of the loop, and their results are taken in turn. (A batch takes
microseconds of numpy, which frees the interpreter while it copies; a process would cost seconds to
start, and would have to be told to die with its parent.)
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from hornbook.batches.batch import Arrays, Batch, MaskRule, assemble
from hornbook.batches.lanes import Lanes
from hornbook.batches.order import Order
from hornbook.batches.plans import Plan
from hornbook.batches.rows import Rows

Numbers = NDArray[np.int64]
Prepare = Callable[[Rows, Numbers], Arrays]

WINDOW = 4096  # samples located at once: the order costs less a sample in thousands
PREFETCH = 4


class Batches:
    """The updates of a run, by sample number.

    Args:
        order: where each sample is; plans: the rows of each of its sources, all of one length.
        prepare: (rows, sample numbers [n]) -> arrays by name; see `assemble`. Pure.
        byte_lengths [vocab]: bytes of each token id, for bits per byte.
        objective: its name; mask: its visibility rule, from the batch's tensors.
    """

    def __init__(
        self,
        order: Order | Lanes,
        plans: Mapping[str, Plan],
        prepare: Prepare,
        byte_lengths: NDArray[np.integer],
        objective: str = "causal",
        mask: MaskRule | None = None,
    ) -> None:
        self.order = order
        self.plans = [plans[source] for source in order.sources]
        self.prepare = prepare
        self.byte_lengths = byte_lengths
        self.objective = objective
        self.mask = mask
        self._located = Located(order)

    def update(self, first_sample: int, count: int) -> Batch:
        """The batch of samples first_sample .. first_sample + count - 1.

        Raises:
            InputError: epoch caps end the data before the last of them.
        """
        numbers = np.arange(first_sample, first_sample + count, dtype=np.int64)
        arrays = self.prepare(self.rows(first_sample, count), numbers)
        batch = assemble(arrays, self.objective, self.byte_lengths, self.mask)
        source, _ = self._located.samples(first_sample, count)
        return replace(batch, sources=torch.from_numpy(source))

    def rows(self, first_sample: int, count: int) -> Rows:
        """The rows that those samples name: one gather a source."""
        source, position = self._located.samples(first_sample, count)
        width = self.plans[0].length + 1
        tokens = np.empty((count, width), dtype=np.int64)
        documents = np.empty((count, width), dtype=np.int32)
        learn = np.empty((count, width), dtype=bool)
        begins: NDArray[np.bool_] | None = None
        for number in np.unique(source):
            here = source == number
            rows = self.plans[number].rows(position[here])
            tokens[here], documents[here], learn[here] = rows.tokens, rows.documents, rows.learn
            if rows.begins is not None:
                begins = np.zeros((count, width), dtype=bool) if begins is None else begins
                begins[here] = rows.begins
        return Rows(tokens, documents, learn, begins)

    def follow(self, schedule: Iterable[tuple[int, int]], workers: int = 0) -> Iterator[Batch]:
        """The batches of a schedule of (first sample, count), in its order; see `follow`."""
        return follow(self.update, schedule, workers)


class Located:
    """Where samples are, by an order that is asked a window at a time; windows are kept."""

    def __init__(self, order: Order | Lanes) -> None:
        self.order = order
        self._window = lru_cache(maxsize=8)(self._locate_window)

    def samples(self, first: int, count: int) -> tuple[Numbers, Numbers]:
        """Source number and position, each [count], of samples first .. first + count - 1."""
        last = first + count - 1
        windows = [self._window(w) for w in range(first // WINDOW, last // WINDOW + 1)]
        start = first - first // WINDOW * WINDOW
        source = np.concatenate([window[0] for window in windows])
        position = np.concatenate([window[1] for window in windows])
        if start + count > len(source):
            self.order.samples(first, count)  # says that the data ends before
        return source[start : start + count], position[start : start + count]

    def _locate_window(self, window: int) -> tuple[Numbers, Numbers]:
        """Source number and position of the samples of one window, up to the data's end."""
        first, count = window * WINDOW, WINDOW
        if self.order.samples_in_all is not None:
            count = max(0, min(count, self.order.samples_in_all - first))
        source, _, position = self.order.samples(first, count)
        return source, position


def follow(
    update: Callable[[int, int], Batch], schedule: Iterable[tuple[int, int]], workers: int = 0
) -> Iterator[Batch]:
    """`update(first sample, count)` of every row of a schedule, in its order.

    With workers, threads keep up to 4 updates ready; what one of them raises comes out where its
    batch would have. Closing the iterator ends them.
    """
    if not workers:
        for first, count in schedule:
            yield update(first, count)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="hornbook-batches")
    try:
        waiting: deque[Future[Batch]] = deque()
        for first, count in schedule:
            waiting.append(pool.submit(update, first, count))
            if len(waiting) > max(PREFETCH, workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
