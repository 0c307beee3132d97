"""Leave the process as it was."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _process_as_it_was(monkeypatch):
    """Tests train in the process that runs all tests: leave its memory and numbers alone."""
    monkeypatch.setattr("hornbook.training.memory.keep_memory", lambda: False)
    yield
    torch.set_flush_denormal(False)
