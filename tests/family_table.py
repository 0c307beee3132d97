"""Run every test that fills a cell of the families' table, and print the table: `make families`.

A test marked `column("logits")` whose id begins with a family's name belongs to that family's row;
`column("logits", "ngram")` names the row itself.
A cell says how many such tests passed; a failure is named in it, and makes the exit code 1.

    python tests/family_table.py                          all columns, about five minutes
    python tests/family_table.py --speed ratios.json      with the ratios of benchmarks/families.py
"""

import argparse
import json
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from hornbook.models import COUNTED, FAMILIES, VECTORS
from table_cells import TESTS, Cells, Place, print_row

COLUMNS = (
    "hidden states",
    "logits",
    "gradients",
    "cache",
    "mask property",
    "batch invariance",
    "round trip",
    "planted bugs caught",
    "overfits",
)
HEADS = {"cache": "cache or state", "overfits": "trains"}
"""What columns are called where it is not their mark."""

ROWS = (*COUNTED, *VECTORS, *FAMILIES)
WITHOUT_A_CLASS = (
    "glm", "chatglm", "nplm", "rnn", "lstm", "gru", "bilm", "seq2seq", "bahdanau", "luong",
)  # fmt: skip
LOOPS = {
    "gpt3": " and our own loops",
    "rnn": "torch's stack and our own loops",
    "lstm": "torch's stack and our own loops",
    "gru": "torch's stack and our own loops",
    "ngram": "our own fractions, nltk, kenlm",
    "word2vec": "our own loops",
    "seq2seq": "torch's stacks and our own loops",
    **dict.fromkeys(("glm", "chatglm", "nplm", "bilm", "bahdanau", "luong"), "our own loops"),
}
NOT_THERE = {
    ("hidden states", "ngram"): "none",
    ("gradients", "ngram"): "counted",
    ("mask property", "ngram"): "no mask",
    **{(column, "word2vec"): "no logits" for column in ("logits", "cache", "mask property")},
    ("hidden states", "word2vec"): "no states",
    ("batch invariance", "word2vec"): "no batch",
    ("cache", "bert"): "reads all at once",
    ("cache", "roberta"): "reads all at once",
    **{("round trip", family): "no class" for family in WITHOUT_A_CLASS},
}


def place_of(item: pytest.Item) -> Place | None:
    """The family and column of a marked test."""
    marker = item.get_closest_marker("column")
    found = re.search(r"\[([a-z0-9_]+?)(?:-|\])", item.name)
    named = marker.args[1:] if marker else ()
    if named:
        return named[0], marker.args[0]
    if marker and found and found.group(1) in FAMILIES:
        return found.group(1), marker.args[0]
    return None


def oracle_of(family: str) -> str:
    """The independent implementation that the family is compared with."""
    sys.path.insert(0, str(TESTS / "models"))
    from oracles import ORACLES

    theirs = type(ORACLES[family].make()).__name__ if family in ORACLES else ""
    return theirs + LOOPS.get(family, "")


def speed_of(path: Path | None) -> dict[str, str]:
    """ "1.23 · 1.10" of each family, fp32 and bf16, as the benchmarks measured them."""
    found = json.loads(path.read_text(encoding="utf-8")) if path else {}
    ratios: dict[str, list[str]] = defaultdict(list)
    for name, measured in found.items():
        family, dtype = name.split()
        if "said" in measured:  # a rate without a peer beside it
            ratios[family].append(measured["said"])
            continue
        pairs = zip(measured["seconds"]["theirs"], measured["seconds"]["ours"], strict=True)
        ratio = statistics.median(theirs / ours for theirs, ours in pairs)
        ratios[family].append(f"{dtype} {ratio:.2f}")
    return {family: " · ".join(both) for family, both in ratios.items()}


def main() -> int:
    """Run, print, and return 1 where a cell failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--speed", type=Path, help="JSON of benchmarks/families.py")
    parser.add_argument("-k", default="", help="as pytest's, to look at a part")
    options = parser.parse_args()
    cells = Cells(place_of)
    cells.run("-m", "column", *(["-k", options.k] if options.k else []), str(TESTS))
    speed = speed_of(options.speed)
    heads = ("family", "oracle", *(HEADS.get(name, name) for name in COLUMNS), "speed")
    print_row(heads)
    print("|" + " --- |" * len(heads))
    for family in ROWS:
        row = [
            cells.cell(family, column, NOT_THERE.get((column, family), "-")) for column in COLUMNS
        ]
        oracle = f"{oracle_of(family)}: {cells.cell(family, 'oracle')}"
        print_row([family, oracle, *row, speed.get(family, "-")])
    return cells.end()


if __name__ == "__main__":
    sys.exit(main())
