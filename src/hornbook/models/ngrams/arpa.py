r"""Counted models as ARPA files, the text format that n-gram programs share: writing.

    \data\                        how many n-grams of each order follow
    ngram 1=3
    \1-grams:                     log10 p, n-gram, log10 of its weight as a history (0 if left out)
    -0.5    the     -0.3
    \end\

Words are a model's tokens. A token of printable characters stands as it is; any other byte is
written `\xNN`, a backslash `\\`, so that there are no blanks in a word; a token without bytes, or
with the bytes of an earlier one, is `\#` and its id, and one that looks like a mark of the format
begins with `\x3c`. Without a tokenizer words are ids.

The token that ends a text is `</s>` where it is predicted and `<s>` where a history begins with it.
Our text goes on after it; sentences do not, so n-grams that have it in the middle are left out:
a file's histories begin with `<s>` at the earliest. `<unk>` has probability 0, written -99 as all
that is 0, for every text is made of tokens. All of the vocabulary stands among the 1-grams.

An ARPA file gives histories that are not in it the weight 1. So stupid backoff's scores after such
a history are larger in the file than in the model, all by one factor. What is no backoff model is
not written: add-k, which asks no shorter history, and maximum likelihood, which gives nothing after
the unseen. Source: Doug Paul's format of 1992, as SRILM's page ngram-format describes it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hornbook.errors import InputError
from hornbook.models.ngrams.model import Level, NGram
from hornbook.models.ngrams.tries import histories_between
from hornbook.models.vectors.text_format import escaped
from hornbook.runs.atomic import writing
from hornbook.tokenizers.tokenizer import Tokenizer

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
MARKS = (BEGIN, END, UNKNOWN)
ZERO = -99.0
"""What the format writes for the logarithm of 0; anything as small is read as 0."""

BLOCK = 1 << 16
"""n-grams written at a time."""


def words_of(tokenizer: Tokenizer) -> tuple[str, ...]:
    """How each token is written."""
    words: dict[str, None] = {}
    for token_id in range(tokenizer.vocab_size):
        shown = tokenizer.token_bytes(token_id).decode("utf-8", "surrogateescape")
        word = escaped(shown).decode("utf-8")
        if word in MARKS:
            word = r"\x3c" + word[1:]
        if tokenizer.special_tokens.get(tokenizer.end_of_text_name) == token_id:
            word = END
        words[rf"\#{token_id}" if not word or word in words else word] = None
    return tuple(words)


def write_arpa(model: NGram, path: str | Path, words: Sequence[str] | None = None) -> None:
    """Write an ARPA file, a block of n-grams at a time.

    words [vocab_size]: how each token is written, `</s>` the one that ends a text (`words_of`);
    without them ids are. Numbers have nine digits, so that float32 programs read the nearest.

    Raises:
        InputError: a model that an ARPA file cannot hold, words that do not fit it.
    """
    _require_backoff(model)
    words = tuple(map(str, range(model.vocab_size))) if words is None else words
    _require_words(words, model.vocab_size)
    end = words.index(END) if END in words else -1
    left_out = _inside(model.levels, end)
    marks = [mark for mark in MARKS if mark not in words]
    counts = [len(words) + len(marks), *(len(flags) - int(flags.sum()) for flags in left_out)]
    with writing(path) as file:
        file.write(b"\\data\\\n")
        file.writelines(b"ngram %d=%d\n" % counted for counted in enumerate(counts, 1))
        _write_words(file, model, words, marks)
        for order, skipped in enumerate(left_out, 2):
            file.write(b"\n\\%d-grams:\n" % order)
            for first in range(0, len(skipped), BLOCK):
                for line in _lines(model, order, first, skipped[first : first + BLOCK], words, end):
                    file.write(_data(line))
        file.write(b"\n\\end\\\n")


def _require_backoff(model: NGram) -> None:
    """Raise InputError for estimators whose numbers a backoff file cannot say."""
    why = ""
    if np.isnan(model.rule.unseen):
        why = "gives no probabilities after a context never seen"
    elif not model.rule.shorter and model.order > 1:
        why = "never asks a shorter history"
    if why:
        raise InputError(
            f"An ARPA file backs off to shorter histories, and {model.estimator} {why}; save the "
            f"model as safetensors, or count with another estimator."
        )


def _data(text: str) -> bytes:
    """Text as bytes; what was read from bytes that form no character comes back as these."""
    return text.encode(errors="surrogateescape")


def _require_words(words: Sequence[str], vocab_size: int) -> None:
    if len(words) != vocab_size:
        raise InputError(
            f"The model has {vocab_size} tokens, and {len(words)} words are given for them; give "
            f"those of the tokenizer it was counted with."
        )
    if len(set(words)) < len(words):
        raise InputError("Two of the words are the same; an ARPA file tells tokens by their words.")
    blank = [word for word in words if _data(word).split() != [_data(word)]]
    if blank:
        raise InputError(
            f"The word {blank[0]!r} is empty or holds a blank, at which ARPA files are split; "
            "`arpa.words_of` writes a tokenizer's tokens without."
        )


def _inside(levels: Sequence[Level], end: int) -> list[Flags]:
    """From order 2 on, which n-grams have the token `end` between their first and their last."""
    later = np.zeros(len(levels[0].tokens), dtype=np.bool_)  # whether it comes after the first
    found = []
    for level in levels[1:]:
        starts = level.child_starts.astype(np.int64)
        found.append(np.repeat(later, starts[1:] - starts[:-1]))
        later = found[-1] | (level.tokens == end)
    return found


def _write_words(file: BinaryIO, model: NGram, words: Sequence[str], marks: Sequence[str]) -> None:
    """The 1-grams: every token by its id, and the marks that no token is."""
    level = model.levels[0]
    p = np.full(model.vocab_size, level.weights[0] / model.vocab_size)
    p[level.tokens] = level.probabilities
    weights = np.full(model.vocab_size, model.rule.unseen if model.order > 1 else 1.0)
    if model.order > 1:
        weights[level.tokens] = model.levels[1].weights
    logs, backoffs = _logs(np.minimum(p, 1)).tolist(), _logs(weights).tolist()
    begins = 0.0
    file.write(b"\n\\1-grams:\n")
    for word, log, backoff in zip(words, logs, backoffs, strict=True):
        begins = backoff if word == END else begins
        file.write(_data(_line(log, word, 0.0 if word == END else backoff)))
    for mark in marks:
        file.write(_data(_line(ZERO, mark, begins if mark == BEGIN else 0.0)))


def _lines(
    model: NGram, order: int, first: int, skipped: Flags, words: Sequence[str], end: int
) -> Iterator[str]:
    """The lines of a block of n-grams of one order, from number `first` on."""
    kept = slice(first, first + len(skipped))
    rows = grams(model.levels[:order], first, first + len(skipped))
    weights = np.ones(len(rows))
    if order < model.order:
        weights = model.levels[order].weights[kept]
        weights = np.where(rows[:, -1] == end, 1.0, weights)  # what follows it is left out
    logs = _logs(np.minimum(model.levels[order - 1].probabilities[kept], 1))
    names = np.array([*words, BEGIN], dtype=object)
    rows[rows[:, 0] == end, 0] = len(words)
    keep = ~skipped
    shown = names[rows[keep]].tolist()
    for log, gram, backoff in zip(
        logs[keep].tolist(), shown, _logs(weights)[keep].tolist(), strict=True
    ):
        yield _line(log, " ".join(gram), backoff)


def _line(log: float, gram: str, backoff: float) -> str:
    return f"{log:.9g}\t{gram}\t{backoff:.9g}\n" if backoff else f"{log:.9g}\t{gram}\n"


def grams(levels: Sequence[Level], first: int, last: int) -> Ints:
    """The n-grams [last - first, order] of the last level, from number `first` to before `last`."""
    columns = [levels[-1].tokens[first:last]]
    above = histories_between(levels[-1].child_starts, first, last)
    for level in reversed(levels[:-1]):
        columns.append(level.tokens[above])
        above = np.searchsorted(level.child_starts, above, side="right") - 1
    return np.stack(columns[::-1], axis=1).astype(np.int64)


def _logs(values: Floats) -> Floats:
    """log10, and ZERO for 0."""
    logs: Floats = np.log10(values, out=np.full(len(values), ZERO), where=values > 0)
    return logs
