"""Progress of long work on stderr: a bar on a terminal, one plain line an interval elsewhere."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from hornbook.runs.atomic import readable_bytes

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

INTERVAL_SECONDS = 5.0
BAR_SECONDS = 0.1  # bars are redrawn no more often
DESCRIPTION_WIDTH = 11


class Task:
    """One piece of work under way, counted in units such as documents, bytes or steps."""

    def __init__(self, progress: "Progress", description: str, total: int | None, unit: str):
        self.description, self.total, self.unit = description, total, unit
        self.done = 0
        self.fields: dict[str, str | float] = {}
        self._progress = progress
        self._started = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Count work that is done."""
        self.done += count
        self._progress._changed(self)

    def show(self, **fields: str | float) -> None:
        """Show values beside the count (loss, learning rate); each stays until replaced."""
        self.fields.update(fields)
        self._progress._changed(self)

    def line(self) -> str:
        """Return the state as one line: count, rate, share and time left, values."""
        seconds = time.monotonic() - self._started
        took = f"in {readable_seconds(seconds)}"
        if self.total and 0 < self.done < self.total:
            left = (self.total - self.done) * seconds / self.done
            took = f"{self.done / self.total:.0%}  {readable_seconds(left)} left"
        return "  ".join([self.description.ljust(DESCRIPTION_WIDTH), *self.state(), took])

    def state(self) -> list[str]:
        """Return how much is done, of how much, how fast, and the shown values."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        counted = self._amount(self.done)
        if self.total is not None:
            done = counted if self.unit == "bytes" else f"{self.done:,}"
            counted = f"{done} of {self._amount(self.total)}"
        rate = [f"{self._amount(self.done / seconds)}/s"] if self.done else []
        return [counted, *rate, *self._values()]

    def _values(self) -> list[str]:
        return [
            f"{name.replace('_', ' ')} {value if isinstance(value, str) else f'{value:.4g}'}"
            for name, value in self.fields.items()
        ]

    def _amount(self, count: float) -> str:
        if self.unit == "bytes":
            return readable_bytes(count)
        number = f"{count:,.0f}" if count >= 10 or count == int(count) else f"{count:.2g}"
        return f"{number} {self.unit}".rstrip()


class Progress:
    """Where progress is shown; `quiet` shows nothing. Colour follows NO_COLOR, as rich reads it."""

    def __init__(
        self,
        quiet: bool = False,
        interval_seconds: float = INTERVAL_SECONDS,
        stream: TextIO | None = None,
    ) -> None:
        self._quiet = quiet
        self._interval = interval_seconds
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._bars: Bars | None = None
        self._numbers: dict[Task, Any] = {}
        self._next = 0.0

    @contextmanager
    def task(self, description: str, total: int | None = None, unit: str = "") -> Iterator[Task]:
        """Show one piece of work while the block runs; tasks may stand inside each other."""
        task = Task(self, description, total, unit)
        self._next = time.monotonic() + self._interval
        if self._terminal and not self._quiet:
            self._next = 0.0
            self._add_bar(task)
        try:
            yield task
        finally:
            if self._bars is not None:
                self._remove_bar(task)
            self._print(task.line())

    def say(self, text: str) -> None:
        """Print one line, above the bars if there are any."""
        self._print(text)

    def _changed(self, task: Task) -> None:
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        if self._bars is not None:
            self._next = now + BAR_SECONDS
            self._bars.update(
                self._numbers[task], completed=task.done, state="  ".join(task.state())
            )
        else:
            self._next = now + self._interval
            self._print(task.line())

    def _print(self, text: str) -> None:
        if self._quiet:
            return
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._stream, flush=True)

    def _add_bar(self, task: Task) -> None:
        if self._bars is None:
            self._bars = _bars(self._stream)
            self._bars.start()
        self._numbers[task] = self._bars.add_task(task.description, total=task.total, state="")

    def _remove_bar(self, task: Task) -> None:
        assert self._bars is not None
        self._bars.remove_task(self._numbers.pop(task))
        if not self._numbers:
            self._bars.stop()
            self._bars = None


def readable_seconds(seconds: float) -> str:
    """Write a duration as `4.2 s`, `3:05` or `2:03:05`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _bars(stream: TextIO) -> "Bars":
    # Imported here, not at the top: rich takes longer to start than most commands to finish, and
    # only a terminal with work under way needs it.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        console=Console(file=stream),
        transient=True,
    )
