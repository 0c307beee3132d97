"""Who may see whom: one composable value, a predicate over (query, key).

    causal() & same_document(ids)      packed rows          prefix(lengths)     prefix LM
    causal() & band(256)               a local layer        permutation(order)  XLNet
    full() & padding(lengths)          BERT, encoders       present(there)      pads anywhere
    prefix(part_a_lengths)             GLM's parts A and B  causal() | m        m sees the past too

A mask says nothing about sizes: `allowed` evaluates it for the queries and keys at hand (a cache
offset is a shift of the query positions), and it names its cheapest form: `is_causal` is a flag for
SDPA, `documents` serves block attention over packed rows, `dense` is a boolean tensor, and
`block_mask` is flex-attention's form on CUDA, made from the same predicate.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

Predicate = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Mask:
    """A visibility rule. Made by the functions below, joined with `&` and `|`.

    rule: a row of `RULES`; tensor: what the rule looks up, [batch] or [batch, length]; width: of a
    band; parts: what "all" and "any" join.
    """

    rule: str
    tensor: Tensor | None = None
    width: int = 0
    parts: tuple["Mask", ...] = ()

    def __and__(self, other: "Mask") -> "Mask":
        """Both must allow it."""
        return _join("all", "full", self, other)

    def __or__(self, other: "Mask") -> "Mask":
        """Either may allow it."""
        if "full" in (self.rule, other.rule):
            return full()
        return _join("any", "", self, other)

    @property
    def is_causal(self) -> bool:
        """Whether this is plain causal and nothing else."""
        return self.rule == "causal"

    @property
    def is_full(self) -> bool:
        """Whether everything sees everything."""
        return self.rule == "full"

    @property
    def is_of_keys(self) -> bool:
        """Whether all queries of a row see the same keys: padding, and nothing else."""
        if self.rule in ("all", "any"):
            return all(part.is_of_keys for part in self.parts)
        return self.rule in ("full", "padding", "present")

    @property
    def within_causal(self) -> bool:
        """Whether certainly no query sees a later key."""
        return self.is_causal or (
            self.rule == "all" and any(part.within_causal for part in self.parts)
        )

    @property
    def documents(self) -> Int[Tensor, "batch length"] | None:
        """The document numbers where this is causal within each document and nothing else."""
        if self.rule == "all" and sorted(part.rule for part in self.parts) == [
            "causal",
            "same_document",
        ]:
            return next(part.tensor for part in self.parts if part.rule == "same_document")
        return None

    @property
    def batch(self) -> int:
        """Rows that the rule tells apart; 1 where it treats all alike."""
        own = 1 if self.tensor is None else len(self.tensor)
        return max([own, *(part.batch for part in self.parts)])

    def visible(self, row: Tensor, query: Tensor, key: Tensor) -> Tensor:
        """The predicate itself: bool, broadcast from row numbers and positions of any shape."""
        return RULES[self.rule](self, row, query, key)

    def allowed(
        self, query_positions: Int[Tensor, " query"], key_positions: Int[Tensor, " key"]
    ) -> Bool[Tensor, "rows query key"]:
        """Whether each query may see each key; rows is the batch, or 1 where all rows are alike.

        Positions count from the start of the row; with a cache, queries start at its length.
        """
        rows = torch.arange(self.batch, device=query_positions.device)[:, None, None]
        seen = self.visible(rows, query_positions[None, :, None], key_positions[None, None, :])
        shape = (self.batch, len(query_positions), len(key_positions))
        return seen.expand(shape)

    def dense(
        self,
        query_length: int,
        key_length: int,
        query_offset: int = 0,
        device: torch.device | str = "cpu",
    ) -> Bool[Tensor, "rows query key"]:
        """`allowed` for queries query_offset .. query_offset + query_length - 1, keys from 0."""
        queries = torch.arange(query_offset, query_offset + query_length, device=device)
        return self.allowed(queries, torch.arange(key_length, device=device))

    def block_mask(
        self,
        query_length: int,
        key_length: int,
        query_offset: int = 0,
        device: torch.device | str = "cuda",
    ) -> "BlockMask":
        """The same rule for `torch.nn.attention.flex_attention.flex_attention`."""
        from torch.nn.attention.flex_attention import create_block_mask

        def rule(row: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            return self.visible(row, query + query_offset, key)

        batch = self.batch if self.batch > 1 else None
        return create_block_mask(rule, batch, None, query_length, key_length, device=str(device))

    def to(self, device: torch.device | str) -> "Mask":
        """The same rule with its tensors on a device."""
        return self._with_tensors(lambda tensor: tensor.to(device))

    def select(self, rows: slice) -> "Mask":
        """The rule of some rows of the batch."""
        return self._with_tensors(lambda tensor: tensor[rows])

    def _with_tensors(self, change: Callable[[Tensor], Tensor]) -> "Mask":
        """This rule with every tensor in it changed."""
        tensor = None if self.tensor is None else change(self.tensor)
        return replace(
            self, tensor=tensor, parts=tuple(part._with_tensors(change) for part in self.parts)
        )


def causal() -> Mask:
    """A query sees itself and what is before it: k <= q."""
    return Mask("causal")


def full() -> Mask:
    """Everything sees everything."""
    return Mask("full")


def others() -> Mask:
    """Everything but itself: k != q (XLNet's query stream is `permutation(order) & others()`)."""
    return Mask("others")


def same_document(ids: Int[Tensor, "batch length"]) -> Mask:
    """Only tokens with the same document number: ids[q] == ids[k]."""
    return Mask("same_document", ids)


def prefix(lengths: Int[Tensor, " batch"]) -> Mask:
    """The prefix is seen by all, what follows causally: k <= q or k < length (T5 2020, §3.2)."""
    return Mask("prefix", lengths)


def band(width: int) -> Mask:
    """At most width - 1 away on either side: |q - k| < width. With `causal()`: `width` keys."""
    return Mask("band", width=width)


def padding(lengths: Int[Tensor, " batch"]) -> Mask:
    """Only keys before the padding: k < length."""
    return Mask("padding", lengths)


def present(there: Bool[Tensor, "batch length"]) -> Mask:
    """Only keys that are there: padding may stand anywhere (RoBERTa, XLNet: at the left)."""
    return Mask("present", there)


def permutation(order: Int[Tensor, "batch length"]) -> Mask:
    """A query sees itself and what comes before it in `order`, a permutation of the positions.

    order[b, i] is the position that row b factorises i-th (Yang et al. 2019, XLNet, §2.2).
    """
    return Mask("permutation", torch.argsort(order, dim=-1))


def _join(rule: str, neutral: str, first: Mask, second: Mask) -> Mask:
    """One flat "all" or "any" of both, without what is neutral or said twice."""
    parts: list[Mask] = []
    for mask in (first, second):
        for part in mask.parts if mask.rule == rule else (mask,):
            if part.rule != neutral and not any(_same(part, other) for other in parts):
                parts.append(part)
    if not parts:
        return full()
    return parts[0] if len(parts) == 1 else Mask(rule, parts=tuple(parts))


def _same(first: Mask, second: Mask) -> bool:
    """Whether two rules are certainly one and the same."""
    return (first.rule, first.width) == (second.rule, second.width) and (
        first.tensor is second.tensor and first.parts == second.parts
    )


def _table(mask: Mask) -> Tensor:
    """The tensor of a rule that has one."""
    assert mask.tensor is not None
    return mask.tensor


def _own_row(mask: Mask, row: Tensor) -> Tensor:
    """The rule's row for each row of the batch; one row serves a whole batch."""
    return row if len(_table(mask)) > 1 else torch.zeros_like(row)


def _row_values(mask: Mask, row: Tensor, position: Tensor) -> Tensor:
    """The rule's [batch, length] tensor at each (row, position)."""
    return _table(mask)[_own_row(mask, row), position]


def _all(mask: Mask, row: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """Every part allows it."""
    seen = mask.parts[0].visible(row, query, key)
    for part in mask.parts[1:]:
        seen = seen & part.visible(row, query, key)
    return seen


def _any(mask: Mask, row: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """Some part allows it."""
    seen = mask.parts[0].visible(row, query, key)
    for part in mask.parts[1:]:
        seen = seen | part.visible(row, query, key)
    return seen


def _same_document(mask: Mask, row: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """Equal document numbers."""
    return _row_values(mask, row, query) == _row_values(mask, row, key)


def _permutation(mask: Mask, row: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """No later in the row's order."""
    return _row_values(mask, row, key) <= _row_values(mask, row, query)


RULES: dict[str, Callable[[Mask, Tensor, Tensor, Tensor], Tensor]] = {
    "full": lambda mask, row, query, key: (query >= 0) & (key >= 0),
    "causal": lambda mask, row, query, key: key <= query,
    "others": lambda mask, row, query, key: key != query,
    "band": lambda mask, row, query, key: (query - key).abs() < mask.width,
    "prefix": lambda mask, row, query, key: (
        (key <= query) | (key < _table(mask)[_own_row(mask, row)])
    ),
    "padding": lambda mask, row, query, key: (
        (key < _table(mask)[_own_row(mask, row)]) & (query >= 0)
    ),
    "present": lambda mask, row, query, key: _row_values(mask, row, key) & (query >= 0),
    "same_document": _same_document,
    "permutation": _permutation,
    "all": _all,
    "any": _any,
}
