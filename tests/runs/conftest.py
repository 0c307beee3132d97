import os
from pathlib import Path

import pytest
import toy_stages

from hornbook.runs.directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture(autouse=True)
def same_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy_stages, "OUTSIDE", {"dictionary": "1"})


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing guards against power cuts, not kills, and is most of the time of these tests."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
