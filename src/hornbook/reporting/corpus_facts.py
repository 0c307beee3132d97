"""What the corpus and the token store say about themselves: rows kept, rows dropped and why."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Dropped:
    """How many documents one rule dropped from one source, with one of them as an example."""

    rule: str
    count: int
    reason: str
    path: str
    opening: str


@dataclass(frozen=True)
class CorpusSource:
    """One source of text: documents read, kept, dropped, and changed inside by which rule."""

    name: str
    read: int
    kept: int
    train: int
    validation: int
    text_bytes: int
    dropped: tuple[Dropped, ...]
    changed: Mapping[str, int]


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
        """How much text a token of text carries (those that end documents left out), or None."""
        text_tokens = self.tokens - self.documents
        return self.text_bytes / text_tokens if text_tokens > 0 else None


def _count(values: Mapping[str, Any], name: str) -> int:
    """The named count, 0 where it is absent."""
    value = values.get(name)
    return value if isinstance(value, int) else 0


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def read_sources(corpus: Path) -> tuple[CorpusSource, ...]:
    """The sources of a finished corpus in the order of its statistics; empty without one."""
    sources = _json(corpus / "statistics.json").get("sources", {})
    return tuple(
        CorpusSource(
            name=name,
            read=_count(values, "read"),
            kept=_count(values, "kept"),
            train=_count(values, "train"),
            validation=_count(values, "validation"),
            text_bytes=_count(values, "bytes"),
            dropped=_dropped(values.get("dropped", {}), values.get("examples", {})),
            changed=values.get("changed", {}),
        )
        for name, values in sources.items()
    )


def _dropped(
    counts: Mapping[str, int], examples: Mapping[str, list[Mapping[str, str]]]
) -> tuple[Dropped, ...]:
    """One row a rule, the busiest first, each with its first example."""
    rows = []
    for rule, count in sorted(counts.items(), key=lambda row: -row[1]):
        first = next(iter(examples.get(rule, ())), {})
        rows.append(
            Dropped(
                rule,
                count,
                first.get("reason", ""),
                first.get("path", ""),
                first.get("opening", ""),
            )
        )
    return tuple(rows)


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
