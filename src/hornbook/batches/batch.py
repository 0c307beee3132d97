"""The tensors of one update, frozen: what an objective made of the rows that the order named."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from hornbook.batches.masks import Mask, padding

IGNORED = -100

Arrays = Mapping[str, NDArray[np.generic]]
Movable = TypeVar("Movable", Tensor | None, Mask | None, "Source | None")
MaskRule = Callable[[Mapping[str, Tensor]], Mask | None]


@dataclass(frozen=True, eq=False)
class Source:
    """What the encoder of an encoder-decoder reads."""

    tokens: Int[Tensor, "batch source_length"]
    positions: Int[Tensor, "batch source_length"] | None = None
    mask: Mask | None = None

    def to(self, device: torch.device | str) -> "Source":
        """The same on a device."""
        return Source(
            self.tokens.to(device), _moved(self.positions, device), _moved(self.mask, device)
        )

    def select(self, rows: slice) -> "Source":
        """Some rows of it."""
        return Source(
            self.tokens[rows],
            None if self.positions is None else self.positions[rows],
            None if self.mask is None else self.mask.select(rows),
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """One update's inputs and targets, or a part of them.

    tokens, targets [batch, length]: ids; a target of -100 carries no loss.
    target_index [targets]: flat places of the other targets, ascending; made in numpy, so that a
        device never waits to learn how many there are.
    positions [batch, length], or [2, batch, length] where they are two-dimensional; None: 0, 1, ….
    documents, segments [batch, length]; mask: the whole visibility rule; None: the family's own.
    source: what an encoder reads; extra: the objective's own tensors, [batch, …].
    target_count, byte_count: targets with loss, and the bytes of text that they stand for.
    row_bytes [batch]: the bytes of each row's targets, always on the CPU.
    sources [batch]: number of the source that each row came from, always on the CPU; None: unknown.
    """

    tokens: Int[Tensor, "batch length"]
    targets: Int[Tensor, "batch length"]
    target_index: Int[Tensor, " targets"]
    target_count: int
    byte_count: int
    row_bytes: Int[Tensor, " batch"]
    objective: str = ""
    positions: Tensor | None = None
    documents: Int[Tensor, "batch length"] | None = None
    segments: Int[Tensor, "batch length"] | None = None
    mask: Mask | None = None
    source: Source | None = None
    sources: Int[Tensor, " batch"] | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def by_source(self) -> dict[int, tuple[int, int, int, int]]:
        """Rows, tokens, targets and bytes of each source's rows; empty where sources are unknown.

        Call it before moving the batch to a device.
        """
        if self.sources is None:
            return {}
        rows, width = self.targets.shape
        targets = np.bincount(self.target_index.numpy() // width, minlength=rows)
        columns = np.stack([np.ones_like(targets), targets, self.row_bytes.numpy()])
        found = {}
        for source in np.unique(self.sources.numpy()).tolist():
            here = self.sources.numpy() == source
            count, learnt, text = columns[:, here].sum(axis=1).tolist()
            found[source] = (count, count * self.tokens.shape[1], learnt, text)
        return found

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        return replace(
            self,
            tokens=self.tokens.to(device),
            targets=self.targets.to(device),
            target_index=self.target_index.to(device),
            positions=_moved(self.positions, device),
            documents=_moved(self.documents, device),
            segments=_moved(self.segments, device),
            mask=_moved(self.mask, device),
            source=_moved(self.source, device),
            extra={name: value.to(device) for name, value in self.extra.items()},
        )

    def select(self, rows: slice) -> "Batch":
        """Rows of the batch as one of their own: a micro-batch, or a rank's share.

        Select before moving to a device: counting targets there would make the host wait.
        """
        targets = self.targets[rows]
        index = torch.nonzero(targets.reshape(-1) != IGNORED).reshape(-1)
        row_bytes = self.row_bytes[rows]
        return replace(
            self,
            tokens=self.tokens[rows],
            targets=targets,
            target_index=index,
            target_count=len(index),
            row_bytes=row_bytes,
            byte_count=int(row_bytes.sum()),
            positions=None if self.positions is None else self.positions[..., rows, :],
            documents=None if self.documents is None else self.documents[rows],
            segments=None if self.segments is None else self.segments[rows],
            mask=None if self.mask is None else self.mask.select(rows),
            source=None if self.source is None else self.source.select(rows),
            sources=None if self.sources is None else self.sources[rows],
            extra={name: value[rows] for name, value in self.extra.items()},
        )


def assemble(
    arrays: Arrays, objective: str, byte_lengths: NDArray[np.integer], mask: MaskRule | None = None
) -> Batch:
    """A batch from an objective's numpy arrays.

    arrays: "tokens" and "targets" [batch, length]; optionally "positions", "documents", "segments",
    "source_tokens", "source_positions", "source_lengths" [batch] (what is behind them is padding
    that nobody sees); any other name becomes one of `extra`.
    byte_lengths [vocab]: bytes of text of each id. mask: composes the visibility rule from the
    tensors by those names, where the objective has one.
    """
    targets = np.asarray(arrays["targets"])
    learnt = targets != IGNORED
    row_bytes = np.where(learnt, byte_lengths[np.where(learnt, targets, 0)], 0).sum(
        axis=1, dtype=np.int64
    )
    index = np.flatnonzero(learnt)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
    rule = None if mask is None else mask(tensors)
    source = None
    if "source_tokens" in tensors:
        lengths = tensors.pop("source_lengths", None)
        source = Source(
            tensors.pop("source_tokens"),
            tensors.pop("source_positions", None),
            None if lengths is None else padding(lengths),
        )
    return Batch(
        tokens=tensors.pop("tokens"),
        targets=tensors.pop("targets"),
        target_index=torch.from_numpy(index),
        target_count=len(index),
        byte_count=int(row_bytes.sum()),
        row_bytes=torch.from_numpy(row_bytes),
        objective=objective,
        mask=rule,
        source=source,
        positions=tensors.pop("positions", None),
        documents=tensors.pop("documents", None),
        segments=tensors.pop("segments", None),
        extra=tensors,
    )


def _moved(value: Movable, device: torch.device | str) -> Movable:
    """What there is, on the device."""
    return None if value is None else value.to(device)
