"""Counted n-grams: interpolated modified Kneser-Ney smoothing, of any order, in numpy.

    p_m(w | h) = max(c(h w) - D(c(h w)), 0) / c(h ·)  +  gamma(h) p_{m-1}(w | h')     h' = h[1:]
    gamma(h)   = (D_1 N_1(h ·) + D_2 N_2(h ·) + D_3 N_3+(h ·)) / c(h ·)               p_0 = 1 / V
    D_j        = j - (j + 1) Y n_{j+1} / n_j,   Y = n_1 / (n_1 + 2 n_2),   j = 1, 2, 3 and more

c is the plain count at the highest order; below it, the number of different tokens seen before the
n-gram (the start of a piece of text counts as one more). n_j of an order is how many of its n-grams
have c = j, N_j(h ·) how many of those continue h. A history never continued: p_{m-1} alone. Hence
the probabilities of every history, seen or not, sum to 1.

Source: Chen & Goodman 1998, "An Empirical Study of Smoothing Techniques for Language Modeling",
§2.7 and §3; Kneser & Ney 1995. Departure: no padding at the start of a text; a history is what
there is of it, as a transformer has it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from hornbook.errors import InputError, StorageError, VersionError
from hornbook.runs.atomic import write_bytes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Whole = NDArray[np.integer]

FORMAT_VERSION = 1
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True, eq=False)
class Level:
    """All n-grams of one order m, sorted; n-gram number k continues one of order m - 1.

    tokens [k]: last token; counts [k]: c above; child_starts [parents + 1]: which of them continue
    each (m-1)-gram. All in the smallest whole numbers that hold them.
    """

    tokens: Whole
    counts: Whole
    child_starts: Whole


@dataclass(frozen=True, eq=False)
class Smoothed:
    """What scoring needs of a level.

    keys [k]: parent number times V plus token, ascending; totals [parents]: c(h ·); gamma
    [parents]: what the lower order is multiplied with; 1 where a history has no continuation;
    discounts [4]: D by min(c, 3).
    """

    keys: Ints
    totals: Whole
    gamma: Floats
    discounts: Floats


@dataclass(frozen=True, eq=False)
class NGram:
    """A counted language model. Made by `count_ngrams` or `NGram.load`.

    discounts [order][3]: D_1, D_2, D_3+ of each order; notes: what was done otherwise, in words.
    """

    vocab_size: int
    levels: tuple[Level, ...]
    discounts: tuple[tuple[float, float, float], ...] = field(init=False)
    notes: tuple[str, ...] = field(init=False)
    smoothed: tuple[Smoothed, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = [estimate_discounts(level.counts) for level in self.levels]
        notes = [
            f"order {number}: too few different counts to estimate discounts; "
            f"{', '.join(map(str, FALLBACK_DISCOUNTS))} are used"
            for number, estimate in enumerate(found, 1)
            if estimate is None
        ]
        discounts = tuple(estimate or FALLBACK_DISCOUNTS for estimate in found)
        object.__setattr__(self, "discounts", discounts)
        object.__setattr__(self, "notes", tuple(notes))
        levels = zip(self.levels, discounts, strict=True)
        smoothed = tuple(_smooth(level, three, self.vocab_size) for level, three in levels)
        object.__setattr__(self, "smoothed", smoothed)

    @property
    def order(self) -> int:
        """The longest n-gram: tokens of history + 1."""
        return len(self.levels)

    def log_probabilities(self, rows: Ints) -> Floats:
        """Natural log-probability [n, T] of each token of rows [n, T+1] but the first.

        The history of a token is what stands before it in its row, at most order - 1 tokens.
        """
        p = np.full(rows.shape, 1 / self.vocab_size)
        walk = zip(self.levels, self.smoothed, self._walk(rows), strict=True)
        for level, smoothed, (histories, places) in walk:
            known, found = histories >= 0, places >= 0
            p[known] *= smoothed.gamma[histories[known]]
            p[found] += _mass(level, smoothed, places[found], histories[found])
        logs: Floats = np.log(p[:, 1:])
        return logs

    def probabilities(self, context: Sequence[int] | Ints) -> Floats:
        """p [vocab_size] of the next token after a context of any length; sums to 1."""
        tail = np.asarray(context, dtype=np.int64)[max(0, len(context) - self.order + 1) :]
        ends = [places[:, -1:] for _, places in self._walk(tail[None, :])] if len(tail) else []
        histories = [np.zeros(1, dtype=np.int64), *(end.reshape(-1) for end in ends)]
        none = [np.full(1, -1, dtype=np.int64)] * self.order
        dense: Floats = self._dense((histories + none)[: self.order])[0]
        return dense

    def logits(self, tokens: Ints) -> NDArray[np.float32]:
        """Log-probabilities [batch, length, vocab_size] of the token after each of tokens."""
        ends = [places.reshape(-1) for _, places in self._walk(tokens)]
        histories = [np.zeros(tokens.size, dtype=np.int64), *ends[: self.order - 1]]
        logits = np.log(self._dense(histories)).astype(np.float32)
        return logits.reshape(*tokens.shape, self.vocab_size)

    def _walk(self, rows: Ints) -> Iterator[tuple[Ints, Ints]]:
        """By order m: the numbers of the (m-1)-gram before and of the m-gram ending at each token.

        Both [n, length]; -1 where it never occurred or the row is too short for it.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < self.vocab_size:
            raise InputError(
                f"A token id lies outside the n-gram model's vocabulary of {self.vocab_size}; "
                f"score text with the tokenizer that the model was counted with."
            )
        histories = np.zeros_like(rows)
        for level in self.smoothed:
            places = np.full_like(rows, -1)
            known = histories >= 0
            keys = histories[known] * self.vocab_size + rows[known]
            at = np.searchsorted(level.keys, keys)
            at[at == len(level.keys)] = 0
            places[known] = np.where(level.keys[at] == keys, at, -1)
            yield histories, places
            histories = np.full_like(rows, -1)
            histories[:, 1:] = places[:, :-1]

    def _dense(self, histories: Sequence[Ints]) -> Floats:
        """p [n, vocab_size] after n histories, given each order's number of them (or -1)."""
        p = np.full((len(histories[0]), self.vocab_size), 1 / self.vocab_size)
        for level, smoothed, numbers in zip(self.levels, self.smoothed, histories, strict=True):
            known = np.flatnonzero(numbers >= 0)
            parents = numbers[known]
            p[known] *= smoothed.gamma[parents][:, None]
            starts = level.child_starts[parents].astype(np.int64)
            counts = level.child_starts[parents + 1] - starts
            first = np.cumsum(counts) - counts
            children = np.arange(counts.sum()) + np.repeat(starts - first, counts)
            mass = _mass(level, smoothed, children, np.repeat(parents, counts))
            p[np.repeat(known, counts), level.tokens[children]] += mass
        return p

    def save(self, path: Path) -> None:
        """Write one safetensors file: the same model gives the same bytes."""
        tensors = {}
        for number, level in enumerate(self.levels, 1):
            for name, values in vars(level).items():
                tensors[f"{number}.{name}"] = np.ascontiguousarray(values)
        header = {"format": FORMAT_VERSION, "vocab_size": self.vocab_size, "order": self.order}
        write_bytes(path, safetensors.numpy.save(tensors, {"hornbook": json.dumps(header)}))

    @classmethod
    def load(cls, path: Path) -> "NGram":
        """Read a model that `save` wrote.

        Raises:
            StorageError: the file is missing or torn. VersionError: it is of a newer format.
        """
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                header = json.loads(file.metadata()["hornbook"])
                tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"The n-gram model {path} cannot be read ({error}); run again to rebuild it."
            ) from error
        if header["format"] > FORMAT_VERSION:
            raise VersionError(
                f"The n-gram model {path} has format {header['format']}; this Hornbook reads up to "
                f"{FORMAT_VERSION}: update Hornbook."
            )
        levels = [
            Level(*(tensors[f"{m}.{name}"] for name in ("tokens", "counts", "child_starts")))
            for m in range(1, header["order"] + 1)
        ]
        return cls(header["vocab_size"], tuple(levels))


def count_ngrams(pieces: Sequence[Ints], vocab_size: int, order: int) -> NGram:
    """Count the n-grams of pieces of text (ids [m] each; none crosses from one to the next).

    A text shorter than `order` tokens gives a model of its length.
    One sort where `order` tokens fit into 63 bits, else a sort for each order.

    Raises:
        InputError: no text, or an id outside the vocabulary.
    """
    pieces = [piece for piece in pieces if len(piece)]
    order = min(order, max(map(len, pieces), default=0))
    if not pieces:
        raise InputError("There are no tokens to count n-grams in; add text to the corpus.")
    if any(not 0 <= int(piece.min()) <= int(piece.max()) < vocab_size for piece in pieces):
        raise InputError(
            f"A token id lies outside the vocabulary of {vocab_size}; the tokens were made with "
            f"another tokenizer: run again to rebuild the store."
        )
    bits = max(1, (vocab_size - 1).bit_length())
    count = count_packed if order * bits <= 63 else count_ranked
    return NGram(vocab_size, tuple(count(pieces, vocab_size, order)))


def count_packed(pieces: Sequence[Ints], vocab_size: int, order: int) -> list[Level]:
    """Levels 1..order from n-grams packed into one whole number each, first token highest.

    The highest order is sorted once; the m-grams are the ends of the (m+1)-grams and the starts of
    the pieces, and how often each is such an end is how many tokens were seen before it.
    """
    bits = max(1, (vocab_size - 1).bit_length())
    windows = [_packed(piece, bits, order) for piece in pieces]
    grams, counts = np.unique(np.concatenate(windows), return_counts=True)
    found = [(grams, counts)]
    for length in range(order - 1, 0, -1):
        firsts = np.unique(
            np.concatenate([_packed(piece[:length], bits, length) for piece in pieces])
        )
        ends = found[-1][0] & ((1 << bits * length) - 1)
        found.append(np.unique(np.concatenate([ends, firsts]), return_counts=True))
    levels, parents = [], np.zeros(1, dtype=np.int64)
    for grams, counts in reversed(found):
        parent = np.searchsorted(parents, grams >> bits)
        levels.append(_level(grams & ((1 << bits) - 1), counts, parent, len(parents)))
        parents = grams
    return levels


def count_ranked(pieces: Sequence[Ints], vocab_size: int, order: int) -> list[Level]:
    """The same levels for any vocabulary: an m-gram is (number of its (m-1)-gram, last token)."""
    tokens = np.concatenate(pieces).astype(np.int64)
    lengths = np.array([len(piece) for piece in pieces])
    begins = np.cumsum(lengths) - lengths
    left = np.repeat(begins + lengths, lengths) - np.arange(len(tokens))  # to the piece's end
    levels: list[Level] = []
    numbers = np.zeros(len(tokens), dtype=np.int64)  # of the (m-1)-gram that starts here
    starts, parents = np.arange(len(tokens)), 1
    for length in range(1, order + 1):
        starts = starts[left[starts] >= length]
        keys = numbers[starts] * vocab_size + tokens[starts + length - 1]
        grams, where, inverse, counts = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        if levels:  # now it is known how many tokens precede each gram of the order below
            before = numbers[starts[where] + 1]
            firsts = np.unique(numbers[begins[lengths >= length - 1]])
            seen = np.bincount(np.concatenate([before, firsts]), minlength=parents)
            levels[-1] = replace(levels[-1], counts=_small(seen))
        levels.append(_level(grams % vocab_size, counts, grams // vocab_size, parents))
        numbers = np.full(len(tokens), -1, dtype=np.int64)
        numbers[starts] = inverse
        parents = len(grams)
    return levels


def estimate_discounts(counts: Whole) -> tuple[float, float, float] | None:
    """D_1, D_2, D_3+ from how many n-grams have c = 1, 2, 3, 4; None where they make no sense."""
    n1, n2, n3, n4 = (int(n) for n in np.bincount(np.minimum(counts, 5), minlength=6)[1:5])
    if not (n1 and n2 and n3 and n4):
        return None
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if min(found) > 0 else None


def _smooth(level: Level, discounts: tuple[float, float, float], vocab_size: int) -> Smoothed:
    """Keys, discounted masses and interpolation weights of a level."""
    parents = len(level.child_starts) - 1
    parent = np.repeat(np.arange(parents), np.diff(level.child_starts))
    discount = np.array([0, *discounts])
    held_back = np.bincount(parent, discount[np.minimum(level.counts, 3)], parents)
    totals = np.bincount(parent, level.counts, parents)  # whole numbers, exact below 2**53
    gamma = np.divide(held_back, totals, out=np.ones(parents), where=totals > 0)
    return Smoothed(parent * vocab_size + level.tokens, _small(totals), gamma, discount)


def _mass(level: Level, smoothed: Smoothed, places: Ints, parents: Ints) -> Floats:
    """(c - D(c)) / c(h ·) [n] of the n-grams at those places, given what they continue."""
    counts = level.counts[places]
    mass: Floats = (counts - smoothed.discounts[np.minimum(counts, 3)]) / smoothed.totals[parents]
    return mass


def _packed(piece: Ints, bits: int, length: int) -> Ints:
    """Every window of `length` tokens of a piece as one whole number each."""
    windows = max(0, len(piece) - length + 1)
    keys = np.zeros(windows, dtype=np.int64)
    for offset in range(length):
        keys = (keys << bits) | piece[offset : offset + windows]
    return keys


def _level(tokens: Ints, counts: Ints, parent: Ints, parents: int) -> Level:
    """A level from the sorted n-grams' last tokens and the numbers of what they continue."""
    starts = np.searchsorted(parent, np.arange(parents + 1))
    return Level(_small(tokens), _small(counts), _small(starts))


def _small(values: NDArray[np.generic]) -> Whole:
    """Whole numbers from 0 on in the smallest unsigned type."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))
