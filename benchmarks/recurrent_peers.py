"""Families before the Transformer as one writes them in plain PyTorch, with its fused kernels.

Two layers of 384, dropout 0. Each module names where its weights stand in ours, so that both sides
are the same function. Luong's and Bahdanau's loops make the keys of the source once, gather their
states and form all logits at the end, which is the faster way to write them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from peers import VOCABULARY, Task, causal, from_source

WIDTH, LAYERS, ORDER = 384, 2, 5
KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Plain(nn.Module):
    """A module with a loss; `names` are ours, by theirs."""

    names: Mapping[str, str]
    config = SimpleNamespace(vocab_size=VOCABULARY, _attn_implementation="plain torch")

    def lost(self, states: Tensor, labels: Tensor) -> SimpleNamespace:
        logits = self.out(states)
        return SimpleNamespace(loss=F.cross_entropy(logits.flatten(0, 1), labels.flatten()))


def layer_names(
    theirs: str, ours: str, layers: int, ends: tuple[str, ...] = ("",)
) -> dict[str, str]:
    """Weights of torch's stack of layers, one block of ours each."""
    return {
        f"{theirs}.{kind}_l{n}{end}": f"{ours.format(n)}.cell.{kind}_l0{end}"
        for n in range(layers)
        for end in ends
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }


class Recurrent(Plain):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = KINDS[kind](WIDTH, WIDTH, LAYERS, batch_first=True)
        self.out = nn.Linear(WIDTH, VOCABULARY)
        self.out.weight = self.embed.weight
        self.names = {
            "embed.weight": "embedding.tokens.weight",
            "out.bias": "head.bias",
            **layer_names("layers", "blocks.{}", LAYERS),
        }

    def forward(self, input_ids: Tensor, labels: Tensor, use_cache: bool) -> SimpleNamespace:
        return self.lost(self.layers(self.embed(input_ids))[0][:, :-1], labels[:, 1:])


class Windowed(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH // 4)
        self.hidden = nn.Linear((ORDER - 1) * WIDTH // 4, WIDTH)
        self.out = nn.Linear(WIDTH, VOCABULARY)
        self.names = {
            "embed.weight": "embedding.tokens.weight",
            "out.weight": "head.weight",
            "out.bias": "head.bias",
            "hidden.weight": "blocks.0.hidden.weight",
            "hidden.bias": "blocks.0.hidden.bias",
        }

    def forward(self, input_ids: Tensor, labels: Tensor, use_cache: bool) -> SimpleNamespace:
        x = F.pad(self.embed(input_ids), (0, 0, ORDER - 2, 0))
        read = x.unfold(1, ORDER - 1, 1).transpose(2, 3).flatten(2)
        return self.lost(torch.tanh(self.hidden(read))[:, :-1], labels[:, 1:])


class LastState(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.reader = nn.LSTM(WIDTH, WIDTH, LAYERS, batch_first=True)
        self.writer = nn.LSTM(WIDTH, WIDTH, LAYERS, batch_first=True)
        self.out = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.names = {
            "embed.weight": "embedding.tokens.weight",
            "out.weight": "head.weight",
            **layer_names("reader", "encoder.blocks.{}", LAYERS),
            **layer_names("writer", "decoder.blocks.{}", LAYERS),
        }

    def forward(
        self, input_ids: Tensor, decoder_input_ids: Tensor, labels: Tensor, use_cache: bool
    ) -> SimpleNamespace:
        _, state = self.reader(self.embed(input_ids.flip(1)))
        return self.lost(self.writer(self.embed(decoder_input_ids), state)[0], labels)


class Previous(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.reader = nn.GRU(WIDTH, WIDTH, batch_first=True, bidirectional=True)
        self.initial = nn.Linear(WIDTH, WIDTH)
        self.state = nn.Linear(WIDTH, WIDTH, bias=False)
        self.source = nn.Linear(2 * WIDTH, WIDTH, bias=False)
        self.score = nn.Linear(WIDTH, 1, bias=False)
        self.cell = nn.GRUCell(3 * WIDTH, WIDTH)
        self.readout = nn.Linear(4 * WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH // 2, VOCABULARY, bias=False)
        block = "decoder.blocks.0"
        maps = ("initial.weight", "initial.bias", "readout.weight", "readout.bias")
        scores = ("state.weight", "source.weight", "score.weight")
        gates = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.names = {
            "embed.weight": "embedding.tokens.weight",
            "out.weight": "head.weight",
            **layer_names("reader", "encoder.blocks.{}", 1, ("", "_reverse")),
            **{name: f"{block}.{name}" for name in maps},
            **{name: f"{block}.scores.{name}" for name in scores},
            **{f"cell.{name}": f"{block}.cell.{name}_l0" for name in gates},
        }

    def forward(
        self, input_ids: Tensor, decoder_input_ids: Tensor, labels: Tensor, use_cache: bool
    ) -> SimpleNamespace:
        source, ends = self.reader(self.embed(input_ids))
        s, keys = torch.tanh(self.initial(ends[1])), self.source(source)
        states, mixes = [], []
        x = self.embed(decoder_input_ids)
        for y in x.unbind(1):
            scores = self.score(torch.tanh(self.state(s)[:, None] + keys)).squeeze(-1)
            mix = torch.bmm(scores.softmax(-1)[:, None], source)[:, 0]
            s = self.cell(torch.cat([y, mix], -1), s)
            states.append(s)
            mixes.append(mix)
        seen = torch.cat([torch.stack(states, 1), x, torch.stack(mixes, 1)], -1)
        return self.lost(self.readout(seen).unflatten(-1, (-1, 2)).amax(-1), labels)


class Current(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.reader = nn.LSTM(WIDTH, WIDTH, LAYERS, batch_first=True)
        cells = [nn.LSTMCell(2 * WIDTH, WIDTH), nn.LSTMCell(WIDTH, WIDTH)]
        self.cells = nn.ModuleList(cells)
        self.source = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mix = nn.Linear(2 * WIDTH, WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, VOCABULARY, bias=False)
        block = "decoder.blocks.0"
        self.names = {
            "embed.weight": "embedding.tokens.weight",
            "out.weight": "head.weight",
            "source.weight": f"{block}.scores.source.weight",
            "mix.weight": f"{block}.mix.weight",
            **layer_names("reader", "encoder.blocks.{}", LAYERS),
            **{
                f"cells.{n}.{kind}": f"{block}.cells.{n}.{kind}_l0"
                for n in range(LAYERS)
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            },
        }

    def forward(
        self, input_ids: Tensor, decoder_input_ids: Tensor, labels: Tensor, use_cache: bool
    ) -> SimpleNamespace:
        source, (h, c) = self.reader(self.embed(input_ids))
        keys = self.source(source)
        states = list(zip(h.unbind(0), c.unbind(0), strict=True))
        fed, made = torch.zeros_like(h[0]), []
        for y in self.embed(decoder_input_ids).unbind(1):
            y = torch.cat([y, fed], -1)
            for n, cell in enumerate(self.cells):
                states[n] = cell(y, states[n])
                y = states[n][0]
            weights = torch.bmm(keys, y[:, :, None]).squeeze(-1).softmax(-1)
            mix = torch.bmm(weights[:, None], source)[:, 0]
            fed = torch.tanh(self.mix(torch.cat([mix, y], -1)))
            made.append(fed)
        return self.lost(torch.stack(made, 1), labels)


@dataclass(frozen=True)
class PlainPeer:
    """A plain module, and the dimensions that make our family the same function."""

    make: Callable[[], Plain]
    task: Callable[[int], Task]
    dimensions: dict[str, Any]
    model: str = "plain torch"


LM = {"d_model": WIDTH, "n_layers": LAYERS, "dropout": 0.0}
WINDOW = {"d_model": WIDTH // 4, "d_hidden": WIDTH, "order": ORDER, "direct": False}
PLAIN_PEERS = {
    "nplm": PlainPeer(Windowed, causal, WINDOW),
    "rnn": PlainPeer(lambda: Recurrent("rnn"), causal, LM),
    "lstm": PlainPeer(lambda: Recurrent("lstm"), causal, LM),
    "gru": PlainPeer(lambda: Recurrent("gru"), causal, LM),
    "seq2seq": PlainPeer(LastState, from_source, {"d_model": WIDTH, "n_layers": LAYERS}),
    "bahdanau": PlainPeer(Previous, from_source, {"d_model": WIDTH, "d_hidden": WIDTH}),
    "luong": PlainPeer(Current, from_source, LM),
}


def same_weights(peer: PlainPeer, family: str, model: Plain) -> tuple[Any, dict[str, Tensor]]:
    """The spec of our family and their weights by our names."""
    from hornbook.models.families import spec_for

    spec = spec_for(family, vocab_size=VOCABULARY, **peer.dimensions)
    weights = {ours: model.get_parameter(name).detach() for name, ours in model.names.items()}
    return spec, weights
