import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hornbook.corpus.build import build_corpus
from hornbook.corpus.options import CorpusOptions
from hornbook.runs.events import EventLog
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@dataclass
class Built:
    """A finished corpus, with its tables at hand."""

    directory: Path
    statistics: dict[str, Any]

    def documents(self, split: str) -> list[dict[str, str]]:
        paths = sorted(self.directory.glob(f"documents/{split}-*.parquet"))
        return pa.concat_tables([pq.read_table(path) for path in paths]).to_pylist()

    def table(self, name: str) -> list[dict[str, Any]]:
        return pq.read_table(self.directory / f"{name}.parquet").to_pylist()

    def dropped(self) -> list[tuple[str, str]]:
        return [(row["path"], row["rule"]) for row in self.table("dropped")]

    def bytes_of_files(self) -> dict[str, bytes]:
        files = (path for path in self.directory.rglob("*") if path.is_file())
        return {path.relative_to(self.directory).as_posix(): path.read_bytes() for path in files}


Builder = Callable[..., Built]


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    def build(
        *sources: Path | str, seed: int = 0, directory: Path | None = None, **options: Any
    ) -> Built:
        directory = directory or tmp_path_factory.mktemp("corpus") / "corpus"
        log = EventLog(directory.parent / "events.jsonl")
        totals = build_corpus(
            CorpusOptions(sources=tuple(map(str, sources)), **options),
            seed,
            directory,
            events=log.bind("corpus", "0" * 12),
            progress=Progress(quiet=True),
            stop=StopSignal(),
        )
        statistics = json.loads((directory / "statistics.json").read_text(encoding="utf-8"))
        assert totals["documents"] == sum(e["kept"] for e in statistics["sources"].values())
        return Built(directory, statistics)

    return build


@pytest.fixture(scope="session")
def python_corpus(make: Builder) -> Built:
    """The corpus of the running Python's library, built once for all tests."""
    return make("python:code", "python:docs")


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("no shared data beside this checkout")
    return SHARED
