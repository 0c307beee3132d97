"""The measures against slow twins that say the same in the plainest way."""

import re
import unicodedata
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hornbook.corpus.documents import Document, batches
from hornbook.corpus.measure import MEASURES, content_hash, find_words, line_shape, measure

SINGLE = "the a of cat x1 0x41 12 三 国 か é ß _id , . 😀 \u0301 ・ ー"
PIECES = st.sampled_from(
    [
        *SINGLE.split(),
        *("\n", "\n\n", "  ", "\t"),
        *("a longer line of words\n", "'\\x41' # 0x41 -> LETTER A\n"),
    ]
)
TEXTS = st.lists(PIECES, max_size=60).map(" ".join) | st.text(max_size=80)


def measured(texts: list[str], batch_bytes: int = 4_000_000) -> list[dict]:
    documents = [Document(text, f"{n}.txt", 0, "g") for n, text in enumerate(texts)]
    found = [measure(batch) for batch in batches(documents, "s", batch_bytes)]
    return [row for batch in found for row in batch.to_pylist()]


ALONE = [(0x3041, 0x3096), (0x30A1, 0x30FA), (0x3400, 0x4DBF), (0x4E00, 0x9FFF)]
ALONE += [(0xF900, 0xFAFF), (0x20000, 0x3FFFF)]  # hiragana, katakana, and five blocks of Han


def is_alone(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in ALONE)


def slow_ngrams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def slow_top_share(words: list[str], n: int) -> float:
    covered = [
        times * sum(map(len, gram))
        for gram, times in Counter(slow_ngrams(words, n)).items()
        if times > 1
    ]
    return min(1.0, max(covered, default=0) / max(1, sum(map(len, words))))


def slow_repeated_share(words: list[str], n: int) -> float:
    seen: set[tuple[str, ...]] = set()
    repeated: set[int] = set()
    for start, gram in enumerate(slow_ngrams(words, n)):
        if gram in seen:
            repeated |= set(range(start, start + n))
        seen.add(gram)
    return sum(len(words[place]) for place in repeated) / max(1, sum(map(len, words)))


def slow_table_share(text: str) -> float:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    rows = 0
    for place, line in enumerate(lines):
        neighbours = lines[max(0, place - 1) : place] + lines[place + 1 : place + 2]
        numbered = any(re.search(r"\d", character) for character in line)
        if numbered and line_shape(line) in [line_shape(other) for other in neighbours]:
            rows += len(line)
    return rows / max(1, sum(map(len, lines)))


def slow_measures(text: str) -> dict[str, object]:
    words = find_words(text)
    printed = [character for character in text if not character.isspace()]
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    in_lines = max(1, sum(map(len, lines)))
    duplicates = [line for n, line in enumerate(lines) if len(line) >= 10 and line in lines[:n]]
    return {
        "opening": lines[0][:60] if lines else "",
        "bytes": len(text.encode()),
        "characters": len(text),
        "lines": len(lines),
        "words": len(words),
        "mean_line_characters": sum(map(len, lines)) / max(1, len(lines)),
        "longest_line_characters": max(map(len, lines), default=0),
        "longest_word_characters": max(map(len, words), default=0),
        "letter_share": sum(c.isalpha() for c in printed) / max(1, len(printed)),
        "digit_share": sum(c.isdecimal() for c in printed) / max(1, len(printed)),
        "duplicate_line_share": sum(map(len, duplicates)) / in_lines,
        "table_share": slow_table_share(text),
        "top_2gram_share": slow_top_share(words, 2),
        "top_3gram_share": slow_top_share(words, 3),
        "repeated_5gram_share": slow_repeated_share(words, 5),
        "repeated_10gram_share": slow_repeated_share(words, 10),
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(TEXTS, max_size=6))
@example(["a b c d e " * 4, "a b c d e", "", "a b c d e"])
@example(["row 1 a\nrow 2 b\nno row\n3 rows c\n4 rows d", "last 1 a\nlast 2 b"])
@example(["x y " * 30, "三国三国三国三国三国三国"])
def test_measures_equal_their_slow_twins(texts):
    rows = measured(texts)
    assert len(rows) == len(texts)
    for text, row in zip(texts, rows, strict=True):
        expected = slow_measures(text)
        assert {name: row[name] for name in expected} == pytest.approx(expected)


@settings(deadline=None, max_examples=30)
@given(st.lists(TEXTS, min_size=1, max_size=8), st.integers(1, 200))
def test_measures_do_not_depend_on_the_batch(texts, batch_bytes):
    assert measured(texts, batch_bytes) == measured(texts)


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_words_cover_letters_and_digits_and_nothing_else(text):
    words = find_words(text)
    kept = Counter(c for c in text if c.isalnum() or c == "_" or is_alone(c))
    assert Counter("".join(words)) == kept
    assert all(len(word) == 1 for word in words if any(map(is_alone, word)))


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.lists(st.sampled_from(" \n\t\u3000"), min_size=1, max_size=3).map("".join))
def test_content_ignores_blanks_and_unicode_form_only(text, blanks):
    changed = blanks + re.sub(r"\s+", blanks, unicodedata.normalize("NFD", text)) + blanks
    assert content_hash(changed) == content_hash(text)
    assert content_hash(text + "x") != content_hash(text)


def test_all_columns_are_there_in_order():
    (batch,) = batches([Document("text", "a", 0, "g")], "s")
    assert measure(batch).schema == MEASURES


def test_rows_of_a_character_table_have_one_shape():
    rows = [
        "'\\x41'        #  0x41 -> LATIN CAPITAL LETTER A",
        "'\\xe9'        #  0xE9 -> LATIN SMALL LETTER E WITH ACUTE",
    ]
    assert len({line_shape(row) for row in rows}) == 1
    assert line_shape("for i in range(10):") != line_shape("    total += i")
