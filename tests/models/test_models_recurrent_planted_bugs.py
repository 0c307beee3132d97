"""Known mistakes of recurrent layers and windows, planted one at a time, and who must notice.

Each bug replaces a piece of our code; its check is an ordinary test of this room, which passes
without the bug, and with it fails at the named assertion.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import test_models_recurrent as loops
import test_models_states as states
import test_models_window as windows
import torch
import torch.nn.functional as F

from hornbook.models.parts import cache, pieces, recurrent, window
from hornbook.models.parts.context import Context

MonkeyPatch = pytest.MonkeyPatch
Patch = Callable[[MonkeyPatch], None]
HERE = Path(__file__).parent


def lstm_step(cell, of_x, of_h, h, c):
    i, f, o = (torch.sigmoid(of_x[k] + of_h[k]) for k in "ifo")
    c = f * c + i * torch.tanh(of_x["g"] + of_h["g"])
    return o * torch.tanh(c), c


def open_step(cell, of_x, of_h, h, c):
    """h without the cell's tanh."""
    _, c = lstm_step(cell, of_x, of_h, h, c)
    return torch.sigmoid(of_x["o"] + of_h["o"]) * c, c


def gru_step(cell, of_x, of_h, h):
    r, z = (torch.sigmoid(of_x[k] + of_h[k]) for k in "rz")
    return ((1 - z) * torch.tanh(of_x["n"] + r * of_h["n"]) + z * h,)


def swapped_step(cell, of_x, of_h, h):
    r, z = (torch.sigmoid(of_x[k] + of_h[k]) for k in "rz")
    return (z * torch.tanh(of_x["n"] + r * of_h["n"]) + (1 - z) * h,)


def reset_first_step(cell, of_x, of_h, h):
    r, n = torch.sigmoid(of_x["r"] + of_h["r"]), 2 * h.shape[1]
    of_reset = F.linear(r * h, cell.weight_hh_l0[n:], cell.bias_hh_l0[n:])
    return gru_step(cell, of_x, {**of_h, "n": of_reset / r}, h)


def rnn_step(cell, of_x, of_h, h):
    return (torch.tanh(of_x["h"] + of_h["h"]),)


def one_bias_step(cell, of_x, of_h, h):
    return (torch.tanh(of_x["h"] + of_h["h"] - cell.bias_hh_l0),)


def dropping_step(cell, of_x, of_h, h):
    return (F.dropout(rnn_step(cell, of_x, of_h, h)[0], 0.5, cell.training),)


def stepwise(kind: str, letters: str, step: Callable[..., tuple[torch.Tensor, ...]]) -> Patch:
    """torch's cell written anew: its own parameters, each step a few products.

    letters: the gates whose maps stand below one another.
    """

    class Cell(recurrent.KERNELS[kind]):
        def forward(self, x, state=None):
            n = self.hidden_size
            held = state if isinstance(state, tuple) else (state,)
            now = [x.new_zeros(len(x), n)] * (1 + (kind == "lstm"))
            now = now if state is None else [part[0] for part in held]
            made = []
            for token in x.unbind(1):
                of_x = F.linear(token, self.weight_ih_l0, self.bias_ih_l0).split(n, dim=1)
                of_h = F.linear(now[0], self.weight_hh_l0, self.bias_hh_l0).split(n, dim=1)
                gates = (dict(zip(letters, maps, strict=True)) for maps in (of_x, of_h))
                now = step(self, *gates, *now)
                made.append(now[0])
            ends = tuple(part[None] for part in now)
            return torch.stack(made, 1), ends if kind == "lstm" else ends[0]

    return lambda patch: patch.setitem(recurrent.KERNELS, kind, Cell)


def forget_bias_on(gate: int) -> Patch:
    right = recurrent.make_cell

    def make_cell(choice, *rest):
        made, n = right(choice, *rest), choice.d_hidden
        roles = [("gain" if own == gate else "bias", n) for own in range(4)]
        vars(made)["roles"] = {**made.roles, "bias_hh_l0": tuple(roles)}
        return made

    return lambda patch: patch.setattr(recurrent, "make_cell", make_cell)


def a_row_is_one_piece(patch: MonkeyPatch) -> None:
    patch.setattr(Context, "pieces", lambda self: None)


def no_documents(patch: MonkeyPatch) -> None:
    patch.setattr(Context, "labels", lambda self: None)


def holes_begin_anew(patch: MonkeyPatch) -> None:
    patch.setattr(
        pieces, "_label_before", lambda labels, start: labels[:, start - 1 if start else 0]
    )


def every_piece_goes_on(patch: MonkeyPatch) -> None:
    right = pieces.pieces_of

    def pieces_of(labels, start, new):
        found = right(labels, start, new)
        if found is not None:
            begun = torch.where(found.first < 0, found.last, found.first)
            object.__setattr__(found, "first", begun)
        return found

    patch.setattr("hornbook.models.parts.context.pieces_of", pieces_of)


def zeros(state):
    """States that forget what was read."""
    return [torch.zeros_like(own) for own in state]


def of_state(change: Callable[[list[torch.Tensor]], list[torch.Tensor]]) -> Patch:
    """What a layer finds in the cache, changed."""

    def forward(self, x, context, layer):
        if layer is not None:
            layer.state[:] = change(layer.state)
        return right(self, x, context, layer)

    right = recurrent.Recurrence.forward
    return lambda patch: patch.setattr(recurrent.Recurrence, "forward", forward)


def not_reordered(patch: MonkeyPatch) -> None:
    patch.setattr(cache.StateCache, "reorder", lambda self, rows: None)


def never_begun_anew(patch: MonkeyPatch) -> None:
    patch.setattr(cache.StateCache, "begin", lambda self: None)


def window_later_by(places: int) -> Patch:
    def pad(x, sizes, **rest):
        if x.ndim == 3 and sizes[2] >= 0:
            return F.pad(x, (0, 0, sizes[2] + places, 0))
        return F.pad(x, sizes, **rest)

    return lambda patch: patch.setattr(window, "F", SimpleNamespace(pad=pad))


def newest_first(patch: MonkeyPatch) -> None:
    right = torch.cat
    turned = SimpleNamespace(tanh=torch.tanh, cat=lambda parts, dim: right(order(parts), dim=dim))

    def order(parts):
        return parts[::-1] if len({part.shape for part in parts}) == 1 else parts

    patch.setattr(window, "torch", turned)


def nothing_direct(patch: MonkeyPatch) -> None:
    right = window.Window.forward

    def forward(self, x, context, layer):
        y = right(self, x, context, layer)
        return torch.cat([y[..., : self.choice.d_hidden], 0 * y[..., self.choice.d_hidden :]], -1)

    patch.setattr(window.Window, "forward", forward)


@dataclass(frozen=True)
class Bug:
    """A mistake: what it replaces; who must notice; part of the assertion that fails, or its text.

    Its name begins with the family's.
    """

    name: str
    patch: Patch
    check: Callable[[str], Any]
    says: str


def of_loops(family: str) -> None:
    loops.test_states_of_every_layer_equal_the_loops(family, "untied")


def of_chunks(family: str) -> None:
    states.test_chunks_over_a_cache_equal_all_at_once(family, (1, 2, 9))


def of_documents(family: str) -> None:
    states.test_documents_in_one_row_are_each_read_alone(family, True)


def of_documents_in_chunks(family: str) -> None:
    states.test_documents_go_on_from_a_cache_and_begin_anew_after_it(family, (3, 4, 5))


def of_padding(family: str) -> None:
    states.test_rows_padded_at_the_left_equal_each_row_alone(family, (12,))


def of_holes(family: str) -> None:
    states.test_padding_anywhere_is_left_out(family, (3, 2, 7))


def of_both_ways(family: str) -> None:
    states.test_both_ways_begin_at_both_real_ends(family, "padding")


def of_windows(family: str) -> None:
    form = "direct"
    windows.test_states_equal_the_loops(
        {form: windows.bengio(windows.weights_of(windows.network_of()), 4, True, windows.ids())},
        form,
    )


def of_what_a_window_sees(family: str) -> None:
    windows.test_a_token_is_seen_by_the_next_few_alone("direct")


def of_direct_logits(family: str) -> None:
    weights = windows.weights_of(windows.network_of())
    windows.test_logits_equal_the_loops(
        {"direct": windows.bengio(weights, 4, True, windows.ids())}, "direct"
    )


STATE, CHUNKS = "the state after layer 1 differs", "error(in_chunks(network, ids(), sizes, cache"
ALONE, PACKED = "error(mine, expected) < 1e-12", "error(in_chunks(network, ids(), sizes, mask)"
PLACES, ANEW = "error(rest, network(joined).last", "error(network(ids(), cache=cache).last"
FRESH = loops.test_fresh_weights_are_uniform_and_biases_zero_but_for_the_forget_gate
DROPPED = loops.test_dropout_falls_on_what_enters_and_leaves_layers_and_never_between_steps
BACK = states.test_gradients_reach_back_through_a_state_until_it_is_detached
BUGS = [
    Bug("gru-45-reset-before-product", stepwise("gru", "rzn", reset_first_step), of_loops, STATE),
    Bug("gru-45-z-swapped", stepwise("gru", "rzn", swapped_step), of_loops, STATE),
    Bug("gru-45-gates-zrn", stepwise("gru", "zrn", gru_step), of_loops, STATE),
    Bug("lstm-45-gates-fiog", stepwise("lstm", "fiog", lstm_step), of_loops, STATE),
    Bug("lstm-45-gates-ifog", stepwise("lstm", "ifog", lstm_step), of_loops, STATE),
    Bug("lstm-no-tanh-of-the-cell", stepwise("lstm", "ifgo", open_step), of_loops, STATE),
    Bug("rnn-one-bias", stepwise("rnn", "h", one_bias_step), of_loops, STATE),
    Bug("lstm-input-gate-open", forget_bias_on(0), FRESH, "== gates, name"),
    Bug("lstm-candidate-open", forget_bias_on(2), FRESH, "== gates, name"),
    Bug("rnn-dropout-between-steps", stepwise("rnn", "h", dropping_step), DROPPED,
        "something fell from step to step"),
    *[
        bug
        for family in ("rnn", "lstm", "gru")
        for bug in (
            Bug(f"{family}-not-carried", of_state(zeros), of_chunks, CHUNKS),
            Bug(f"{family}-detached", of_state(lambda state: [own.detach() for own in state]),
                BACK, "== [not detached] * 8"),
            Bug(f"{family}-across-documents", a_row_is_one_piece, of_documents, ALONE),
            Bug(f"{family}-carried-to-every-piece", every_piece_goes_on, of_documents_in_chunks,
                PACKED),
            Bug(f"{family}-padding-read", no_documents, of_padding, "error(found[there]"),
            Bug(f"{family}-hole-begins-anew", holes_begin_anew, of_holes, "error(found, expected)"),
            Bug(f"{family}-backward-from-padding", a_row_is_one_piece, of_both_ways,
                "error(found[row, labels[row] == label]"),
            Bug(f"{family}-not-reordered", not_reordered,
                states.test_rows_of_a_cache_change_places, PLACES),
            Bug(f"{family}-never-begun-anew", never_begun_anew,
                states.test_a_cache_set_back_to_nothing_begins_anew, ANEW),
        )
    ],
    Bug("lstm-cell-forgotten", of_state(lambda s: s and [s[0], 0 * s[1]]), of_chunks, CHUNKS),
    Bug("nplm-window-one-later", window_later_by(1), of_windows, STATE),
    Bug("nplm-window-one-later-seen", window_later_by(1), of_what_a_window_sees, "moved.tolist()"),
    Bug("nplm-newest-first", newest_first, of_windows, STATE),
    Bug("nplm-across-documents", no_documents, of_documents, ALONE),
    Bug("nplm-padding-read", no_documents, of_padding, "error(found[there]"),
    Bug("nplm-nothing-direct", nothing_direct, of_direct_logits, "error(ours_of(network_of(form)"),
]  # fmt: skip


@pytest.mark.column("planted bugs caught")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught_by_its_assertion(bug, monkeypatch):
    family = bug.name.partition("-")[0]
    bug.check(family)
    bug.patch(monkeypatch)
    with pytest.raises(AssertionError) as caught:
        bug.check(family)
    own = [entry for entry in caught.traceback if Path(entry.path).parent == HERE]
    failed = " ".join(str(own[-1].statement).split())
    assert bug.says in f"{failed}\n{caught.value}"


@pytest.mark.parametrize(
    ("family", "letters", "step"),
    [("rnn", "h", rnn_step), ("lstm", "ifgo", lstm_step), ("gru", "rzn", gru_step)],
)
def test_a_cell_written_anew_without_a_mistake_is_not_caught(family, letters, step, monkeypatch):
    stepwise(family, letters, step)(monkeypatch)
    of_loops(family)
    of_chunks(family)
    DROPPED(family)
