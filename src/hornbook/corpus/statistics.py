"""What was read, kept and dropped, and why: counted for the machine, told for people."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from hornbook.corpus.documents import strings

EXAMPLES = 5
"""Dropped documents that are named for each rule, the longest first."""

Statistics = Mapping[str, Any]


@dataclass
class Tally:
    """The counts of one source while it is being read and written; bytes are of UTF-8."""

    measured: pa.Table
    dropped: pa.Table
    changed: Counter[str]
    documents: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def count(self, split: str, text: str) -> None:
        """Take note of a document written to a split."""
        self.documents[split] += 1
        self.bytes[split] += len(text.encode("utf-8"))

    def summary(self) -> dict[str, Any]:
        """Return the source's entry of statistics.json.

        `read` counts records, those included that could not be read; read = kept + all dropped.
        A document that gives its end to validation counts in both splits.
        """
        rules = Counter(strings(self.dropped, "rule"))
        measured = self.measured.select(["id", "bytes", "opening"]).to_pylist()
        sizes = {row["id"]: row["bytes"] for row in measured}
        openings = {row["id"]: row["opening"] for row in measured}
        lost = set(strings(self.dropped, "id"))
        unread = sum(row not in sizes for row in strings(self.dropped, "id"))
        return {
            "read": len(sizes) + unread,
            "read_bytes": sum(sizes.values()),
            "kept": len(sizes) + unread - self.dropped.num_rows,
            "bytes": sum(size for key, size in sizes.items() if key not in lost),
            "train": self.documents["train"],
            "train_bytes": self.bytes["train"],
            "validation": self.documents["validation"],
            "validation_bytes": self.bytes["validation"],
            "dropped": dict(sorted(rules.items())),
            "dropped_bytes": _bytes_by_rule(self.dropped, sizes),
            "changed": dict(sorted(self.changed.items())),
            "examples": _examples(self.dropped, sizes, openings),
        }


def _bytes_by_rule(dropped: pa.Table, sizes: Mapping[str, int]) -> dict[str, int]:
    lost: Counter[str] = Counter()
    for row in dropped.select(["id", "rule"]).to_pylist():
        lost[row["rule"]] += sizes.get(row["id"], 0)
    return dict(sorted(lost.items()))


def _examples(
    dropped: pa.Table, sizes: Mapping[str, int], openings: Mapping[str, str]
) -> dict[str, list[dict[str, str]]]:
    chosen: dict[str, list[dict[str, str]]] = {}
    rows = dropped.to_pylist()
    for row in sorted(rows, key=lambda row: (-sizes.get(row["id"], 0), row["path"], row["id"])):
        examples = chosen.setdefault(row["rule"], [])
        if len(examples) < EXAMPLES:
            example = {name: row[name] for name in ("id", "path", "value", "reason")}
            examples.append(example | {"opening": openings.get(row["id"], "")})
    return dict(sorted(chosen.items()))


def totals(statistics: Statistics) -> dict[str, int | float]:
    """Return what all sources give together: documents kept and dropped, megabytes of UTF-8."""
    entries = statistics["sources"].values()
    return {
        "documents": sum(entry["kept"] for entry in entries),
        "dropped": sum(sum(entry["dropped"].values()) for entry in entries),
        "megabytes": round(sum(entry["bytes"] for entry in entries) / 1e6, 2),
    }


def summary_rows(statistics: Statistics) -> list[dict[str, str | int]]:
    """Return one row a source: source, read, kept, MB, train, validation, dropped (in words)."""
    return [
        {
            "source": name,
            "read": entry["read"],
            "kept": entry["kept"],
            "MB": f"{entry['bytes'] / 1e6:.2f}",
            "train": entry["train"],
            "validation": entry["validation"],
            "dropped": ", ".join(f"{n} {rule}" for rule, n in entry["dropped"].items()) or "none",
        }
        for name, entry in statistics["sources"].items()
    ]


def summary_lines(statistics: Statistics, examples: int = 2) -> Iterator[str]:
    """Yield lines to print: a table of the sources, then what was dropped, with a few examples."""
    rows = [{name: str(value) for name, value in row.items()} for row in summary_rows(statistics)]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    for row in [{name: name for name in widths}, *rows]:
        yield "  ".join(value.ljust(widths[name]) for name, value in row.items()).rstrip()
    for name, entry in statistics["sources"].items():
        for rule, chosen in entry["examples"].items():
            yield f"{name}: {entry['dropped'][rule]} dropped by {rule}, such as"
            for example in chosen[:examples]:
                opening = f" ({example['opening']})" if example["opening"] else ""
                yield f"    {example['path']}{opening}: {example['reason']}"
