"""What is written down of the updates: one metric event an interval, and the values shown live."""

import time
from typing import Any

from hornbook.batches.batch import Batch
from hornbook.training.state import Training
from hornbook.training.step import Update


class Record:
    """What the updates since the last metric event did; writes the events."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.shown: dict[str, str | float] = {}
        self.last: dict[str, float] = {}
        self._nll, self._targets, self._tokens, self._seconds = 0.0, 0, 0, 0.0
        self.restart_clock()

    def restart_clock(self) -> None:
        """Count time from now, so that watchers do not count as training."""
        self._since = time.perf_counter()

    def add(self, batch: Batch, result: Update, learning_rate: float) -> None:
        """Take in one update; write an event where one is due, with means since the last."""
        training = self.training
        self._seconds += time.perf_counter() - self._since
        self._tokens += batch.tokens.numel()
        if result.rejected is None:
            self._nll += result.loss * result.targets
            self._targets += result.targets
        interval = training.plan.options.log_interval_steps
        last = training.step == training.plan.options.steps
        if (training.step % interval and training.step != 1 and not last) or not self._targets:
            return
        self.last = {
            "loss": self._nll / self._targets,
            "learning_rate": learning_rate,
            "gradient_norm": result.gradient_norm,
            "tokens_per_second": self._tokens / self._seconds,
        }
        training.events.write(
            "metric",
            step=training.step,
            tokens=training.tokens,
            samples=training.samples,
            **self.last,
        )
        self.shown = {
            "loss": f"{self.last['loss']:.3f}",
            "tokens/s": f"{self.last['tokens_per_second']:,.0f}",
            "learning rate": f"{learning_rate:.2e}",
        }
        self._nll, self._targets, self._tokens, self._seconds = 0.0, 0, 0, 0.0

    def summary(self) -> dict[str, Any]:
        """What the manifest says of the training."""
        training = self.training
        return {
            "steps": training.step,
            "samples": training.samples,
            "tokens": training.tokens,
            "parameters": sum(view.numel() for view in training.masters.weights().values()),
            "bits_per_byte": training.bits_per_byte,
        }
