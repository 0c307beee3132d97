"""Known mistakes of recurrent encoder-decoders, planted one at a time: a named test sees each.

A mistake is a piece of our own source put differently while a test runs; the test passes without
it, and with it the assertion that `says` names fails.
"""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import test_models_aligned as doors
import test_models_seq2seq as loops

from hornbook.models import seq2seq
from hornbook.models.parts import aligned, cache, context

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Bug:
    """owner.name, a function, has `new` where it had `old`; the check of the case must notice."""

    name: str
    case: str
    owner: Any
    function: str
    old: str
    new: str
    check: Callable[..., None]
    says: str


def plant(bug: Bug, patch: pytest.MonkeyPatch) -> None:
    """Put the changed function in the place of ours."""
    right = getattr(bug.owner, bug.function)
    source = textwrap.dedent(inspect.getsource(right))
    assert source.count(bug.old) == 1, f"{bug.old!r} is gone: plant the bug anew"
    names = dict(vars(inspect.getmodule(right)))
    changed = source.replace(bug.old, bug.new).replace("super()", "super(type(self), self)")
    exec(changed, names)
    patch.setattr(bug.owner, bug.function, names[bug.function])


def states(case: str) -> None:
    loops.test_states_of_every_layer_equal_the_slow_model(case)


def shares(case: str) -> None:
    loops.test_shares_of_the_source_equal_the_slow_model(case)


def padding(case: str) -> None:
    for laid in (doors.given, doors.scattered):
        doors.test_padding_of_a_source_changes_nothing(case, laid)


def chunks(case: str) -> None:
    doors.test_a_decoder_in_chunks_over_a_cache_equals_all_at_once(case, (1, 2, 2))


def documents(case: str) -> None:
    doors.test_a_target_of_several_documents_is_refused(case.partition("-")[0])


reordered = doors.test_a_cache_changes_places_with_its_source
anew = doors.test_a_cache_that_begins_anew_forgets_the_source
sums = doors.test_shares_of_a_source_add_up_and_padding_has_none
empty = doors.test_a_row_whose_source_is_all_padding_harms_nobody
dropout = loops.test_dropout_stands_where_it_should

Previous, Current = aligned.PreviousStateAttention, aligned.CurrentStateAttention
Network = seq2seq.RecurrentEncoderDecoder
WEIGHTS = "weights = weigh(self.scores(state[:, None], keys), allowed)"
AHEAD = f"""{WEIGHTS}
        trial = torch.cat([y, weights @ source], dim=-1)
        weights = weigh(self.scores(self.cell(trial, state[None])[0], keys), allowed)"""
STEP = """state = after[0].to(x.dtype)
        states.append(state[:, None])"""
STEP_LATE = """states.append(state[:, None])
        state = after[0].to(x.dtype)"""
READ = """h = self._recur(y, states)
        weights = self._weigh(h, keys, allowed)"""
READ_BEFORE = """before = states[-1][0][:, None]
        h = self._recur(y, states)
        weights = self._weigh(before, keys, allowed)"""
STATE, SLOW_SHARES = "error(*at_places(tensor, vectors, row)) < 1e-10", "error(found[row, :"
PADDED, SUMS = "padding is read", "padding has a share"
MOVED, OLD = "rows go on with what others have read", "an old source is read"
CHUNKS = "error(torch.cat([part.last for part in parts], 1), whole.last)"

BUGS = [
    Bug("bahdanau-reads-by-the-state-after", "bahdanau", Previous, "forward",
        WEIGHTS, AHEAD, shares, SLOW_SHARES),
    Bug("bahdanau-begins-with-the-forward-state", "bahdanau", Previous, "_state",
        ".chunk(2, dim=-1)[1]", ".chunk(2, dim=-1)[0]", states, STATE),
    Bug("bahdanau-begins-with-zeros", "bahdanau", Previous, "_state",
        "torch.tanh(self.initial(backward))", "torch.zeros_like(self.initial(backward))",
        states, STATE),
    Bug("bahdanau-begins-without-tanh", "bahdanau", Previous, "_state",
        "torch.tanh(self.initial(backward))", "self.initial(backward)", states, STATE),
    Bug("bahdanau-mean-for-maxout", "bahdanau", Previous, "forward",
        "pairs.amax(-1)", "pairs.mean(-1)", states, STATE),
    Bug("bahdanau-maxout-of-halves", "bahdanau", Previous, "forward",
        ".unflatten(-1, (-1, 2))", ".unflatten(-1, (2, -1)).transpose(-1, -2)", states, STATE),
    Bug("bahdanau-readout-of-the-state-before", "bahdanau", Previous, "forward",
        STEP, STEP_LATE, states, STATE),
    Bug("bahdanau-mean-beside-the-step", "bahdanau", Previous, "forward",
        "[y, mixed.to(y.dtype)]", "[y, 0 * mixed.to(y.dtype)]", states, STATE),
    Bug("bahdanau-not-the-last-state-carried-on", "bahdanau", Previous, "forward",
        "[:] = [state]", "[:] = [states[0][:, 0]]", chunks, CHUNKS),
    Bug("bahdanau-padding-read", "bahdanau", aligned, "weigh",
        "if allowed is None:", "if True:", padding, PADDED),
    Bug("bahdanau-both-ways-over-padding", "bahdanau", context, "pieces_of",
        "if labels is None:", "if True:", padding, PADDED),
    Bug("bahdanau-padding-seen-after-softmax", "bahdanau", aligned, "weigh",
        'scores.masked_fill(~allowed, float("-inf")).softmax(-1)', "scores.softmax(-1)",
        padding, PADDED),
    Bug("bahdanau-nothing-there", "bahdanau", aligned, "weigh",
        ".softmax(-1).masked_fill(~allowed, 0.0)", ".softmax(-1)", empty, "last.isfinite().all()"),
    Bug("bahdanau-keys-not-reordered", "bahdanau", cache.StateCache, "reorder",
        "(*self.states, *self.source)", "self.states", reordered, MOVED),
    Bug("bahdanau-states-not-reordered", "bahdanau", cache.StateCache, "reorder",
        "(*self.states, *self.source)", "self.source", reordered, MOVED),
    Bug("bahdanau-old-keys", "bahdanau", cache.Cache, "begin",
        "kept.clear()", "pass", anew, OLD),
    Bug("bahdanau-old-states", "bahdanau", Network, "decode",
        "if cache.length == 0 and", "if not cache.states[0] and", anew, OLD),
    Bug("luong-reads-by-the-state-before", "luong-general", Current, "forward",
        READ, READ_BEFORE, shares, SLOW_SHARES),
    Bug("luong-feeding-dropped", "luong-general", Current, "forward",
        "torch.cat([y, fed], dim=-1)", "torch.cat([y, 0 * fed], dim=-1)", states, STATE),
    Bug("luong-fed-one-step-late", "luong-general", Current, "forward",
        "torch.cat([y, fed], dim=-1)",
        "torch.cat([y, ([0 * fed, 0 * fed, *mixed])[-2]], dim=-1)", states, STATE),
    Bug("luong-feeding-forgotten-between-calls", "luong-general", Current, "_begin",
        "if cache.start else zeros", "if False else zeros", chunks, CHUNKS),
    Bug("luong-mean-and-state-swapped", "luong-general", Current, "forward",
        "[read.to(h.dtype), h]", "[h, read.to(h.dtype)]", states, STATE),
    Bug("luong-mix-without-tanh", "luong-general", Current, "forward",
        "torch.tanh(self.mix(torch.cat([read.to(h.dtype), h], dim=-1)))",
        "self.mix(torch.cat([read.to(h.dtype), h], dim=-1))", states, STATE),
    Bug("luong-window-beside-the-place", "luong-local", Current, "_weigh",
        "near = away.abs() <=", "near = (away - 1).abs() <=", shares, SLOW_SHARES),
    Bug("luong-window-one-narrower", "luong-local", Current, "_weigh",
        "near = away.abs() <=", "near = away.abs() + 1 <=", shares, SLOW_SHARES),
    Bug("luong-sigma-of-the-window", "luong-local", Current, "_weigh",
        "torch.exp(-2 * (", "torch.exp(-0.5 * (", shares, SLOW_SHARES),
    Bug("luong-gaussian-before-softmax", "luong-local", Current, "_weigh",
        "weights * torch.exp(-2 * (away / self.choice.window) ** 2)",
        "weigh(scores - 2 * (away / self.choice.window) ** 2, near & allowed)",
        shares, SLOW_SHARES),
    Bug("luong-place-of-the-padded-length", "luong-local", aligned._Place, "forward",
        "share * allowed.sum(-1, keepdim=True)", "share * length", padding, PADDED),
    Bug("luong-place-counts-padding", "luong-local", aligned._Place, "forward",
        "allowed.to(share.dtype).cumsum(-1) - 1", "places", padding, PADDED),
    Bug("luong-place-in-float32", "luong-local", aligned._Place, "forward",
        "torch.promote_types(asked.dtype, torch.float32)", "torch.float32", shares, SLOW_SHARES),
    Bug("luong-begins-with-zeros", "luong-concat", Network, "_begun",
        "[tensor for state", "[0 * tensor for state", states, STATE),
    Bug("luong-layers-swapped", "luong-concat", Network, "_begun",
        "list(source.final)", "list(source.final)[::-1]", states, STATE),
    Bug("luong-padding-read", "luong-dot", context.Source, "visibility",
        "if self.mask.is_full:", "if True:", padding, PADDED),
    Bug("luong-padding-has-a-share", "luong-dot", context.Source, "visibility",
        "if self.mask.is_full:", "if True:", sums, SUMS),
    Bug("luong-keys-not-reordered", "luong-concat", cache.StateCache, "reorder",
        "(*self.states, *self.source)", "self.states", reordered, MOVED),
    Bug("luong-dropout-beside-what-is-fed", "luong", Current, "_recur",
        "y = drop(y, self.choice.dropout, self.training)", "pass", dropout, STATE),
    Bug("seq2seq-begins-with-zeros", "seq2seq-reversed", Network, "_begun",
        "[tensor for state", "[0 * tensor for state", states, STATE),
    Bug("seq2seq-cells-begin-with-zeros", "seq2seq-reversed", Network, "_begun",
        "[tensor for state in final[:taken] for tensor in state]",
        "[final[0][0], 0 * final[0][1]]", states, STATE),
    Bug("seq2seq-layers-swapped", "seq2seq-reversed", Network, "_begun",
        "list(source.final)", "list(source.final)[::-1]", states, STATE),
    Bug("seq2seq-last-layer-for-all", "seq2seq-reversed", Network, "_begun",
        "final = final[taken:]", "pass", states, STATE),
    Bug("seq2seq-not-reversed", "seq2seq-reversed", seq2seq, "reversed_places",
        "rank = there.long().cumsum(1) - 1", "return keys.expand(tokens.shape)", states, STATE),
    Bug("seq2seq-padding-to-the-front", "seq2seq-reversed", seq2seq, "reversed_places",
        "rank = there.long().cumsum(1) - 1", "return keys.flip(0).expand(tokens.shape)",
        padding, PADDED),
    Bug("seq2seq-always-reversed", "seq2seq-forward", Network, "encode",
        "and reading.reverse", "", states, STATE),
    Bug("seq2seq-states-not-reordered", "seq2seq-reversed", cache.StateCache, "reorder",
        "(*self.states, *self.source)", "self.source", reordered, MOVED),
    Bug("seq2seq-documents-taken", "seq2seq-reversed", Network, "decode",
        "mask is not None and not (mask.is_causal or mask.is_full)", "False",
        documents, "DID NOT RAISE"),
]  # fmt: skip


def run(bug: Bug, patch: pytest.MonkeyPatch) -> None:
    """The check of the bug's case; one of them patches something itself."""
    if bug.check is dropout:
        bug.check(bug.case, patch)
    else:
        bug.check(bug.case)


@pytest.mark.column("planted bugs caught")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug, monkeypatch):
    with monkeypatch.context() as patch:
        run(bug, patch)
    plant(bug, monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)) as caught:
        run(bug, monkeypatch)
    own = [entry for entry in caught.traceback if Path(entry.path).parent == HERE]
    failed = " ".join(str(own[-1].statement).split())
    assert bug.says in f"{failed}\n{caught.value}"
