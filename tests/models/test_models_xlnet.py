"""XLNet's two streams against transformers': orders, targets, memory, segments, left padding.

Transformers says what is blocked, we say what is seen. Its class fails in float64, so its numbers
are compared in float32; what is our own is held in float64.
"""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from oracles import FIRST, error, pair, tokens

from hornbook.batches import masks
from hornbook.checkpoints.hf import write_hf
from hornbook.errors import InputError
from hornbook.models.two_stream import Queries

LENGTH, MEMORY, PADS = 17, 9, 4
xlnet = pytest.mark.parametrize("family", ["xlnet"])


def random_order(seed=3):
    """order[b, i] is the place that row b reads i-th; padding (places 0 to 3 of row 0) is last."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randperm(LENGTH, generator=generator) for _ in range(2))
    return torch.stack([torch.cat([first[first >= PADS], first[first < PADS]]), second])


class Case:
    """One call, in both languages."""

    def __init__(self, memory=False, segments=False, pads=False, some=False):
        self.order = random_order()
        rank = self.order.argsort(1)
        self.tokens = tokens(length=LENGTH)
        self.there = torch.ones(2, LENGTH, dtype=torch.bool)
        if pads:
            self.there[0, :PADS] = False
        self.memory = tokens(length=MEMORY, seed=9) if memory else None
        self.segments = (torch.arange(LENGTH) > torch.tensor([[7], [3]])).long()
        self.segments = self.segments if segments else None
        # What is predicted: some places late in the order, or all but those that see nothing.
        self.places = self.order[:, [9, 12, 2, 5]] if some else torch.arange(LENGTH)[None]
        self.compared = self.there.clone()
        self.compared[range(2), self.order[:, 0]] = memory
        self.compared = self.compared.gather(1, self.places) if some else self.compared

        self.theirs = {
            "input_ids": self.tokens,
            "perm_mask": (rank[:, None, :] >= rank[:, :, None]).float(),
            "target_mapping": F.one_hot(self.places.expand(2, -1), LENGTH).float(),
            "token_type_ids": self.segments,
            "attention_mask": self.there.float(),
        }

    def ours(self, start):
        """Our keywords; places and rules count what is remembered, which all see."""
        everything = F.pad(self.there, (start, 0), value=True)
        before = torch.arange(start).expand(2, -1)
        order = masks.permutation(torch.cat([before, self.order + start], 1))
        itself = masks.same_document(torch.arange(start + LENGTH).expand(2, -1))
        seen = order & masks.present(everything)
        places = self.places + start
        of_queries = None
        if self.segments is not None:
            of_queries = self.segments.gather(1, self.places.expand(2, -1))
        return {
            "mask": seen | itself,
            "queries": Queries(places, seen & masks.others()),
            "segments": self.segments,
            "query_segments": of_queries,
        }


def both(ours, theirs, case, **rules):
    """(our hidden, its cache, their output) of a case."""
    cache, mems = ours.new_cache(2, MEMORY + LENGTH), None
    if case.memory is not None:
        ours(case.memory, cache=cache)
        mems = theirs(case.memory, use_mems=True).mems
    own = ours(case.tokens, **case.ours(cache.length), cache=cache, **rules)
    other = theirs(**case.theirs, mems=mems, use_mems=True, output_hidden_states=True)
    return own, cache, other


CASES = [
    pytest.param(
        dict(zip(("memory", "segments", "pads", "some"), flags, strict=True)),
        id="xlnet-" + (" ".join(n for n, f in zip(("memory", "segments", "pads", "few"), flags,
                                                  strict=True) if f) or "plain"),
    )
    for flags in product((False, True), repeat=4)
]  # fmt: skip


@pytest.mark.column("hidden states")
@pytest.mark.parametrize("flags", CASES)
def test_both_streams_equal_transformers(pairs, flags):
    ours, spec, theirs = pairs("xlnet")
    case = Case(**flags)
    with torch.no_grad():
        own, _, other = both(ours, theirs, case, hidden_states=True)
    content = other.hidden_states[::2]
    assert len(own.states) == len(content) == spec.n_layers + 1
    for state, expected in zip(own.states, content, strict=True):
        assert error(state[case.there], expected[case.there]) < 1e-5
    logits = ours.logits(own.last)
    assert error(logits[case.compared], other.logits[case.compared]) < 1e-5
    assert logits[case.compared].isfinite().all()


@pytest.mark.column("cache")
@pytest.mark.parametrize("flags", CASES)
def test_memory_is_that_of_transformers(pairs, flags):
    """The inputs of each layer, the first of them the embeddings; of all segments so far."""
    ours, spec, theirs = pairs("xlnet")
    case = Case(**flags)
    with torch.no_grad():
        _, cache, other = both(ours, theirs, case)
    there = F.pad(case.there, (cache.length - LENGTH, 0), value=True)
    assert len(other.mems) == spec.n_layers
    for layer, expected in zip(cache.layers, other.mems, strict=True):
        found = layer[0, :, : cache.length, 0]
        assert error(found[there], expected.transpose(0, 1)[there]) < 1e-5


@pytest.mark.column("gradients")
@pytest.mark.parametrize("flags", CASES)
def test_gradients_of_both_streams_equal_transformers(folders, tmp_path, flags):
    """Of every parameter; what is remembered has none."""
    ours, spec, theirs = pair("xlnet", torch.float32, folders)
    case = Case(**flags)
    own, _, other = both(ours, theirs, case)
    goals = tokens(length=LENGTH, seed=7).gather(1, case.places.expand(2, -1))[case.compared]
    loss = F.cross_entropy(ours.logits(own.last)[case.compared], goals)
    F.cross_entropy(other.logits[case.compared], goals).backward()
    loss.backward()
    gradients = {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in ours.named_parameters()
    }
    write_hf(tmp_path, spec, gradients)
    found = dict(type(theirs).from_pretrained(tmp_path).named_parameters())
    expected = dict(theirs.named_parameters())
    largest = max(p.grad.abs().max() for p in expected.values() if p.grad is not None)
    for name, parameter in expected.items():
        if case.segments is None and name.endswith(("r_s_bias", "seg_embed")):
            assert parameter.grad is None
            assert not found[name].any()
            continue
        scale = max(parameter.grad.abs().max().item(), 1e-2 * largest.item())
        assert parameter.grad.abs().max() > 1e-3 * scale, name
        assert (found[name] - parameter.grad).abs().max() / scale < 1e-4, name


@pytest.mark.column("gradients")
@xlnet
def test_what_is_remembered_has_no_gradient(folders, family):
    """Two segments, each learnt from at once, as in training; the first one's graph is gone."""
    network = pair(family, torch.float64, folders).ours.train()
    cache = network.new_cache(2, 2 * LENGTH)
    for seed in (1, 2):
        network.zero_grad()
        network(tokens(length=LENGTH, seed=seed), cache=cache).last.square().sum().backward()
        assert not cache.layers.requires_grad
    found = network.blocks[0].attention.qkv.weight.grad
    fixed = network.new_cache(2, 2 * LENGTH)
    with torch.no_grad():
        network(tokens(length=LENGTH, seed=1), cache=fixed)
    network.zero_grad()
    network(tokens(length=LENGTH, seed=2), cache=fixed).last.square().sum().backward()
    assert error(found, network.blocks[0].attention.qkv.weight.grad) < 1e-12


@pytest.mark.column("logits")
@xlnet
def test_the_next_token_is_predicted_as_by_transformers_in_left_to_right_order(pairs, family):
    """Theirs asks for the places 1 to 17 of a row with any token at its end."""
    ours, _, theirs = pairs(family)
    rows = tokens(length=LENGTH)
    longer = F.pad(rows, (0, 1), value=FIRST)
    mapping = F.one_hot(torch.arange(1, LENGTH + 1), LENGTH + 1).float().expand(2, -1, -1)
    with torch.no_grad():
        own = ours.logits(ours.predict_next(rows).last)
        other = theirs(
            longer,
            perm_mask=torch.ones(LENGTH + 1, LENGTH + 1).triu().expand(2, -1, -1),
            target_mapping=mapping,
        )
    assert error(own, other.logits) < 1e-5


@pytest.mark.column("mask property")
@pytest.mark.parametrize("memory", [0, MEMORY], ids=["xlnet-alone", "xlnet-after memory"])
def test_content_sees_itself_and_queries_do_not(pairs, memory):
    """Each token in turn is changed; who changes with it is read off the order."""
    network = pairs("xlnet", torch.float64).ours
    order = random_order()[1:]
    rank = order.argsort(1)[0]
    same = tokens(1, LENGTH).expand(LENGTH + 1, -1).clone()
    changed = same.clone()
    diagonal = range(LENGTH)
    changed[diagonal, diagonal] = FIRST + (same[diagonal, diagonal] - FIRST + 1) % 90
    seen = masks.permutation(torch.cat([torch.arange(memory)[None], order + memory], 1))
    places = torch.arange(memory, memory + LENGTH)[None]
    with torch.no_grad():
        cache = network.new_cache(LENGTH + 1, memory + LENGTH)
        if memory:
            network(tokens(1, memory, seed=9).expand(LENGTH + 1, -1), cache=cache)
        queries = Queries(places, seen & masks.others())
        hidden = network(changed, mask=seen, queries=queries, cache=cache, hidden_states=True)
    for states, sees in (
        (hidden.states[-1], rank[:, None] <= rank[None, :]),
        (hidden.last, rank[:, None] < rank[None, :]),
    ):
        reached = (states[:LENGTH] - states[LENGTH]).abs().amax(-1) > 1e-9
        assert torch.equal(reached, sees)


@pytest.mark.column("hidden states")
@xlnet
def test_queries_in_a_row_equal_queries_at_listed_places(pairs, family):
    """One looks at distances through a change of view, the other by index."""
    network = pairs(family, torch.float64).ours
    case = Case(memory=True, segments=True)
    with torch.no_grad():
        found = []
        for rows in (1, 2):
            case.places = torch.arange(LENGTH)[None].expand(rows, -1)
            cache = network.new_cache(2, MEMORY + LENGTH)
            network(case.memory, cache=cache)
            found.append(network(case.tokens, **case.ours(MEMORY), cache=cache).last)
    assert error(*found) < 1e-12


@pytest.mark.column("mask property")
@xlnet
def test_queries_that_see_nothing_read_nothing(folders, family):
    """The first of an order, and padding: neither leaks what it must not see, nor is it NaN."""
    network = pair(family, torch.float64, folders).ours
    rank = torch.arange(LENGTH)
    seen = masks.causal() & masks.present(rank >= torch.tensor([[PADS], [0]]))
    rows = tokens(length=LENGTH)
    rules = {"mask": seen, "queries": Queries(rank[None], seen & masks.others())}
    own = network(rows, **rules, hidden_states=True)
    (own.last.square().sum() + own.states[-1].square().sum()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters()
               if parameter.grad is not None)  # fmt: skip
    other = network(tokens(length=LENGTH, seed=5), **rules)
    assert torch.equal(own.last[0, : PADS + 1], other.last[0, : PADS + 1])
    assert torch.equal(own.last[1, :1], other.last[1, :1])
    assert error(own.last[0, PADS + 1 :], other.last[0, PADS + 1 :]) > 1e-3


@xlnet
def test_positions_are_refused(pairs, family):
    network = pairs(family).ours
    with pytest.raises(InputError, match="distances"):
        network(tokens(), positions=torch.arange(29)[None])
