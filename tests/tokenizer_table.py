"""Run every test that holds a kind of tokenizer to its originals, and print the table.

A test marked `tokenizers("encode", "wordpiece")` belongs to that cell. A cell says how many texts
its tests compared where they count them (`count_cases`), else how many tests passed; a failure is
named in it, and makes the exit code 1.

    python tests/tokenizer_table.py
"""

import sys
from types import MappingProxyType

import pytest

from hornbook.tokenizers import TOKENIZERS
from table_cells import TESTS, Cells, Place, print_row

COLUMNS = (
    "train", "encode", "decode", "offsets", "formats read", "formats written", "adversarial",
    "bad input",
)  # fmt: skip
LIBRARIES = MappingProxyType(
    {
        "character": "tokenizers",
        "word": "tokenizers",
        "byte": "our own loop",
        "bpe": "tokenizers, transformers (GPT-1)",
        "byte-bpe": "tokenizers, tiktoken, our own loop",
        "wordpiece": "tokenizers, transformers (BERT)",
        "sentencepiece-bpe": "sentencepiece",
        "sentencepiece-unigram": "sentencepiece",
        "pipeline": "tokenizers, transformers",
    }
)


def place_of(item: pytest.Item) -> Place | None:
    """The kind and column of a marked test; a parameter may name the kind."""
    marker = item.get_closest_marker("tokenizers")
    if marker is None:
        return None
    if len(marker.args) > 1:
        return marker.args[1], marker.args[0]
    named = item.callspec.params.get("kind", "") if hasattr(item, "callspec") else ""
    return (named, marker.args[0]) if named in LIBRARIES else None


def cases(test: str) -> int:
    """How many texts a test compared; 1 where it does not count them."""
    from case_counts import TRIED

    return TRIED[test] or 1


def main() -> int:
    """Run, print, and return 1 where a cell failed."""
    sys.path.insert(0, str(TESTS / "tokenizers"))
    cells = Cells(place_of, cases)
    cells.run("-m", "tokenizers", str(TESTS / "tokenizers"))
    heads = ("kind", "library", *COLUMNS)
    print_row(heads)
    print("|" + " --- |" * len(heads))
    for kind in (*TOKENIZERS, "pipeline"):
        print_row([kind, LIBRARIES[kind], *(cells.cell(kind, column) for column in COLUMNS)])
    return cells.end()


if __name__ == "__main__":
    sys.exit(main())
