"""Measuring: one row of numbers for each document, from which alone the filters decide.

A word is a maximal run of letters, digits and underscores, except that every Han character and
every kana is a word of its own; so nothing here needs a language with spaces. Each word is hashed
once, and the n-grams of a whole batch are combined from these hashes (M. Rae et al. 2021, table A1,
has the repetition measures; our shares count the characters of words, without spaces).
"""

import re
import unicodedata
from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from hornbook.corpus.documents import strings

_COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "source": pa.string(),
    "path": pa.string(),
    "group": pa.string(),
    "opening": pa.string(),
    "content": pa.string(),
    "bytes": pa.int64(),
    "characters": pa.int64(),
    "lines": pa.int64(),
    "words": pa.int64(),
    "mean_line_characters": pa.float64(),
    "longest_line_characters": pa.int64(),
    "longest_word_characters": pa.int64(),
    "letter_share": pa.float64(),
    "digit_share": pa.float64(),
    "duplicate_line_share": pa.float64(),
    "table_share": pa.float64(),
    "top_2gram_share": pa.float64(),
    "top_3gram_share": pa.float64(),
    "repeated_5gram_share": pa.float64(),
    "repeated_10gram_share": pa.float64(),
}

MEASURES = pa.schema(_COLUMNS)
"""The columns of measures.parquet; a share is between 0 and 1, and 0 where there is nothing."""

_ALONE = "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+")
_ASCII_WORD = re.compile(r"\w+", re.ASCII)
_NUMBERS = re.compile(r"\w*\d\w*")
_NAMES = re.compile(r"[^\W\d]+(?:\s+[^\W\d]+)*")
_BLANKS = re.compile(r"\s+")
_DIGIT = re.compile(r"\d")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HELD_WORDS = 1_000_000

OPENING_CHARACTERS = 60
"""Characters of a text's first line that stand beside its numbers, to know it by."""

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]


def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the row of MEASURES for every document of a batch, in the batch's order."""
    texts = strings(batch, "text")
    rows = [_text_numbers(text) for text in texts]
    words = [find_words(text) for text in texts]
    columns = {name: batch.column(name) for name in ("id", "source", "path", "group")}
    columns |= {name: pa.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    columns |= {name: pa.array(values) for name, values in word_numbers(words).items()}
    arrays = [columns[field.name].cast(field.type) for field in MEASURES]
    return pa.record_batch(arrays, schema=MEASURES)


def content_hash(text: str) -> str:
    """Return the hash of what a text says: Unicode form C, white space collapsed."""
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    return xxhash.xxh3_128_hexdigest(normal.encode("utf-8"))


def find_words(text: str) -> list[str]:
    """Return the words of a text in order; see the module's first paragraph for what one is."""
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text)


def _text_numbers(text: str) -> dict[str, Any]:
    counts = Counter(text)
    printed = sum(number for character, number in counts.items() if not character.isspace())
    letters = sum(number for character, number in counts.items() if character.isalpha())
    digits = sum(number for character, number in counts.items() if character.isdecimal())
    lines = [line for raw in text.split("\n") if (line := raw.strip())]
    lengths = list(map(len, lines))
    in_lines = sum(lengths)
    return {
        "opening": lines[0][:OPENING_CHARACTERS] if lines else "",
        "content": content_hash(text),
        "bytes": len(text.encode("utf-8")),
        "characters": len(text),
        "lines": len(lines),
        "mean_line_characters": in_lines / max(1, len(lines)),
        "longest_line_characters": max(lengths, default=0),
        "letter_share": letters / max(1, printed),
        "digit_share": digits / max(1, printed),
        "duplicate_line_share": duplicate_line_characters(lines) / max(1, in_lines),
        "table_share": table_characters(lines) / max(1, in_lines),
    }


def duplicate_line_characters(lines: list[str]) -> int:
    """Return the characters of lines that stood before; lines under 10 characters never count."""
    counts = Counter(line for line in lines if len(line) >= 10)
    return sum(len(line) * (number - 1) for line, number in counts.items())


def table_characters(lines: list[str]) -> int:
    r"""Return the characters of lines that look like rows of a table.

    A row holds a number and has the shape of the line before or after it: "'\xe9' # 0xE9 -> SMALL
    E" and "'@' # 0x40 -> AT SIGN" are both "'a'#0->a" or so, words with a digit being 0 and runs of
    other words a.
    """
    shapes = [line_shape(line) if _DIGIT.search(line) else None for line in lines]
    before, after = [None, *shapes], [*shapes[1:], None]
    return sum(
        len(line)
        for line, shape, previous, following in zip(lines, shapes, before, after, strict=False)
        if shape is not None and shape in (previous, following)
    )


def line_shape(line: str) -> str:
    """Return a line with its words blotted out: numbers as 0, runs of names as a, no blanks."""
    return _BLANKS.sub("", _NAMES.sub("a", _NUMBERS.sub("0", line)))


class _WordHashes(dict[str, int]):
    """Word -> its hash, each word hashed when first met."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _HELD_WORDS:
            self.clear()
        self[word] = value = xxhash.xxh3_64_intdigest(word.encode("utf-8"))
        return value


_word_hashes = _WordHashes()


def word_numbers(documents: list[list[str]]) -> dict[str, NDArray[np.generic]]:
    """Return the measures that need words, for all documents of a batch at once."""
    words = list(chain.from_iterable(documents))
    counts = np.array([len(document) for document in documents], dtype=np.int64)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    hashes = np.fromiter(map(_word_hashes.__getitem__, words), np.uint64, len(words))
    owner = np.repeat(np.arange(len(documents)), counts)
    totals = np.maximum(1, np.bincount(owner, weights=lengths, minlength=len(documents)))
    longest = np.zeros(len(documents), np.int64)
    np.maximum.at(longest, owner, lengths)
    numbers: dict[str, NDArray[np.generic]] = {"words": counts, "longest_word_characters": longest}
    for n in (2, 3):
        numbers[f"top_{n}gram_share"] = top_ngram_characters(hashes, lengths, owner, n, counts.size)
    for n in (5, 10):
        covered = repeated_ngram_words(hashes, owner, n) * lengths
        numbers[f"repeated_{n}gram_share"] = np.bincount(owner, covered, counts.size)
    for name, values in numbers.items():
        if name.endswith("_share"):
            numbers[name] = np.minimum(1.0, values / totals)
    return numbers


def top_ngram_characters(
    hashes: Hashes, lengths: Integers, owner: Integers, n: int, documents: int
) -> Integers:
    """Return for each document the most characters that one n-gram covers, if it occurs twice.

    Overlapping occurrences each count in full.
    """
    best = np.zeros(documents, np.int64)
    starts, grams = _ngrams(hashes, owner, n)
    _, first, times = np.unique(grams, return_index=True, return_counts=True)
    first, times = starts[first[times > 1]], times[times > 1]
    ends = np.concatenate([[0], np.cumsum(lengths)])
    np.maximum.at(best, owner[first], (ends[first + n] - ends[first]) * times)
    return best


def repeated_ngram_words(hashes: Hashes, owner: Integers, n: int) -> NDArray[np.bool_]:
    """Return which words stand in an n-gram that has occurred before in the same document."""
    starts, grams = _ngrams(hashes, owner, n)
    _, first = np.unique(grams, return_index=True)
    repeated = np.ones(grams.size, bool)
    repeated[first] = False
    edges = np.zeros(hashes.size + 1, np.int64)
    np.add.at(edges, starts[repeated], 1)
    np.add.at(edges, starts[repeated] + n, -1)
    return np.cumsum(edges)[:-1] > 0


def _ngrams(hashes: Hashes, owner: Integers, n: int) -> tuple[Integers, Hashes]:
    """Return where the n-grams start that lie in one document, and hashes that name their owner."""
    count = max(0, hashes.size - n + 1)
    grams = owner[:count].astype(np.uint64)
    for place in range(n):
        grams = (grams ^ (grams >> np.uint64(29))) * _MULTIPLIER + hashes[place : place + count]
    inside = owner[:count] == owner[n - 1 : n - 1 + count]
    return np.flatnonzero(inside), grams[inside]
