"""Recurrent layers: a state is carried from token to token, through torch's fused kernels."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.errors import InputError
from hornbook.models import recurrences
from hornbook.models.parts.cache import LayerCache
from hornbook.models.parts.context import Context
from hornbook.models.parts.dropout import drop
from hornbook.models.recurrences import CARRIED, GATES
from hornbook.models.spec import Spec

KERNELS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
OPEN = {"lstm": ("bias", "gain", "bias", "bias")}
"""Gates' biases by kind, where one begins as a gain, which is 1."""

State = list[Tensor]


def make_cell(choice: recurrences.Cell, d_in: int, both_ways: bool = False) -> Any:
    """torch's layer of this kind, with the roles that initialisation and precision ask for.

    Every map of a gate is drawn by itself. An LSTM's forget gate begins half open: its bias is 1
    (Gers et al. 2000; Jozefowicz et al. 2015, section 5).
    """
    cell = KERNELS[choice.kind](d_in, choice.d_hidden, batch_first=True, bidirectional=both_ways)
    n = choice.d_hidden
    of_kind: dict[str, Any] = {
        "weight": (("matrix", n),) * GATES[choice.kind],
        "bias_ih": "bias",
        "bias_hh": tuple((role, n) for role in OPEN[choice.kind])
        if choice.kind in OPEN
        else "bias",
    }
    roles = {
        name: next(role for kind, role in of_kind.items() if name.startswith(kind))
        for name, _ in cell.named_parameters()
    }
    vars(cell).update(roles=roles, computes_low=True)
    return cell


class Recurrence(nn.Module):
    """y_t = h_t, the state of the cell after reading dropout(x_1) .. dropout(x_t).

        rnn    h = tanh(W x + b + U h' + c)
        lstm   c = f ∘ c' + i ∘ g,  h = o ∘ tanh(c);  i, f, o = σ(W x + b + U h' + c), g = tanh(…)
        gru    h = (1 - z) ∘ n + z ∘ h',  n = tanh(W x + b + r ∘ (U h' + c));  r, z = σ(…)

    h', c' are those of the token before, or zeros. The gru's reset acts after the product with h',
    as in torch; Cho et al. 2014 reset before it. Sources: Elman 1990; Hochreiter and Schmidhuber
    1997 with the forget gate of Gers et al. 2000; Cho et al. 2014; dropout on what enters a layer,
    never from step to step: Zaremba et al. 2014, section 3.1.
    """

    both_ways = False

    def __init__(self, choice: recurrences.Recurrence, whole: Spec) -> None:
        super().__init__()
        self.choice = choice
        self.cell = make_cell(choice, choice.d_in, self.both_ways)

    def forward(
        self, x: Float[Tensor, "batch length d_in"], context: Context, cache: LayerCache | None
    ) -> Float[Tensor, "batch length d_out"]:
        """Read on from where the cache stands, which then holds the new state."""
        low = drop(x, self.choice.dropout, self.training).to(self.dtype)
        state = [] if cache is None else [tensor.to(low.dtype) for tensor in cache.state]
        begun = cache is not None and cache.start > 0
        require_state(state, len(x), self.choice, begun)
        pieces = context.pieces()
        if pieces is None:
            y, after = self.cell(low, _given(state))
            state = _taken(after)
        else:
            packed, after = self.cell(pieces.gather(low), _given([pieces.begin(s) for s in state]))
            y = pieces.scatter(packed)
            ends = _taken(after)
            before = state or [pieces.nothing(end) for end in ends]
            state = [pieces.end(end, old) for end, old in zip(ends, before, strict=True)]
        if cache is not None:
            cache.state[:] = state
        read: Tensor = y.to(x.dtype)
        return read

    @property
    def dtype(self) -> torch.dtype:
        """The dtype it computes in."""
        weight: Tensor = self.cell.weight_ih_l0
        return weight.dtype


class BothWays(Recurrence):
    """y_t = [h_t ; g_t]: h has read x_1 .. x_t, g has read x_T .. x_t.

    It begins with zeros at both ends; the cache then holds the last state of each direction, [h_T ;
    g_1] (and the cells of an lstm). Source: Schuster and Paliwal 1997; Bahdanau et al. 2015,
    section 3.2.
    """

    both_ways = True


class ResidualRecurrence(Recurrence):
    """y_t = x_t + h_t, where h_t has read dropout(x_1) .. dropout(x_t); x itself is not dropped.

    Source: Peters et al. 2018, section 3.4.
    """

    def forward(
        self, x: Float[Tensor, "batch length d_in"], context: Context, cache: LayerCache | None
    ) -> Float[Tensor, "batch length d_in"]:
        """As a recurrent layer."""
        return x + super().forward(x, context, cache)


def require_state(state: State, batch: int, choice: recurrences.Cell, begun: bool) -> None:
    """Raise InputError for states that are not this cell's.

    begun: tokens were read before, so that there must be a state.
    """
    count = CARRIED[choice.kind]
    if len(state) != count and (state or begun):
        raise InputError(
            f"A layer's state has {len(state)} parts; this {choice.kind} carries {count}: take one "
            "that a model of the same family has made."
        )
    for tensor in state:
        if tuple(tensor.shape) != (batch, choice.d_hidden):
            raise InputError(
                f"A state has shape {list(tensor.shape)}; this {choice.kind} carries "
                f"{[batch, choice.d_hidden]}: take one that a model of the same size has made."
            )


def _given(state: State) -> Tensor | tuple[Tensor, Tensor] | None:
    """As torch's layers take states: [1, batch, width] each."""
    whole = [tensor[None] for tensor in state]
    if len(whole) == 2:
        return whole[0], whole[1]
    return whole[0] if whole else None


def _taken(state: Tensor | tuple[Tensor, Tensor]) -> State:
    """As torch's layers give states; both directions one beside the other."""
    parts = state if isinstance(state, tuple) else (state,)
    return [torch.cat(list(part), dim=-1) for part in parts]
