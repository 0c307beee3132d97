"""A counted language model, whatever its estimator: probabilities, and weights of histories.

    p(w | h) = the probability of h w                          where h w was counted
             = weight(h) p(w | h')        h' = h[1:]           where it was not
    p(w | nothing)  likewise, with 1 / V in place of the shorter history's

This is what an ARPA file holds (Doug Paul's format of 1992; SRILM's ngram-format page). Where an
estimator interpolates, the probabilities are the sums already. A history never counted has the
rule's weight, 1 for most. Departure: no padding at the start of a text; a history is what there is
of it, as a transformer has it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from hornbook.errors import InputError, StorageError, VersionError
from hornbook.models.ngrams.spec import NGramSpec
from hornbook.models.ngrams.tries import find
from hornbook.runs.atomic import write_bytes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Whole = NDArray[np.integer]

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Rule:
    """How an estimator's numbers are read.

    unseen: the weight of a history never counted; NaN where there is no probability after it.
    shorter: what was not counted falls to the shorter history; otherwise at once to 1 / V.
    is_normalised: after every context that has probabilities at all, they sum to 1.
    """

    name: str
    unseen: float = 1.0
    shorter: bool = True
    is_normalised: bool = True


@dataclass(frozen=True, eq=False)
class Level:
    """All n-grams of one order m, as a level of a trie (tries.py).

    probabilities [k]: p(last token | what stands before); weights [histories]: of each (m-1)-gram
    as a history, the empty one at order 1.
    """

    tokens: Whole
    child_starts: Whole
    probabilities: Floats
    weights: Floats


@dataclass(frozen=True, eq=False)
class NGram:
    """A counted language model. Made by `estimate`, read by `NGram.load`.

    notes: what was done otherwise than the estimator's definition says, in words.
    """

    vocab_size: int
    levels: tuple[Level, ...]
    rule: Rule
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> int:
        """The longest n-gram: tokens of history + 1."""
        return len(self.levels)

    @property
    def spec(self) -> NGramSpec:
        """What the model is, as data."""
        return NGramSpec("ngram", self.vocab_size, self.order, self.estimator)

    @property
    def estimator(self) -> str:
        """What the model was estimated with."""
        return self.rule.name

    @property
    def is_normalised(self) -> bool:
        """Whether its numbers are probabilities, so that bits can be counted."""
        return self.rule.is_normalised

    def log_probabilities(self, rows: Ints) -> Floats:
        """Natural log-probability [n, T] of each token of rows [n, T+1] but the first.

        The history of a token is what stands before it in its row, at most order - 1 tokens.

        Raises:
            InputError: a token outside the vocabulary; an estimator that gives no probabilities;
                a context that has none.
        """
        self._require_probabilities()
        return self.log_scores(rows)

    def probabilities(self, context: Sequence[int] | Ints) -> Floats:
        """p [vocab_size] of the next token after a context of any length; sums to 1."""
        self._require_probabilities()
        return self.scores(context)

    def log_scores(self, rows: Ints) -> Floats:
        """As `log_probabilities`, also where the estimator's numbers are none, but only rank."""
        rows = self._checked(rows)
        p = np.full(rows.shape, 1 / self.vocab_size)
        for number, (level, histories, places) in enumerate(self._walk(rows)):
            values, found = p[:, number:], places >= 0
            weights = self._weights(level, histories)
            self._require_seen(weights, rows, number, number)
            values[:] = weights * (values if self.rule.shorter else 1 / self.vocab_size)
            values[found] = level.probabilities[places[found]]
        with np.errstate(divide="ignore"):  # what cannot be has -inf
            logs: Floats = np.log(p[:, 1:])
        return logs

    def scores(self, context: Sequence[int] | Ints) -> Floats:
        """As `probabilities`, also where the estimator's numbers are none, but only rank."""
        tail = np.asarray(context[max(0, len(context) - self.order + 1) :], dtype=np.int64)
        dense: Floats = self._dense(tail[None, :], len(tail))[0, 0]
        return dense

    def logits(self, tokens: Ints) -> NDArray[np.float32]:
        """Logarithms of `scores` [batch, length, vocab_size] after each of tokens."""
        with np.errstate(divide="ignore"):
            return np.log(self._dense(tokens, 1)).astype(np.float32)

    def sample(
        self, context: Sequence[int] | Ints, count: int, generator: np.random.Generator
    ) -> Ints:
        """`count` tokens drawn one after the other from `scores`, which are made to sum to 1."""
        drawn = [int(token) for token in context]
        for _ in range(count):
            p = self.scores(drawn)
            drawn.append(int(generator.choice(self.vocab_size, p=p / p.sum())))
        return np.array(drawn[len(context) :], dtype=np.int64)

    def save(self, path: Path) -> None:
        """Write one safetensors file: the same model gives the same bytes."""
        tensors = {
            f"{number}.{name}": np.ascontiguousarray(values)
            for number, level in enumerate(self.levels, 1)
            for name, values in vars(level).items()
        }
        header = {
            "format": FORMAT_VERSION,
            "vocab_size": self.vocab_size,
            "order": self.order,
            "rule": asdict(self.rule),
            "notes": self.notes,
        }
        write_bytes(path, safetensors.numpy.save(tensors, {"hornbook": json.dumps(header)}))

    @classmethod
    def load(cls, path: Path) -> "NGram":
        """Read a model that `save` wrote.

        Raises:
            StorageError: the file is missing, torn or of an old format. VersionError: it is of a
                newer one.
        """
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                header = json.loads(file.metadata()["hornbook"])
                tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"The n-gram model {path} cannot be read ({error}); run again to rebuild it."
            ) from error
        if not isinstance(header.get("format"), int):
            raise StorageError(f"The n-gram model {path} names no format; run again to rebuild it.")
        if header["format"] > FORMAT_VERSION:
            raise VersionError(
                f"The n-gram model {path} has format {header['format']}; this Hornbook reads "
                f"{FORMAT_VERSION}: update Hornbook."
            )
        if header["format"] < FORMAT_VERSION:
            raise StorageError(
                f"The n-gram model {path} has the old format {header['format']}; run again to "
                f"rebuild it."
            )
        names = [field.name for field in fields(Level)]
        try:
            levels = tuple(
                Level(*(tensors[f"{number}.{name}"] for name in names))
                for number in range(1, header["order"] + 1)
            )
            return cls(header["vocab_size"], levels, Rule(**header["rule"]), tuple(header["notes"]))
        except (KeyError, TypeError) as error:
            raise StorageError(
                f"The n-gram model {path} lacks a part of it ({error}); run again to rebuild it."
            ) from error

    def _walk(self, rows: Ints) -> Iterator[tuple[Level, Ints, Ints]]:
        """By order m: its level, and the numbers of histories and of n-grams; -1: never counted.

        rows [n, L]. Both [n, L - m + 1], one for each token that has m - 1 others before it: the
        (m-1)-gram before it, and the m-gram that ends with it.
        """
        histories = np.zeros_like(rows)
        for number, level in enumerate(self.levels[: rows.shape[1]]):
            last = np.ascontiguousarray(rows[:, number:])
            places = find(level.tokens, level.child_starts, histories.ravel(), last.ravel())
            yield level, histories, places.reshape(last.shape)
            histories = places.reshape(last.shape)[:, :-1]

    def _dense(self, tokens: Ints, first: int) -> Floats:
        """Scores [n, length + 1 - first, vocab_size] of what follows the first `first`.. tokens."""
        tokens = self._checked(tokens)
        rows = np.pad(tokens, ((0, 0), (0, 1)))  # the last token stands for whatever comes next
        p = np.full((len(rows), rows.shape[1] - first, self.vocab_size), 1 / self.vocab_size)
        for number, (level, histories, _) in enumerate(self._walk(rows)):
            values = p[:, max(number - first, 0) :]
            histories = histories[:, max(first - number, 0) :]
            weights = self._weights(level, histories)
            self._require_seen(weights, rows, number, max(first, number))
            values *= weights[..., None]
            if not self.rule.shorter:
                values[:] = weights[..., None] / self.vocab_size
            row, column = np.nonzero(histories >= 0)
            parents = histories[row, column]
            starts = level.child_starts[parents].astype(np.int64)
            counts = level.child_starts[parents + 1].astype(np.int64) - starts
            before = np.cumsum(counts) - counts
            children = np.arange(counts.sum()) + np.repeat(starts - before, counts)
            where = np.repeat(row, counts), np.repeat(column, counts), level.tokens[children]
            values[where] = level.probabilities[children]
        return p

    def _weights(self, level: Level, histories: Ints) -> Floats:
        """The weight of each history, counted or not."""
        weights = np.full(histories.shape, self.rule.unseen)
        known = histories >= 0
        weights[known] = level.weights[histories[known]]
        return weights

    def _checked(self, rows: Ints) -> Ints:
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < self.vocab_size:
            raise InputError(
                f"A token id lies outside the n-gram model's vocabulary of {self.vocab_size}; "
                f"score text with the tokenizer that the model was counted with."
            )
        return rows

    def _require_probabilities(self) -> None:
        if not self.is_normalised:
            raise InputError(
                f"The numbers of {self.estimator} are scores, not probabilities: they do not sum "
                f"to 1, so there are no bits or perplexity; rank with log_scores, or estimate "
                f"with another estimator."
            )

    def _require_seen(self, weights: Floats, rows: Ints, order: int, first: int) -> None:
        """Name the first context without probabilities; weights: from column `first` of rows on."""
        refused = np.argwhere(np.isnan(weights))
        if len(refused):
            row, column = (int(number) for number in refused[0])
            end = first + column
            context = " ".join(map(str, rows[row, end - order : end]))
            raise InputError(
                f"The context of tokens {context} was never seen, so {self.estimator} gives no "
                f"probabilities after it; use an estimator that smooths, or a lower order."
            )
