"""Which rows of an old vocabulary begin the rows of a new one.

A new id takes the row of the old id of the same bytes and the same kind: ordinary to ordinary,
special to special by name, else by the part that both play (`special.PARTS`). An ordinary token
that the old vocabulary does not have takes the mean of the tokens that the old tokenizer cuts its
text into (Minixhofer et al. 2022, arXiv:2112.06598, section 4, compare this with better means where
languages differ). What is left has no row to begin with.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from hornbook.tokenizers.comparison import ordinary_ids
from hornbook.tokenizers.special import PARTS
from hornbook.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class Remapping:
    """For each new id the old ids whose rows it is the mean of; none for those left fresh.

    rows: old ids, one new id's after another's; starts: where each new id's begin, and the end.
    matched, special_matched: new ids with one row of the same token; averaged: with a mean of
    pieces; fresh: with none.
    """

    starts: Int64[ndarray, " new_plus_one"]
    rows: Int64[ndarray, " rows"]
    matched: tuple[int, ...]
    special_matched: tuple[int, ...]
    averaged: tuple[int, ...]
    fresh: tuple[int, ...]

    @property
    def size(self) -> int:
        """Ids of the new vocabulary."""
        return len(self.starts) - 1

    @property
    def share(self) -> float:
        """Share of the new ids that have the old row of the same token."""
        return (len(self.matched) + len(self.special_matched)) / self.size

    def __str__(self) -> str:
        return (
            f"{len(self.matched)} of {self.size} tokens matched, {len(self.special_matched)} "
            f"special ones matched, {len(self.averaged)} the mean of pieces, {len(self.fresh)} "
            f"left fresh; {self.share:.1%} have their own old row"
        )

    def apply(
        self, table: Float[ndarray, "old *width"], fresh: Float[ndarray, "new *width"]
    ) -> Float[ndarray, "new *width"]:
        """The new table: old rows, means of old rows, and rows of `fresh` where there are none.

        A single old row is copied bit for bit; means are taken in float64.
        """
        counts = np.diff(self.starts)
        made = fresh.copy()
        single = np.flatnonzero(counts == 1)
        made[single] = table[self.rows[self.starts[single]]]
        for number in np.flatnonzero(counts > 1):
            pieces = self.rows[self.starts[number] : self.starts[number + 1]]
            made[number] = table[pieces].mean(axis=0, dtype=np.float64)
        return made


def remap(old: Tokenizer, new: Tokenizer) -> Remapping:
    """Where each id of `new` begins, from the vocabulary of `old`."""
    ordinary = _by_bytes(old)
    rows: list[list[int]] = []
    kinds: dict[str, list[int]] = {"matched": [], "special": [], "averaged": [], "fresh": []}
    names = {number: name for name, number in new.special_tokens.items()}
    for number in range(new.vocab_size):
        if number in names:
            found, kind = _special(names[number], old.special_tokens), "special"
        else:
            token = new.token_bytes(number)
            own = ordinary.get(token)
            found, kind = (
                ([own], "matched") if own is not None else (_cut(token, old, ordinary), "averaged")
            )
        rows.append(found)
        kinds[kind if found else "fresh"].append(number)
    return Remapping(
        starts=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        rows=np.array([row for found in rows for row in found], dtype=np.int64),
        matched=tuple(kinds["matched"]),
        special_matched=tuple(kinds["special"]),
        averaged=tuple(kinds["averaged"]),
        fresh=tuple(kinds["fresh"]),
    )


def _by_bytes(old: Tokenizer) -> dict[bytes, int]:
    """Ordinary ids by their bytes, the smallest id where several have the same."""
    return {old.token_bytes(number): number for number in ordinary_ids(old)[::-1].tolist()}


def _special(name: str, old: Mapping[str, int]) -> list[int]:
    """The old special token of this name, else the first that plays a part of it."""
    if name in old:
        return [old[name]]
    parts = [names for names in PARTS.values() if name in names]
    return [old[other] for names in parts for other in names if other in old][:1]


def _cut(token: bytes, old: Tokenizer, ordinary: Mapping[bytes, int]) -> list[int]:
    """The old ids that a new token's bytes are cut into; none where one is unknown.

    Bytes that form no text are cut into single bytes where the old vocabulary has them all. The
    space that the old tokenizer puts at an edge stands for the token's own there, if it has one;
    else the piece at that edge gives way to the one without the space, if there is one.
    """
    try:
        text = token.decode("utf-8")
    except UnicodeDecodeError:
        single = [bytes([byte]) for byte in token]
        whole = all(byte in ordinary for byte in single)
        return [ordinary[byte] for byte in single] if whole else []
    before, after = old.edge_space == "before", old.edge_space == "after"
    has_space = text.startswith(" ") if before else text.endswith(" ")
    if has_space:
        text = text[1:] if before else text[:-1] if after else text
    pieces: list[int] = old.encode(text).tolist()
    if old.unknown in pieces:
        return []
    if pieces and old.edge_space and not has_space:
        edge = 0 if before else len(pieces) - 1
        shown = old.token_bytes(pieces[edge])
        bare = shown.removeprefix(b" ") if before else shown.removesuffix(b" ")
        pieces[edge : edge + 1] = [ordinary.get(bare, pieces[edge])] if bare else []
    return pieces
