"""A polite stop: the first SIGINT or SIGTERM asks, work is saved, then the process ends.

A second signal finds the handlers that were there before, so an impatient Ctrl-C stops at once.
"""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from hornbook.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)
NOTICE = b"\nStopping: saving what is under way first. Once more stops at once.\n"


class StopSignal:
    """Whether a stop was asked for; signals are heard only inside `with`, in the main thread."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return self._number is not None

    def check(self) -> None:
        """Raise `Interrupted` (exit code 130 or 143) if a stop was asked for."""
        if self._number is not None:
            raise Interrupted(self._number)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        self._restore()
        # Not print: a handler may run in the middle of another write to the same stream.
        os.write(2, NOTICE)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
