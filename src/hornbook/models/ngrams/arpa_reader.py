r"""Counted models from ARPA files (arpa.py), of ours or of any other program.

Read line by line, in blocks, one order after another: besides the model, an n-gram takes 28 bytes
until its order is read, and 8 more where the file is not sorted as the model is.

`<s>`, with which histories begin, and `</s>`, which ends a text, become one token, as in a stream
of texts; `<s>` itself is never predicted, whatever probability the file gives it. N-grams that have
`<s>` after another word, or go on after `</s>`, are never asked for; they are skipped, and a note
says so. A mark of probability 0 that no history begins with is no word.

Whether the numbers are probabilities does not stand in a file, so some histories are added up.
"""

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from hornbook.errors import InputError
from hornbook.models.ngrams import arpa
from hornbook.models.ngrams.arpa import ZERO, grams
from hornbook.models.ngrams.model import Level, NGram, Rule
from hornbook.models.ngrams.spec import ARPA
from hornbook.models.ngrams.tries import BLOCK, find, smallest

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Whole = NDArray[np.integer]

CHECKED_HISTORIES = 50
"""Histories of each order that are added up."""

ROUNDING = 1e-3
"""How far from 1 a sum may be, in a file of few digits."""

BEGIN, END, UNKNOWN = (mark.encode() for mark in arpa.MARKS)

ESCAPES = "surrogateescape"
"""Words of other programs may hold bytes that form no character."""

COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)")


def read_arpa(
    path: str | Path, words: Sequence[str] | None = None
) -> tuple[NGram, tuple[str, ...]]:
    """The model in a file, and the word of each of its tokens.

    words: the word of each id (`arpa.words_of`). Without them ids follow the file's order, and what
    is returned has `</s>` for both marks.

    Raises:
        InputError: the file is not there or broken, with the line; a word is none of `words`.
    """
    lines = _Lines(Path(path))
    counts = _counts(lines)
    listed = _listed(lines, counts[0])
    names = _words(listed) if words is None else [word.encode("utf-8", ESCAPES) for word in words]
    ids = {name: number for number, name in enumerate(names)}
    _require_known(lines, listed, ids)
    level, backoffs = _first(lines, listed, ids)
    levels, skipped = [level], 0
    if END in ids:
        ids[BEGIN] = len(names)
    for order, count in enumerate(counts[1:], 2):
        level, backoffs, left_out = _longer(lines, order, count, levels, backoffs, ids)
        levels.append(level)
        skipped += left_out
    if lines.next() != b"\\end\\":
        lines.fail(r"\end\ should stand here; the file is cut, or its counts are wrong")
    notes = (f"arpa: {skipped} n-grams with a mark in the middle are skipped",) if skipped else ()
    model = NGram(len(names), tuple(levels), Rule(ARPA), notes)
    rule = Rule(ARPA, is_normalised=_sums_to_one(model))
    return replace(model, rule=rule), tuple(name.decode("utf-8", ESCAPES) for name in names)


class _Lines:
    """The lines of a file, one after another, without the blanks around them."""

    def __init__(self, path: Path) -> None:
        self.path, self.number = path, 0
        self._held: list[bytes] = []
        self._lines = self._all()

    def next(self) -> bytes:
        """The next line that holds something; empty at the end of the file."""
        if self._held:
            return self._held.pop()
        return next(filter(None, self._lines), b"")

    def entries(self) -> Iterator[bytes]:
        """The lines up to one that is empty or begins with a backslash."""
        for line in self._lines:
            if not line or line.startswith(b"\\"):
                self._held.append(line) if line else None
                return
            yield line

    def fail(self, what: str, line: int = 0) -> NoReturn:
        """Raise InputError about a line, by default the one that was read last."""
        raise InputError(f"{self.path}, line {line or self.number}: {what}; write the file again.")

    def _all(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                for self.number, line in enumerate(file, 1):
                    yield line.strip()
        except OSError as error:
            why = error.strerror or error
            raise InputError(f"{self.path} cannot be read ({why}); name an ARPA file.") from error


def _counts(lines: _Lines) -> list[int]:
    r"""How many n-grams of each order \data\ says there are."""
    while (line := lines.next()) != b"\\data\\":
        if not line:
            raise InputError(rf"{lines.path} has no line \data\, so it is no ARPA file.")
    counts: list[int] = []
    for line in lines.entries():
        found = COUNT.fullmatch(line)
        if found is None or int(found[1]) != len(counts) + 1:
            lines.fail(f"{_shown(line)} should be: ngram {len(counts) + 1}=HOW MANY")
        counts.append(int(found[2]))
    if not counts or not counts[0]:
        lines.fail(r"\data\ counts no words")
    return counts


def _entries(lines: _Lines, order: int, count: int) -> Iterator[tuple[float, list[bytes], float]]:
    """Each n-gram of an order: log10 p, words, log10 of its weight."""
    header = rb"\%d-grams:" % order
    if (line := lines.next()) != header:
        lines.fail(f"{header.decode()} should stand here, not {_shown(line)}")
    held = 0
    for line in lines.entries():
        fields = line.split()
        if not order + 1 <= len(fields) <= order + 2:
            lines.fail(
                f"{len(fields)} fields; a line has a log probability, {order} words and perhaps a "
                f"backoff weight"
            )
        log, backoff = _number(lines, fields[0]), 0.0
        if log > 0:
            lines.fail(f"the log probability {log:g} is above 0")
        if len(fields) > order + 1:
            backoff = _number(lines, fields[-1])
        held += 1
        yield log, fields[1 : order + 1], backoff
    if held != count:
        lines.fail(rf"the {order}-grams end after {held}, and \data\ says {count}")


def _number(lines: _Lines, field: bytes) -> float:
    try:
        number = float(field)
    except ValueError:
        number = np.nan
    if not number < np.inf:
        lines.fail(f"{_shown(field)} is not a number")
    return number


def _listed(lines: _Lines, count: int) -> dict[bytes, tuple[float, float]]:
    """The 1-grams by word: log10 p, log10 weight."""
    listed: dict[bytes, tuple[float, float]] = {}
    for log, (word,), backoff in _entries(lines, 1, count):
        if word in listed:
            lines.fail(f"the word {_shown(word)} stands among the 1-grams twice")
        listed[word] = log, backoff
    return listed


def _words(listed: Mapping[bytes, tuple[float, float]]) -> list[bytes]:
    """The words of a file, without the marks that it does not use."""
    begins = listed.get(BEGIN, (0.0, 0.0))[1] != 0
    unused = {BEGIN}
    for mark in (END, UNKNOWN):
        if listed.get(mark, (0.0, 0.0))[0] <= ZERO and not (mark == END and begins):
            unused.add(mark)
    words = [word for word in listed if word not in unused]
    return [*words, END] if begins and END not in listed else words


def _require_known(
    lines: _Lines, listed: Mapping[bytes, tuple[float, float]], ids: Mapping[bytes, int]
) -> None:
    """Raise InputError for a word that is no token, unless it is a mark that is never predicted."""
    for word, (log, _) in listed.items():
        is_mark = word == BEGIN or (word in (END, UNKNOWN) and log <= ZERO)
        if word not in ids and not is_mark:
            raise InputError(
                f"{lines.path} has the word {_shown(word)}, which is no token of the tokenizer; "
                f"read it without one, or with the one it was counted with."
            )


def _first(
    lines: _Lines, listed: Mapping[bytes, tuple[float, float]], ids: Mapping[bytes, int]
) -> tuple[Level, Floats]:
    """The level of single words, and log10 of their weights as histories."""
    if not any(word in ids for word in listed):
        raise InputError(f"{lines.path} lists no word in its \\1-grams but marks; it is no model.")
    found = {ids[word]: numbers for word, numbers in listed.items() if word in ids}
    if BEGIN in listed and END in ids:
        found[ids[END]] = found.get(ids[END], (ZERO, 0.0))[0], listed[BEGIN][1]
    tokens = np.array(sorted(found), dtype=np.int64)
    logs, backoffs = np.array([found[token] for token in tokens.tolist()]).T
    ends = np.array([0, len(tokens)])
    return Level(smallest(tokens), smallest(ends), _powers(logs), np.zeros(1)), backoffs


def _longer(
    lines: _Lines,
    order: int,
    count: int,
    levels: Sequence[Level],
    weights: Floats,
    ids: Mapping[bytes, int],
) -> tuple[Level, Floats, int]:
    """The level of an order, log10 of its weights as histories, and how many were skipped.

    weights: log10, of the n-grams of the order below.
    """
    piles = [array(kind) for kind in "iiddi"]
    for rows, numbers in _blocks(lines, order, count, ids):
        for pile, column in zip(piles, _kept(lines, rows, numbers, levels, ids), strict=True):
            pile.frombytes(column.tobytes())
    histories, tokens, logs, backoffs, at = (np.asarray(memoryview(pile)) for pile in piles)
    turn = _turn(lines, histories, tokens, at)
    tokens = tokens[turn]
    starts = np.zeros(len(weights) + 1, dtype=np.int64)
    np.cumsum(np.bincount(histories, minlength=len(weights)), out=starts[1:])
    level = Level(smallest(tokens), smallest(starts), _powers(logs[turn]), _powers(weights))
    return level, backoffs[turn], count - len(tokens)


def _blocks(
    lines: _Lines, order: int, count: int, ids: Mapping[bytes, int]
) -> Iterator[tuple[Ints, Floats]]:
    """Some lines at a time: [n, order + 1] ids and the line's number, [n, 2] log10 p and weight."""
    rows, numbers = array("q"), array("d")
    for log, words, backoff in _entries(lines, order, count):
        try:
            rows.extend([ids[word] for word in words])
        except KeyError as error:
            lines.fail(f"the word {_shown(error.args[0])} is not among the 1-grams")
        rows.append(lines.number)
        numbers.extend((log, backoff))
        if len(numbers) == 2 * BLOCK:
            yield np.array(rows).reshape(-1, order + 1), np.array(numbers).reshape(-1, 2)
            rows, numbers = array("q"), array("d")
    yield np.array(rows).reshape(-1, order + 1), np.array(numbers).reshape(-1, 2)


def _kept(
    lines: _Lines,
    rows: Ints,
    numbers: Floats,
    levels: Sequence[Level],
    ids: Mapping[bytes, int],
) -> tuple[Whole, Whole, Floats, Floats, Whole]:
    """Of a block, what can be asked for: histories' numbers, last tokens, both log10, lines."""
    begin, end = ids.get(BEGIN, -1), ids.get(END, -1)
    words = rows[:, :-1]
    skipped = (words[:, 1:] == begin).any(axis=1) | (words[:, :-1] == end).any(axis=1)
    rows, numbers = rows[~skipped], numbers[~skipped]
    words, at = np.where(rows[:, :-1] == begin, end, rows[:, :-1]), rows[:, -1]
    histories = np.zeros(len(words), dtype=np.int64)
    for level, wanted in zip(levels, words.T, strict=False):
        histories = find(level.tokens, level.child_starts, histories, wanted)
    if (histories < 0).any():
        line = int(at[np.argmax(histories < 0)])
        lines.fail("the history of this n-gram is not in the file", line)
    logs, backoffs = numbers.T.copy()
    tokens = words[:, -1]
    return histories.astype(np.intc), tokens.astype(np.intc), logs, backoffs, at.astype(np.intc)


def _turn(lines: _Lines, histories: Whole, tokens: Whole, at: Whole) -> Ints | slice:
    """What puts n-grams in the order of a level; fails for one that comes twice, at a line."""
    steps, rises = np.diff(histories), np.diff(tokens) > 0
    if ((steps > 0) | ((steps == 0) & rises)).all():
        return slice(None)
    turn = np.lexsort((tokens, histories))
    same = (np.diff(tokens[turn]) == 0) & (np.diff(histories[turn]) == 0)
    if same.any():
        line = int(at[turn[1:][same].min()])
        lines.fail("this n-gram stands in the file twice", line)
    return turn


def _powers(logs: Floats) -> Floats:
    """10^x, and 0 for what stands for the logarithm of 0."""
    values = np.power(10.0, logs)
    values[logs <= ZERO] = 0.0
    return values


def _sums_to_one(model: NGram) -> bool:
    """Whether the probabilities after some histories of each length add up to 1."""
    contexts: list[Ints] = [np.zeros(0, dtype=np.int64)]
    for order in range(1, model.order):
        total = len(model.levels[order - 1].tokens)
        chosen = np.unique(np.linspace(0, total - 1, CHECKED_HISTORIES).astype(np.int64))
        contexts += [grams(model.levels[:order], at, at + 1)[0] for at in chosen if total]
    return all(abs(model.scores(context).sum() - 1) <= ROUNDING for context in contexts)


def _shown(text: bytes) -> str:
    return repr(text[:40].decode("utf-8", "replace"))
