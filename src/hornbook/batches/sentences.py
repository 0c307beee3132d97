"""Where sentences begin among stored tokens, as far as ids can tell.

What objectives over sentences need (next-sentence prediction, sentence permutation, spans that end
with a sentence). Each id is looked at once, by the text it shows; then sentences are found in any
number of tokens by table look-ups. The rule:

    a sentence ends after 。 ！ ？ ! ? … and after a newline, and after a full stop
        unless a digit or a cased letter follows it without a space (3.14, hornbook.org),
        or a single capital stands before it (J. Austen);
    more such marks, closing quotes and brackets, blank lines and special tokens that follow belong
        to the sentence;
    a document begins a sentence.

So it ends after "e.g." too, and never inside a token: a token such as ！“ ends none. Marks that a
tokenizer breaks into bytes are not seen.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hornbook.batches.plans import Tokens

Numbers = NDArray[np.int64]
Truths = NDArray[np.bool_]

ENDING = "。！？｡!?…"
CLOSING = "\"'”’」』】）》〉»›)]}"

ENDS = 1  # ends a sentence wherever it stands
STOP = 2  # ends in a full stop, which ends a sentence unless its neighbours say otherwise
BARE = 4  # has nothing before that full stop
CAPITAL_STOP = 8  # has a single capital before that full stop, and nothing before the capital
TIGHT = 16  # has nothing after that full stop
FOLLOWS = 32  # belongs to the sentence before, if that has ended
WORD = 64  # begins with a digit or a cased letter
LETTER = 128  # ends with a letter or digit
CAPITAL = 256  # is a single capital
CAPITAL_WORD = 512  # ends with a single capital that does not go on from the token before


@dataclass(frozen=True, eq=False)
class SentenceTable:
    """What every id of a vocabulary says about the ends of sentences. flags [vocab]."""

    flags: NDArray[np.uint16]

    @property
    def ends(self) -> Truths:
        """Whether each id [vocab] may end a sentence."""
        return _has(self.flags, ENDS | STOP)


def sentence_table(pieces: Sequence[bytes], special: Collection[int]) -> SentenceTable:
    """Look at every id of a vocabulary once.

    pieces: the bytes that each id shows amid a text; special: ids that stand for no text.
    """
    flags = [
        FOLLOWS if number in special else _flags(piece.decode("utf-8", "replace"))
        for number, piece in enumerate(pieces)
    ]
    return SentenceTable(np.array(flags, dtype=np.uint16))


def _flags(text: str) -> int:
    """What one token's text says; its edges count only where no white space is there."""
    if not text:
        return 0
    body = text.rstrip()
    newline = ENDS if "\n" in text[len(body) :] else 0
    if not body:
        return newline | FOLLOWS if newline else 0
    marks = body.rstrip(CLOSING)
    if not marks:
        return newline | (0 if text[0].isspace() else FOLLOWS)
    found = newline | (WORD if _is_word(text[0]) else 0)
    if not body.strip(f".{ENDING}{CLOSING}"):
        found |= FOLLOWS
    if body == text:
        found |= LETTER if text[-1].isalnum() else 0
        found |= {"": 0, "alone": CAPITAL, "after": CAPITAL_WORD}[_single_capital(text)]
    if marks[-1] in ENDING:
        return found | ENDS
    return found | (_stop(marks, text) if marks[-1] == "." else 0)


def _stop(marks: str, text: str) -> int:
    """What a full stop at the end of `marks` means; `text` may have quotes and spaces after it."""
    before = marks[:-1]
    found = STOP | (TIGHT if text == marks else 0)
    if not before:
        return found | BARE
    capital = _single_capital(before)
    if capital == "after":
        return 0
    return found | (CAPITAL_STOP if capital == "alone" else 0)


def _single_capital(text: str) -> str:
    """Whether text is "alone" a capital, or ends with one "after" what is no letter, or neither."""
    if not text[-1].isupper():
        return ""
    if len(text) == 1:
        return "alone"
    return "" if text[-2].isalnum() else "after"


def _is_word(character: str) -> bool:
    return character.isdigit() or character.lower() != character.upper()


def sentence_starts(table: SentenceTable, tokens: Numbers, document_starts: Numbers) -> Numbers:
    """Index [sentences] of each sentence's first token, ascending; documents begin sentences.

    tokens [n]: ids; document_starts [documents]: index of each document's first token.
    """
    flags = table.flags[tokens]
    begins = np.zeros(len(tokens), dtype=bool)
    begins[document_starts] = True
    ended = _ended(flags, begins)
    goes_on = _has(flags, FOLLOWS)
    begins[1:] |= ended[:-1] & ~goes_on[1:]
    return np.flatnonzero(begins)


def _ended(flags: NDArray[np.uint16], begins: Truths) -> Truths:
    """Whether a sentence has ended by each token [n], and only closing tokens followed its end."""
    before = _shifted(flags, begins)
    earlier = _shifted(before, begins)
    joined, earlier_joined = _has(before, LETTER), _has(earlier, LETTER)
    initial = _has(flags, CAPITAL_STOP) & ~joined
    initial |= _has(flags, BARE) & _has(before, CAPITAL) & ~earlier_joined
    initial |= _has(flags, BARE) & _has(before, CAPITAL_WORD)
    goes_on = np.zeros(len(flags), dtype=bool)
    goes_on[:-1] = _has(flags[:-1], TIGHT) & _has(flags[1:], WORD)
    ends = _has(flags, ENDS) | (_has(flags, STOP) & ~initial & ~goes_on)
    places = np.arange(len(flags))
    last_end = np.maximum.accumulate(np.where(ends, places, -1))
    last_other = np.maximum.accumulate(np.where(_has(flags, FOLLOWS) & ~begins, -1, places))
    ended: Truths = (last_end >= last_other) & (last_end >= 0)
    return ended


def _shifted(flags: NDArray[np.uint16], begins: Truths) -> NDArray[np.uint16]:
    """The flags of the token before each, none where a document begins."""
    before = np.zeros_like(flags)
    before[1:] = np.where(begins[1:], 0, flags[:-1])
    return before


def _has(flags: NDArray[np.uint16], wanted: int) -> Truths:
    """Whether each has any of the wanted flags."""
    found: Truths = (flags & wanted) != 0
    return found


def document_and_sentences(
    array: Tokens, table: SentenceTable, document: int
) -> tuple[Numbers, Numbers]:
    """The ids [n] of a stored document, and where its sentences begin in them [sentences].

    Raises IndexError for a document that is not there.
    """
    starts = array.document_starts
    if not 0 <= document < len(starts):
        raise IndexError(f"document {document} of {len(starts)}")
    start = int(starts[document])
    end = int(starts[document + 1]) if document + 1 < len(starts) else array.tokens
    tokens = array.gather(np.array([start]), end - start)[0]
    return tokens, sentence_starts(table, tokens, np.zeros(1, dtype=np.int64))
