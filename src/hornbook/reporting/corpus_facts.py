"""What the corpus and the token store say about themselves: rows kept, rows dropped and why."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


@dataclass(frozen=True)
class Dropped:
    """How many documents one rule dropped from one source, with the first as an example."""

    rule: str
    count: int
    reason: str
    example: str
    value: str


@dataclass(frozen=True)
class CorpusSource:
    """One source of text: documents read, kept and dropped."""

    name: str
    read: int
    kept: int
    train: int
    validation: int
    size_bytes: int
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True)
class TokenRow:
    """One source in one split of the token store."""

    split: str
    source: str
    tokens: int
    documents: int
    text_bytes: int

    @property
    def bytes_per_token(self) -> float | None:
        """How much text a token carries; None of an empty source."""
        return self.text_bytes / self.tokens if self.tokens else None


def _count(values: Mapping[str, Any], *names: str) -> int:
    """The first of the named values that is a number, else 0."""
    for name in names:
        if isinstance(values.get(name), int | float):
            return int(values[name])
    return 0


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def read_sources(corpus: Path) -> tuple[CorpusSource, ...]:
    """The sources of a finished corpus in the order of its statistics; empty without one."""
    sources = _json(corpus / "statistics.json").get("sources", {})
    examples = _examples(
        corpus / "dropped.parquet",
        {(name, rule) for name, each in sources.items() for rule in each.get("dropped", {})},
    )
    rows = []
    for name, values in sources.items():
        dropped = []
        for rule, count in sorted(values.get("dropped", {}).items(), key=lambda row: -row[1]):
            first = examples.get((name, rule), {})
            dropped.append(
                Dropped(
                    rule=rule,
                    count=int(count),
                    reason=_text(first.get("reason")),
                    example=_text(first.get("path")),
                    value=_text(first.get("value")),
                )
            )
        rows.append(
            CorpusSource(
                name=name,
                read=_count(values, "read"),
                kept=_count(values, "kept"),
                train=_count(values, "train"),
                validation=_count(values, "validation"),
                size_bytes=_count(values, "bytes", "kept_bytes"),
                dropped=tuple(dropped),
            )
        )
    return tuple(rows)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _examples(path: Path, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The first dropped row of each wanted (source, rule); stops once all are found."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    if not wanted or not path.exists():
        return found
    with pq.ParquetFile(path) as table:
        columns = [
            name
            for name in ("source", "rule", "path", "reason", "value")
            if name in table.schema_arrow.names
        ]
        for batch in table.iter_batches(batch_size=4096, columns=columns):
            for row in batch.to_pylist():
                found.setdefault((row.get("source", ""), row.get("rule", "")), row)
            if wanted <= found.keys():
                break
    return found


def read_tokens(store: Path) -> tuple[TokenRow, ...]:
    """What each source's manifest in the token store counts, training split first."""
    rows = []
    for split in ("train", "validation"):
        for manifest in sorted((store / split).glob("*/manifest.json")):
            values = _json(manifest)
            rows.append(
                TokenRow(
                    split=split,
                    source=manifest.parent.name,
                    tokens=_count(values, "tokens"),
                    documents=_count(values, "documents"),
                    text_bytes=_count(values, "bytes"),
                )
            )
    return tuple(rows)
