"""Small encoder-decoders of recurrent layers, each with its slow model; no two widths are equal.

A case's name begins with its family's. Rows have sources and targets of different lengths.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import seq2seq_references as slow
import torch
from torch import Tensor

from hornbook.batches import masks
from hornbook.batches.batch import Source
from hornbook.models.build import build_network, trim
from hornbook.models.families import spec_for
from hornbook.models.recurrences import Recurrence
from hornbook.models.spec import Spec

VOCABULARY = 23
SHAPE = {"vocab_size": VOCABULARY, "max_length": 12, "d_model": 5}
WIDTH = 7
SOURCES = [[3, 9, 14, 7, 21, 2, 9], [8, 1, 17, 4], [5, 22, 6, 6, 11, 19]]
TARGETS = torch.tensor([[0, 12, 4, 9, 20], [0, 7, 7, 1, 13], [0, 18, 2, 16, 3]])
RATE = 0.25


@dataclass(frozen=True)
class Case:
    """A spec, and its slow model: (weights, source, target, enter, leave) -> Written."""

    spec: Spec
    reference: Callable[..., slow.Written]


def seq2seq_case(kind: str = "lstm", reverse: bool = True, dropout: float = 0.0) -> Case:
    spec = spec_for("seq2seq", **SHAPE, n_layers=3, reverse=reverse, dropout=dropout)
    blocks = layers_of(kind, 3, dropout)
    spec = replace(
        spec,
        stack=replace(spec.stack, blocks=blocks),
        encoder=replace(spec.encoder, blocks=blocks),
    )
    return Case(spec, lambda w, s, t, *at: slow.seq2seq(w, kind, s, t, 3, reverse, *at))


def bahdanau_case(dropout: float = 0.0) -> Case:
    spec = spec_for("bahdanau", **SHAPE, d_hidden=WIDTH, d_align=4, d_readout=3, dropout=dropout)
    return Case(spec, slow.bahdanau)


def luong_case(
    score: str = "general",
    feeding: bool = True,
    window: int = 0,
    kind: str = "lstm",
    dropout: float = 0.0,
) -> Case:
    spec = spec_for(
        "luong", **SHAPE, n_layers=2, score=score, input_feeding=feeding, window=window,
        dropout=dropout,
    )  # fmt: skip
    block = replace(spec.stack.blocks[0], kind=kind, d_hidden=WIDTH, d_source=WIDTH)
    spec = replace(
        spec,
        stack=replace(spec.stack, blocks=(block,)),
        encoder=replace(spec.encoder, blocks=layers_of(kind, 2, dropout)),
    )

    def reference(weights: Any, source: Any, target: Any, *at: Any) -> slow.Written:
        return slow.luong(weights, kind, source, target, 2, score, feeding, window, *at)

    return Case(spec, reference)


def layers_of(kind: str, n_layers: int, dropout: float) -> tuple[Recurrence, ...]:
    return tuple(
        Recurrence(kind, WIDTH if number else SHAPE["d_model"], WIDTH, dropout)
        for number in range(n_layers)
    )


CASES = {
    "seq2seq-reversed": seq2seq_case(),
    "seq2seq-forward": seq2seq_case(reverse=False),
    "seq2seq-gru": seq2seq_case("gru"),
    "bahdanau": bahdanau_case(),
    "luong-dot": luong_case("dot"),
    "luong-general": luong_case(),
    "luong-concat": luong_case("concat"),
    "luong-not fed": luong_case("concat", feeding=False),
    "luong-local": luong_case("general", window=2),
    "luong-local, not fed": luong_case("dot", feeding=False, window=2),
    "luong-gru": luong_case("concat", kind="gru"),
    "luong-rnn": luong_case("general", window=2, kind="rnn"),
}
"""By name; the family's comes first."""

DROPPED = {
    "seq2seq": seq2seq_case(dropout=RATE),
    "bahdanau": bahdanau_case(dropout=RATE),
    "luong": luong_case(dropout=RATE),
}

ALIGNED = [name for name in CASES if not name.startswith("seq2seq")]


@torch.no_grad()
def redrawn(spec: Spec, seed: int = 0) -> Any:
    """In float64, every parameter N(0, 0.7); those of scores N(0, 2), so that shares differ."""
    network: Any = build_network(spec).double().eval()
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.copy_(noise * (2.0 if ".scores." in name else 0.7))
        assert parameter.max() > parameter.min(), f"{name} is constant"
    return network


def weights_of(network: Any) -> dict[str, Tensor]:
    """Copies of all weights by our names, which may have gradients of their own."""
    trimmed = trim(network, dict(network.named_parameters()))
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in trimmed.items()}


def padded(pad: int = 0) -> tuple[Tensor, Tensor]:
    """Sources with `pad` behind the shorter ones, and where their tokens are."""
    longest = max(map(len, SOURCES))
    rows = [row + [pad] * (longest - len(row)) for row in SOURCES]
    lengths = torch.tensor([len(row) for row in SOURCES])
    return torch.tensor(rows), torch.arange(longest) < lengths[:, None]


def given(pad: int = 0) -> Source:
    """The padded sources with their mask."""
    rows, there = padded(pad)
    return Source(rows, mask=masks.padding(there.sum(1)))


def scattered(pad: int = 0) -> Source:
    """The same sources with padding before, between and behind their tokens."""
    rows = torch.full((3, 9), pad)
    there = torch.zeros(3, 9, dtype=torch.bool)
    places = ([0, 1, 2, 3, 5, 6, 8], [2, 3, 4, 7], [1, 2, 3, 4, 5, 6])
    for number, (row, at) in enumerate(zip(SOURCES, places, strict=True)):
        rows[number, at], there[number, at] = torch.tensor(row), True
    return Source(rows, mask=masks.present(there))
