"""Words and their vectors: what is near, and what is to one as another is to a third."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from hornbook.errors import InputError

Near = list[tuple[str, float]]
"""Words and their cosines, the nearest first."""


@dataclass(frozen=True, eq=False)
class WordVectors:
    """words [n], each once, and vectors [n, d_model]; the most frequent first where that is known.

    Raises InputError where there is no word, a word comes twice, or a vector is missing.
    """

    words: tuple[str, ...]
    vectors: Float32[ndarray, "n d_model"]

    def __post_init__(self) -> None:
        if not self.words:
            raise InputError("There are no words; vectors need at least one.")
        if "" in self.words:
            raise InputError(f"Of {len(self.words)} words, a word is empty; give each a name.")
        if self.vectors.shape[0] != len(self.words):
            raise InputError(f"{len(self.words)} words have {self.vectors.shape[0]} vectors.")
        if len(self.rows) < len(self.words):
            place = next(n for n, word in enumerate(self.words) if self.rows[word] != n)
            raise InputError(f"The word {self.words[place]!r} has two vectors; a word has one.")

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each word."""
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def units(self) -> Float32[ndarray, "n d_model"]:
        """The vectors at length 1; a vector of zeros stays."""
        lengths = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        return np.asarray(self.vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    @property
    def d_model(self) -> int:
        """Numbers a vector."""
        return int(self.vectors.shape[1])

    def row(self, word: str) -> int:
        """The row of a word; raises InputError, naming near ones, where it has none."""
        if word not in self.rows:
            near = get_close_matches(word, self.words, 3)
            hint = f"near it: {', '.join(map(repr, near))}" if near else "nothing is near it"
            raise InputError(f"The word {word!r} has no vector among {len(self.words)}; {hint}.")
        return self.rows[word]

    def vector(self, word: str) -> Float32[ndarray, " d_model"]:
        """The vector of a word."""
        found: Float32[ndarray, " d_model"] = self.vectors[self.row(word)]
        return found

    def similarity(self, first: str, second: str) -> float:
        """The cosine of two words' vectors, in -1 .. 1."""
        return float(self.units[self.row(first)] @ self.units[self.row(second)])

    def nearest(self, to: str | Float[ndarray, " d_model"], n: int = 10) -> Near:
        """The n words of the largest cosine; not the word itself where `to` is one."""
        if isinstance(to, str):
            return self._nearest(self.units[self.row(to)], n, [to])
        vector = np.asarray(to, dtype=np.float32)
        if vector.shape != (self.d_model,):
            raise InputError(
                f"The vector has shape {list(vector.shape)}; these are of {self.d_model} numbers."
            )
        return self._nearest(vector, n, [])

    def analogy(self, a: str, b: str, c: str, n: int = 10) -> Near:
        """a is to b as c is to …: the words nearest to b - a + c, at length 1 each.

        None of the three is among them. Source: Mikolov, Yih & Zweig 2013, "Linguistic
        Regularities in Continuous Space Word Representations", section 4 (3CosAdd).
        """
        from_a, to_b, of_c = (self.units[self.row(word)] for word in (a, b, c))
        return self._nearest(to_b - from_a + of_c, n, [a, b, c])

    def _nearest(
        self, vector: Float32[ndarray, " d_model"], n: int, without: Sequence[str]
    ) -> Near:
        cosines = self.units @ (vector / (np.linalg.norm(vector) or 1.0))
        cosines[[self.rows[word] for word in without]] = -np.inf
        n = max(0, min(n, len(self.words) - len(set(without))))
        first = np.argsort(-cosines, kind="stable")[:n]
        return [(self.words[row], float(cosines[row])) for row in first]
