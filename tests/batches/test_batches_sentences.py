import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.batches.sentences import (
    document_and_sentences,
    sentence_starts,
    sentence_table,
)

WORDS = r" ?\w+| ?[^\s\w]+|\s+"  # a piece a word, as byte-level pre-tokenisers cut
LETTERS = r"(?s)."


def split(text, pattern):
    """Sentences of a text whose pieces are its tokens."""
    pieces = re.findall(pattern, text)
    vocabulary = sorted(set(pieces))
    ids = np.array([vocabulary.index(piece) for piece in pieces])
    table = sentence_table([piece.encode() for piece in vocabulary], ())
    starts = sentence_starts(table, ids, np.zeros(1, dtype=np.int64))
    return ["".join(pieces[a:b]) for a, b in zip(starts, [*starts[1:], None], strict=True)]


ENGLISH = [
    "Pi is 3.14159.",
    " It was found by J. Austen!",
    ' "Was it?"',
    " he asked (twice.)",
    " NASA says no.",
    " See hornbook.org…\n\n",
    "A new line\n",
    "The end.",
]
CHINESE = ["床前明月光，疑是地上霜。", "举头望明月！", "他问：“谁？”\n", "我说『好。』", "共3.5元"]


@pytest.mark.parametrize("pattern", [WORDS, LETTERS], ids=["words", "letters"])
@pytest.mark.parametrize("sentences", [ENGLISH, CHINESE], ids=["English", "Chinese"])
def test_sentences_of_a_text_by_words_and_by_letters(sentences, pattern):
    assert split("".join(sentences), pattern) == sentences


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("It is A. And B", 1),  # a single capital
        ("It is NASA. And B", 2),
        ("U.S. law", 1),
        ("v1.2 is out", 1),
        ("end.Next", 1),
        ("用ASCII.我们", 2),  # ideographs have no case
        ('He said "no." She', 2),
        ("Wait... what?! No", 3),
        (". . .", 3),
        ("e.g. this", 2),  # a limit, stated
        ("no end", 1),
    ],
)
@pytest.mark.parametrize("pattern", [WORDS, LETTERS], ids=["words", "letters"])
def test_full_stops_by_their_neighbours(text, count, pattern):
    assert len(split(text, pattern)) == count


def test_the_table_of_ends():
    pieces = [
        b"the",
        b".",
        b" J.",
        b'!"',
        "。".encode(),
        b"\xe3",
        b"\n\n",
        b" ",
        b"a.b",
        b"",
        b"<e>",
    ]
    table = sentence_table(pieces, {10})
    expected = [False, True, False, True, True, False, True, False, False, False, False]
    assert table.ends.tolist() == expected


PIECES = ["a", " b", "A", " B", ".", ". ", "J.", " K.", "7", "。", "?", '"', ' "', "”", "\n", "  "]
PIECES += ["x.", "...", "!)", "<e>", "", "é"]
SPECIAL = PIECES.index("<e>")


def is_cased(character):
    return character.isdigit() or character.lower() != character.upper()


def after_capital(text, before):
    """Whether what stands before a full stop ends in one capital that no letter precedes."""
    if not text[-1:].isupper():
        return False
    previous = text[-2:-1] or before[-1:]
    return not previous.isalnum()


def naive_starts(ids, documents):
    """The rule again, a token at a time, looking at text."""
    texts = [PIECES[i] for i in ids]
    starts, ended = [], False
    for i, text in enumerate(texts):
        blank = text and not text.strip()
        closes = i not in documents and (
            ids[i] == SPECIAL
            or (blank and "\n" in text)
            or (text and not text[0].isspace() and not text.rstrip().strip('"”)。?!.'))
        )
        if i in documents or (ended and not closes):
            starts.append(i)
        before = [
            texts[j] if min(documents_from(documents, i)) <= j else "" for j in (i - 1, i - 2)
        ]
        after = texts[i + 1] if i + 1 < len(texts) and i + 1 not in documents else ""
        ended = ends(ids[i], text, before, after) or (ended and closes)
    return starts


def documents_from(documents, i):
    """Where the document of token i begins."""
    return [max(d for d in documents if d <= i)]


def ends(number, text, before, after):
    if number == SPECIAL:
        return False
    if "\n" in text:
        return True
    core = text.strip(" ").rstrip('"”)') if text.strip(' "”)') else ""
    if core[-1:] in ("。", "?", "!") and core:
        return True
    if core[-1:] != ".":
        return False
    if text.endswith(".") and after and is_cased(after[0]):
        return False
    head = text.rstrip(" ")[:-1] if text.rstrip(" ").endswith(".") else core[:-1]
    if head:
        return not after_capital(head, before[0])
    return not after_capital(before[0], before[1])


@settings(deadline=None, max_examples=400)
@given(
    st.lists(st.integers(0, len(PIECES) - 1), min_size=1, max_size=25),
    st.sets(st.integers(1, 24), max_size=4),
)
def test_sentence_starts_against_a_naive_loop(ids, cuts):
    documents = [0, *sorted(cut for cut in cuts if cut < len(ids))]
    table = sentence_table([piece.encode() for piece in PIECES], {SPECIAL})
    found = sentence_starts(table, np.array(ids), np.array(documents))
    assert found.tolist() == naive_starts(ids, documents)


def test_a_document_knows_nothing_of_the_one_before():
    """Its first token, a full stop, ends a sentence though the last document ended in a capital."""
    table = sentence_table([piece.encode() for piece in PIECES], {SPECIAL})
    ids = np.array([PIECES.index(piece) for piece in (" B", ".", " b", " B", "a")])
    assert sentence_starts(table, ids, np.array([0, 1])).tolist() == [0, 1, 2]
    assert sentence_starts(table, ids, np.array([0])).tolist() == [0]


def test_a_stored_document_and_its_sentences(array_of):
    texts = ["One. Two two", "Three! Four. Five", "Six"]
    pieces = ["<e>", *sorted({p for text in texts for p in re.findall(WORDS, text)})]
    ids, starts = [], []
    for text in texts:
        starts.append(len(ids))
        ids += [*(pieces.index(piece) for piece in re.findall(WORDS, text)), 0]
    array = array_of(ids, starts)
    table = sentence_table([piece.encode() for piece in pieces], {0})
    tokens, sentences = document_and_sentences(array, table, 1)
    assert tokens.tolist() == ids[starts[1] : starts[2]]
    assert sentences.tolist() == [0, 2, 4]
    last, sentences = document_and_sentences(array, table, 2)
    assert (len(last), sentences.tolist()) == (2, [0])
    whole = sentence_starts(table, np.array(ids), np.array(starts))
    assert whole.tolist() == [0, 2, 5, 7, 9, 11]
    for wrong in (-1, 3):
        with pytest.raises(IndexError, match="of 3"):
            document_and_sentences(array, table, wrong)
