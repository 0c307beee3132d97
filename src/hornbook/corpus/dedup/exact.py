"""Exact duplicates: texts that say the same, character for character, white space aside."""

from typing import Literal

import pyarrow as pa

from hornbook.corpus.documents import DROPPED

RULE = "exact_duplicate"


def exact_duplicates(measures: pa.Table) -> pa.Table:
    """Return the rows of DROPPED for every document whose content another document has too.

    Of the documents with equal content (see `measure.content_hash`) the longest survives, and of
    equally long ones that with the smallest id. The value is the survivor's id. Rows are in the
    order of the measures.
    """
    keys = measures.select(["id", "source", "path", "content", "characters"])
    order: list[tuple[str, Literal["ascending", "descending"]]]
    order = [("content", "ascending"), ("characters", "descending"), ("id", "ascending")]
    survivors: dict[str, tuple[str, str]] = {}
    for row in keys.sort_by(order).select(["content", "id", "path"]).to_pylist():
        survivors.setdefault(row["content"], (row["id"], row["path"]))
    rows = []
    for row in keys.to_pylist():
        survivor, path = survivors[row["content"]]
        if row["id"] != survivor:
            reason = f"says the same as {path}, which is kept"
            dropped = {name: row[name] for name in ("id", "source", "path")}
            rows.append(dropped | {"rule": RULE, "reason": reason, "value": survivor})
    return pa.Table.from_pylist(rows, DROPPED)
