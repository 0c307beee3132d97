"""Recurrent decoders that look at the source, step by step: attention as it began."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hornbook.errors import InputError
from hornbook.models import recurrences
from hornbook.models.parts.cache import LayerCache
from hornbook.models.parts.context import Context
from hornbook.models.parts.dropout import drop
from hornbook.models.parts.linear import Linear
from hornbook.models.parts.recurrent import make_cell, require_state
from hornbook.models.parts.scores import SCORES, Concat, weigh
from hornbook.models.recurrences import CARRIED
from hornbook.models.spec import Spec

STEPS: Mapping[str, Callable[[Tensor, Sequence[Tensor], Any], list[Tensor]]] = {
    "rnn": lambda x, state, cell: [torch.rnn_tanh_cell(x, state[0], *cell.all_weights[0])],
    "lstm": lambda x, state, cell: [*torch.lstm_cell(x, list(state), *cell.all_weights[0])],
    "gru": lambda x, state, cell: [torch.gru_cell(x, state[0], *cell.all_weights[0])],
}
"""One step of a cell of torch's, by its kind: what it carries, the state that it gives first."""

Allowed = Bool[Tensor, "batch 1 source"] | None


class PreviousStateAttention(nn.Module):
    """s_i = gru([y_i ; c_i], s_{i-1}), with c_i = Σ_j a_ij h_j read by the state before the step.

    a_i = softmax_j(v · tanh(W s_{i-1} + U h_j)). y_i is what the decoder reads, h_j the encoder's
    states; it begins with s_0 = tanh(W_s g_1), g_1 the backward state at the source's first place.
    What leaves is a maxout: of every pair of numbers of U_o s_i + V_o y_i + C_o c_i the larger. The
    gru resets after the product, as torch's (the paper's before it), the readout sees s_i, as the
    paper's equation 4 says (its appendix writes s_{i-1}), and the maps of the first state and of
    the readout have biases, of which the paper prints none. Source: Bahdanau et al. 2015, sections
    3.1 and A.2.
    """

    def __init__(self, choice: recurrences.PreviousStateAttention, whole: Spec) -> None:
        super().__init__()
        self.choice = choice
        width, source = choice.d_hidden, choice.d_source
        self.initial = Linear(source // 2, (("matrix", width),), bias=True)
        self.scores = Concat(width, source, choice.d_align)
        self.cell = make_cell(choice, choice.d_in + source)
        self.readout = Linear(
            width + choice.d_in + source, (("matrix", 2 * choice.d_readout),), bias=True
        )

    def forward(
        self, x: Float[Tensor, "batch length d_in"], context: Context, cache: LayerCache | None
    ) -> Float[Tensor, "batch length d_readout"]:
        """Write on from where the cache stands."""
        source, keys, allowed = read_source(self.scores, self.choice.d_source, context, cache)
        state = self._state(cache, x)
        states, mixes, alignments = [], [], []
        for y in torch.split(x, 1, dim=1):
            weights = weigh(self.scores(state[:, None], keys), allowed)
            mixed = weights.to(source.dtype) @ source
            given = torch.cat([y, mixed.to(y.dtype)], dim=-1).to(self.cell.weight_ih_l0.dtype)
            _, after = self.cell(given, state[None].to(given.dtype))
            state = after[0].to(x.dtype)
            states.append(state[:, None])
            mixes.append(mixed.to(x.dtype))
            alignments.append(weights)
        context.alignments.append(torch.cat(alignments, dim=1))
        if cache is not None:
            cache.state[:] = [state]
        seen = torch.cat([torch.cat(states, dim=1), x, torch.cat(mixes, dim=1)], dim=-1)
        pairs: Tensor = self.readout(seen).unflatten(-1, (-1, 2))
        return pairs.amax(-1).to(x.dtype)

    def _state(self, cache: LayerCache | None, x: Tensor) -> Float[Tensor, "batch width"]:
        """s_{i-1}: carried on, or made of what the encoder ended with, [forward ; backward]."""
        assert cache is not None
        if cache.start == 0:
            backward = cache.state[0].chunk(2, dim=-1)[1]
            begun: Tensor = torch.tanh(self.initial(backward)).to(x.dtype)
            return begun
        require_state(cache.state, len(x), self.choice, begun=True)
        return cache.state[0]


class CurrentStateAttention(nn.Module):
    """h~_t = tanh(W [c_t ; h_t]), c_t = Σ_j a_tj s_j, a_t = softmax_j(score(h_t, s_j)).

    h_t is the last recurrent layer's state after reading step t, s_j are the encoder's. With input
    feeding the first layer reads [x_t ; h~_{t-1}], otherwise x_t. With a window of D places, a_t is
    taken over the places within D of p_t = S sigmoid(v · tanh(W_p h_t)) of the S there are, and
    multiplied by exp(-(j - p_t)^2 / (2 (D/2)^2)); it then sums to less than 1. Source: Luong et al.
    2015, sections 3.1 to 3.3 ("local-p").
    """

    def __init__(self, choice: recurrences.CurrentStateAttention, whole: Spec) -> None:
        super().__init__()
        self.choice = choice
        width = choice.d_hidden
        fed = choice.d_in + (width if choice.input_feeding else 0)
        inputs = [fed, *[width] * (choice.n_states - 1)]
        self.cells = nn.ModuleList(make_cell(choice, d_in) for d_in in inputs)
        self.scores = SCORES[choice.score](width, choice.d_source, width)
        self.mix = Linear(choice.d_source + width, (("matrix", width),), bias=False)
        self.place = _Place(width) if choice.window else None

    def forward(
        self, x: Float[Tensor, "batch length d_in"], context: Context, cache: LayerCache | None
    ) -> Float[Tensor, "batch length d_hidden"]:
        """Write on from where the cache stands."""
        assert cache is not None
        source, keys, allowed = read_source(self.scores, self.choice.d_source, context, cache)
        states, fed = self._begin(cache, x)
        mixed, alignments = [], []
        # Where nothing is fed back all steps are one call of the kernel.
        for y in torch.split(x, 1 if self.choice.input_feeding else x.shape[1], dim=1):
            y = torch.cat([y, fed], dim=-1) if self.choice.input_feeding else y
            h = self._recur(y, states)
            weights = self._weigh(h, keys, allowed)
            read = weights.to(source.dtype) @ source
            fed = torch.tanh(self.mix(torch.cat([read.to(h.dtype), h], dim=-1))).to(x.dtype)
            mixed.append(fed)
            alignments.append(weights)
        context.alignments.append(torch.cat(alignments, dim=1))
        cache.state[:] = [*(part for state in states for part in state), fed[:, -1]]
        return torch.cat(mixed, dim=1)

    def _begin(self, cache: LayerCache, x: Tensor) -> tuple[list[list[Tensor]], Tensor]:
        """The states of each layer, and h~ of the step before: zeros at first."""
        held, own = CARRIED[self.choice.kind], cache.state[: -1 if cache.start else None]
        states = [own[layer * held : (layer + 1) * held] for layer in range(self.choice.n_states)]
        for state in states:
            require_state(state, len(x), self.choice, begun=True)
        zeros = x.new_zeros(len(x), 1, self.choice.d_hidden)
        return states, cache.state[-1][:, None].to(x.dtype) if cache.start else zeros

    def _recur(self, y: Tensor, states: list[list[Tensor]]) -> Float[Tensor, "batch steps width"]:
        """All layers; their states go on."""
        for cell, state in zip(self.cells, states, strict=True):
            y = drop(y, self.choice.dropout, self.training)
            kernel: Any = cell
            low = y.to(kernel.weight_ih_l0.dtype)
            given = tuple(part.to(low.dtype) for part in state)
            if y.shape[1] == 1:  # one step: without what a kernel for many sets up
                after = STEPS[self.choice.kind](low[:, 0], given, kernel)
                made = after[0][:, None]
            else:
                whole = tuple(part[None] for part in given)
                made, ended = kernel(low, whole if len(whole) > 1 else whole[0])
                after = [part[0] for part in (ended if isinstance(ended, tuple) else (ended,))]
            state[:] = after
            y = made.to(y.dtype)
        return y

    def _weigh(self, h: Tensor, keys: Tensor, allowed: Allowed) -> Tensor:
        """How much of each place is read."""
        scores = self.scores(h, keys)
        if self.place is None:
            return weigh(scores, allowed)
        centre, places = self.place(h, keys.shape[1], allowed)
        away = places - centre
        near = away.abs() <= self.choice.window
        weights = weigh(scores, near if allowed is None else near & allowed)
        return weights * torch.exp(-2 * (away / self.choice.window) ** 2)


class _Place(nn.Module):
    """p = S sigmoid(v · tanh(W h)): the place of the source that a state asks for, from 0 to S."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = Linear(width, (("matrix", width),), bias=False)
        self.score = Linear(width, (("matrix", 1),), bias=False)

    def forward(
        self, h: Float[Tensor, "batch steps width"], length: int, allowed: Allowed
    ) -> tuple[Float[Tensor, "batch steps 1"], Float[Tensor, "batch 1 source"]]:
        """The place, and the number of every place among those that are there."""
        asked: Tensor = self.score(torch.tanh(self.inner(h)))
        share = torch.sigmoid(asked.to(torch.promote_types(asked.dtype, torch.float32)))
        places = torch.arange(length, device=h.device, dtype=share.dtype).view(1, 1, -1)
        if allowed is None:
            return share * length, places
        return share * allowed.sum(-1, keepdim=True), allowed.to(share.dtype).cumsum(-1) - 1


def read_source(
    scores: Any, width: int, context: Context, cache: LayerCache | None
) -> tuple[Tensor, Tensor, Allowed]:
    """The encoder's states, their keys (kept in a cache), and which of them are there."""
    assert context.source is not None
    states = context.source.states
    if states.shape[-1] != width:
        raise InputError(
            f"The source's states have {states.shape[-1]} numbers each, this decoder reads "
            f"{width}: encode the source with the same model."
        )
    if cache is not None and cache.source:
        (keys,) = cache.source
    else:
        keys = scores.keys(states)
        if cache is not None:
            cache.source.append(keys)
    allowed = context.source_visibility().allowed
    return states, keys, None if allowed is None else allowed[:, 0]
