"""Prove of a data order that an epoch of each source reads every row and every target once.

What is to be read is counted from the number of tokens and where documents start, not from the
plan: a plan that loses text is a fault as well.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.batches.lanes import Lanes
from hornbook.batches.loader import Batches
from hornbook.batches.order import Order
from hornbook.batches.plans import StreamPlan
from hornbook.errors import StorageError
from hornbook.runs.progress import Progress

Numbers = NDArray[np.int64]

WINDOW = 4096
"""Samples looked at together."""


@dataclass(frozen=True)
class Finding:
    """One thing that was proved, the fault that was found instead, or why nothing was read."""

    subject: str
    what: str
    fault: str = ""
    unread: bool = False

    @property
    def state(self) -> str:
        """In a word or two, how it stands."""
        if self.fault:
            return "FAULT"
        return "not read" if self.unread else "sound"


def expected_targets(plan: Any) -> tuple[NDArray[np.bool_], int]:
    """Which tokens [tokens] an epoch has as targets, and how many tokens are to be in no row.

    With n tokens in rows of T inputs. Stream: tokens 1 .. T floor((n - 1) / T), and what comes
    after is in no row. Whole documents: all tokens but each document's first; a document of one
    token is in no row.
    """
    tokens: int = plan.array.tokens
    expected = np.ones(tokens, dtype=bool)
    if isinstance(plan, StreamPlan):
        end = (tokens - 1) // plan.length * plan.length
        expected[0] = expected[end + 1 :] = False
        return expected, tokens - 1 - end
    starts = np.asarray(plan.array.document_starts).astype(np.int64)
    expected[starts[starts < tokens]] = False  # an empty document at the end starts past it
    return expected, int((np.diff(starts, append=tokens) == 1).sum())


class Places:
    """Stands for a stored array whose token number i is i: rows of it say what they read."""

    def __init__(self, array: Any) -> None:
        self.tokens: int = array.tokens
        self.document_starts = array.document_starts

    def gather(self, starts: Numbers, width: int) -> Numbers:
        """Places [n, width] that begin at starts [n]."""
        return np.asarray(starts, dtype=np.int64)[:, None] + np.arange(width, dtype=np.int64)


class Reading:
    """What one source has been read of in one epoch, which `when` names.

    rows [rows]: the sample that read each row, -1 before; targets [tokens]: whether each token has
    been a target.
    """

    def __init__(self, source: str, plan: Any, when: str) -> None:
        self.source = source
        self.when = when
        self.plan = copy.copy(plan)
        self.plan.array = Places(plan.array)
        self.rows = np.full(len(plan), -1, dtype=np.int64)
        self.targets = np.zeros(plan.array.tokens, dtype=bool)
        self.targets_read = 0

    def read(self, samples: Numbers, positions: Numbers) -> None:
        """Mark rows and their targets. Raises StorageError for a row that is read once more."""
        order = np.argsort(positions, kind="stable")
        ordered = positions[order]
        again = np.flatnonzero(
            (self.rows[ordered] >= 0) | np.append(False, ordered[1:] == ordered[:-1])
        )
        if len(again):
            row = int(ordered[again[0]])
            raise StorageError(
                f"Row {row} of {self.source} is read twice in {self.when}, at last as sample "
                f"{samples[order[again[0]]]}: this is a fault of the order; report it."
            )
        self.rows[positions] = samples
        self._mark(positions)

    def _mark(self, positions: Numbers) -> None:
        """Mark the targets of rows."""
        rows = self.plan.rows(positions)
        places = rows.tokens[:, 1:][rows.learn[:, 1:]]
        self.targets[places] = True
        self.targets_read += len(places)

    def finding(self, left_out: int) -> Finding:
        """What came of it, where `left_out` rows are in no epoch of the order."""
        subject = f"order of {self.source}"
        unread = int((self.rows < 0).sum())
        expected, in_no_row = expected_targets(self.plan)
        rows = "row is" if left_out == 1 else "rows are"
        lost = f"; {left_out:,} {rows} left out by the order" if left_out else ""
        proved = (
            f"{len(self.rows) - unread:,} rows and {int(self.targets.sum()):,} targets, each read "
            f"once in {self.when}; {in_no_row:,} tokens are in no row{lost}"
        )
        if unread == len(self.rows):
            proved = f"all of its {unread:,} rows are left out by the order"
        fault = self._fault_of_rows(unread, left_out) or self._fault_of_plan(expected)
        return Finding(subject, proved, fault, unread=unread == len(self.rows))

    def _fault_of_rows(self, unread: int, left_out: int) -> str:
        """What is wrong if other rows were read than the order says; "" if nothing."""
        fault = f"in {self.when}: this is a fault of the order; report it."
        if unread > left_out:
            row = int(np.flatnonzero(self.rows < 0)[0])
            return f"Row {row} of {self.source} is not read, of {unread} that are not, {fault}"
        if unread < left_out:
            return f"{left_out - unread} rows of {self.source} too many are read {fault}"
        twice = self.targets_read - int(self.targets.sum())
        return f"{twice} targets of {self.source} are read twice {fault}" if twice else ""

    def _fault_of_plan(self, expected: NDArray[np.bool_]) -> str:
        """What is wrong if the rows, read and left out, hold other targets than expected."""
        unread = np.flatnonzero(self.rows < 0)
        for first in range(0, len(unread), WINDOW):
            self._mark(unread[first : first + WINDOW])
        fault = "this is a fault of the packing; report it."
        lost = np.flatnonzero(expected & ~self.targets)
        if len(lost):
            return (
                f"Targets of {self.source} are in no row: {len(lost)}, the first of them token "
                f"{lost[0]}; {fault}"
            )
        wrong = np.flatnonzero(self.targets & ~expected)
        if len(wrong):
            return (
                f"Tokens of {self.source} are targets and should be none: {len(wrong)}, the first "
                f"of them token {wrong[0]}; {fault}"
            )
        return ""


def check_order(batches: Batches, progress: Progress, epoch: int = 0) -> Iterator[Finding]:
    """Go through an epoch of every source and mark each row and target that is read.

    epoch: its number, from 0. A source whose weight falls to 0 or that has a cap may stay unread in
    part, and is said to be. Costs four bytes of memory a token.
    """
    order = batches.order
    when = f"epoch {epoch + 1}" if epoch else "the first epoch"
    readings = [
        Reading(source, plan, when)
        for source, plan in zip(order.sources, batches.plans, strict=True)
    ]
    samples, left_out = _epoch_ends(order, epoch)
    faults: dict[int, str] = {}
    with progress.task(f"order in {when}", samples, "samples") as task:
        for first in range(0, samples, WINDOW):
            count = min(WINDOW, samples - first)
            _read_window(order, readings, faults, first, count, epoch)
            task.advance(count)
    for number, reading in enumerate(readings):
        if number in faults:
            yield Finding(f"order of {reading.source}", "", faults[number])
        else:
            yield reading.finding(left_out[number])


def _read_window(
    order: Order | Lanes,
    readings: list[Reading],
    faults: dict[int, str],
    first: int,
    count: int,
    epoch: int,
) -> None:
    """Mark what the samples first .. first + count - 1 read in that epoch of their sources."""
    source, epochs, position = order.samples(first, count)
    for number in np.unique(source).tolist():
        here = np.flatnonzero((source == number) & (epochs == epoch))
        if len(here) and number not in faults:
            try:
                readings[number].read(first + here, position[here])
            except StorageError as error:
                faults[number] = str(error)


def _epoch_ends(order: Order | Lanes, epoch: int) -> tuple[int, list[int]]:
    """After how many samples that epoch is over everywhere, and rows of each source it leaves out.

    In lanes, what does not fill the last row of each; else what a source that left early kept.
    """
    rows = [int(count) for count in order.rows]
    if isinstance(order, Order):
        ends, read = zip(*order.epoch_ends(epoch), strict=True)
        return max(ends), [count - had for count, had in zip(rows, read, strict=True)]
    samples = order.lanes * order.length
    left = sum(rows) - samples
    found = []
    for count in reversed(rows):
        found.append(min(left, count))
        left -= found[-1]
    return (epoch + 1) * samples, found[::-1]
