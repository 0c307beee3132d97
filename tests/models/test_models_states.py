"""What is carried and what is not: chunks, documents, padding, rows that change places, errors.

The four families hold what they have read in states, or in the last few vectors; whatever way a row
is cut, padded or packed, every document is read as if it were alone.
"""

import pytest
import torch
from oracles import error
from recurrent_references import GATES, read
from shapes import shaped

from hornbook.batches import masks
from hornbook.errors import InputError
from hornbook.models import recurrences
from hornbook.models.build import build_network, trim
from hornbook.models.families import spec_for
from hornbook.models.parts import make
from hornbook.models.parts.cache import StateCache
from hornbook.models.parts.context import Context

V, LENGTH = 23, 12
SHAPE = {"vocab_size": V, "max_length": 32, "d_model": 6, "n_layers": 3, "dropout": 0.0}
OTHER = {
    "nplm": {"order": 5, "d_hidden": 7},
    **{family: {"d_hidden": 5, "tied": False} for family in GATES},
}
families = pytest.mark.parametrize("family", OTHER)
recurrent = pytest.mark.parametrize("family", GATES)
DOCUMENTS = torch.tensor([[0] * 3 + [1] * 4 + [2] * 5, [0] * 8 + [1] * 4, [5] * 12])


def network_of(family):
    """Redrawn, in float64."""
    network = build_network(shaped(family, SHAPE, **OTHER[family])).double().eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, own in trim(network, dict(network.named_parameters())).items():
            own.copy_(0.4 * torch.randn(own.shape, generator=generator, dtype=torch.float64))
            assert own.max() > own.min(), name
    return network


def ids(batch=3, length=LENGTH, seed=0):
    return torch.randint(0, V, (batch, length), generator=torch.Generator().manual_seed(seed))


def in_chunks(network, rows, sizes, mask=None, cache=None):
    """All states of a row read in pieces over one cache."""
    cache = cache or network.new_cache(len(rows), rows.shape[1])
    chunks = rows.split(sizes, dim=1)
    return torch.cat([network(chunk, mask=mask, cache=cache).last for chunk in chunks], 1)


def documents_alone(network, rows, labels):
    """Every document of every row by itself, in its places; zeros where the label is -1."""
    found = torch.zeros(*rows.shape, network.spec.d_output, dtype=torch.float64)
    for row, own in enumerate(labels):
        for label in own[own >= 0].unique():
            here = own == label
            found[row, here] = network(rows[row, here][None]).last[0]
    return found


@pytest.mark.column("cache")
@pytest.mark.parametrize("sizes", [(1, 2, 9), (10, 1, 1), (1,) * 12, (12,)], ids=str)
@families
def test_chunks_over_a_cache_equal_all_at_once(family, sizes):
    network = network_of(family)
    cache = network.new_cache(3, LENGTH)
    with torch.no_grad():
        assert error(in_chunks(network, ids(), sizes, cache=cache), network(ids()).last) < 1e-12
    assert cache.length == LENGTH


@pytest.mark.column("mask property")
@families
def test_a_token_is_seen_by_what_follows_alone(family):
    network, changed = network_of(family), ids()
    changed[:, 5] = (changed[:, 5] + 1) % V
    with torch.no_grad():
        own, other = network(ids()).last, network(changed).last
    assert torch.equal(own[:, :5], other[:, :5])
    reach = 4 if family == "nplm" else LENGTH
    assert (own - other)[:, 5 : 5 + reach].abs().amax(-1).min() > 1e-6


@pytest.mark.column("mask property")
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "documents alone"])
@families
def test_documents_in_one_row_are_each_read_alone(family, causal):
    """With gradients: those of the packed rows are the sums of those of the documents."""
    network, mask = network_of(family), masks.same_document(DOCUMENTS)
    mask = masks.causal() & mask if causal else mask
    alone, own = [], []
    for made, read_ in (
        (alone, documents_alone),
        (own, lambda n, rows, _: n(rows, mask=mask).last),
    ):
        last = read_(network, ids(), DOCUMENTS)
        made.append(last.detach())
        network.zero_grad()
        last.pow(3).sum().backward()
        made += [p.grad.clone() for p in network.parameters() if p.grad is not None]
    assert len(own) == len(alone) >= 4
    for mine, expected in zip(own, alone, strict=True):
        assert error(mine, expected) < 1e-12
    assert error(network(ids()).last, alone[0]) > 1e-3, "documents make no difference"


@pytest.mark.column("cache")
@pytest.mark.parametrize("sizes", [(5, 7), (3, 4, 5), (1,) * 12, (8, 1, 3)], ids=str)
@families
def test_documents_go_on_from_a_cache_and_begin_anew_after_it(family, sizes):
    network, mask = network_of(family), masks.causal() & masks.same_document(DOCUMENTS)
    with torch.no_grad():
        expected = documents_alone(network, ids(), DOCUMENTS)
        assert error(in_chunks(network, ids(), sizes, mask), expected) < 1e-12


@pytest.mark.column("batch invariance")
@families
def test_a_row_alone_equals_the_row_in_a_batch(family):
    network = network_of(family)
    with torch.no_grad():
        together = network(ids()).last
        for row in range(3):
            assert error(together[row], network(ids()[row : row + 1]).last[0]) < 1e-12


@pytest.mark.column("batch invariance")
@pytest.mark.parametrize("sizes", [(12,), (6, 1, 5)], ids=str)
@families
def test_rows_padded_at_the_left_equal_each_row_alone(family, sizes):
    """As generation gives them, whatever stands in the padding."""
    network, starts = network_of(family), torch.tensor([7, 0, 3])
    there = torch.arange(LENGTH) >= starts[:, None]
    _, mask = network.place(ids(), starts)
    with torch.no_grad():
        expected = documents_alone(network, ids(), there.long() - 1)
        for filler in (0, 9):
            rows = torch.where(there, ids(), filler)
            for rule in (mask, masks.present(there), masks.causal() & masks.present(there)):
                found = in_chunks(network, rows, sizes, rule)
                assert error(found[there], expected[there]) < 1e-12


HOLES = torch.tensor(
    [[1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1], [0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1], [1] * 10 + [0] * 2]
).bool()


@pytest.mark.column("batch invariance")
@pytest.mark.parametrize("sizes", [(12,), (3, 2, 7), (5, 1, 3, 3), (10, 2)], ids=str)
@recurrent
def test_padding_anywhere_is_left_out(family, sizes):
    """A hole changes nothing, wherever a chunk ends, and neither does what it holds."""
    network = network_of(family)
    with torch.no_grad():
        expected = documents_alone(network, ids(), HOLES.long() - 1)
        for filler in (0, 9):
            rows = torch.where(HOLES, ids(), filler)
            found = in_chunks(network, rows, sizes, masks.present(HOLES))
            assert error(found, expected) < 1e-12
    for side in (masks.padding(torch.tensor([4, 12, 9])), masks.present(~HOLES)):
        assert network(ids(), mask=side).last.isfinite().all()


@pytest.mark.column("batch invariance")
@recurrent
def test_documents_with_holes_are_read_without_them(family):
    network, labels = network_of(family), DOCUMENTS.where(HOLES, -1)
    mask = masks.causal() & masks.same_document(DOCUMENTS) & masks.present(HOLES)
    with torch.no_grad():
        expected = documents_alone(network, ids(), labels)
        for sizes in ((12,), (4, 3, 5), (1, 1, 10)):
            assert error(in_chunks(network, ids(), sizes, mask), expected) < 1e-12


@pytest.mark.column("batch invariance")
@recurrent
def test_a_row_that_has_nothing_new_keeps_its_state(family):
    network = network_of(family)
    there = torch.ones(3, LENGTH).bool()
    there[1, 6:9] = False
    cache = network.new_cache(3, LENGTH)
    with torch.no_grad():
        network(ids()[:, :6], cache=cache)
        before = [[part.clone() for part in state] for state in cache.states]
        network(ids()[:, 6:9], mask=masks.present(there[:, :9]), cache=cache)
    for own, old in zip(cache.states, before, strict=True):
        for mine, part in zip(own, old, strict=True):
            assert torch.equal(mine[1], part[1])
            assert (mine != part).any(-1).tolist() == [True, False, True]


@pytest.mark.parametrize("form", ["present", "padding", "documents", "full"])
@recurrent
def test_both_ways_begin_at_both_real_ends(family, form):
    """[h ; g]: the second has read from a document's last token, not from its padding."""
    there = torch.arange(8) < torch.tensor([[8], [5], [6]])
    labels = {"documents": DOCUMENTS[:, :8], "full": torch.zeros(3, 8).long()}
    labels = labels.get(form, there.long() - 1)
    mask = {
        "present": masks.present(there),
        "padding": masks.padding(there.sum(1)),
        "documents": masks.same_document(labels),
        "full": masks.full(),
    }[form]
    part = make(recurrences.BothWays(family, 6, 5), spec_for(family)).double()
    torch.manual_seed(2)
    with torch.no_grad():
        for own in part.parameters():
            own.normal_(0.0, 0.4)
    weights = {f"cell.{name}": own for name, own in part.cell.named_parameters()}
    x = torch.randn(3, 8, 6).double()
    with torch.no_grad():
        found = part(x, Context(mask, 0, torch.arange(8)[None], new=8, batch=3), None)
    for row in range(3):
        for label in labels[row][labels[row] >= 0].unique():
            own = [*x[row, labels[row] == label]]
            forward = read(weights, "cell", family, own)[0]
            backward = read(weights, "cell", family, own[::-1], "_reverse")[0][::-1]
            expected = [torch.cat(pair) for pair in zip(forward, backward, strict=True)]
            assert error(found[row, labels[row] == label], torch.stack(expected)) < 1e-12
    assert not found[labels < 0].any()


@pytest.mark.column("cache")
@families
def test_rows_of_a_cache_change_places(family):
    network = network_of(family)
    with torch.no_grad():
        cache = network.new_cache(3, LENGTH)
        network(ids()[:, :7], cache=cache)
        cache.reorder(torch.tensor([2, 2, 0]))
        rest = network(ids()[:, 7:], cache=cache).last
        joined = torch.cat([ids()[[2, 2, 0], :7], ids()[:, 7:]], 1)
        assert error(rest, network(joined).last[:, 7:]) < 1e-12


@pytest.mark.column("cache")
@families
def test_a_cache_set_back_to_nothing_begins_anew(family):
    network = network_of(family)
    with torch.no_grad():
        cache = network.new_cache(3, LENGTH)
        network(ids(seed=1), cache=cache)
        cache.length = 0
        assert error(network(ids(), cache=cache).last, network(ids()).last) < 1e-12


@pytest.mark.column("cache")
@recurrent
def test_a_state_begins_with_what_it_is_given_and_does_so_again(family):
    network = network_of(family)
    parts = 2 if family == "lstm" else 1
    begun = [
        [torch.full((3, 5), 0.3 * layer - n).double() for n in range(parts)] for layer in range(3)
    ]
    cache = StateCache(3, 3, begun)
    with torch.no_grad():
        first = in_chunks(network, ids(), (5, 7), cache=cache)
        cache.length = 0
        padded = torch.arange(LENGTH) >= torch.tensor([[2], [0], [4]])
        later = in_chunks(network, ids(), (3, 9), masks.present(padded), cache=cache)
        assert error(first, network(ids()).last) > 1e-3
        assert error(later[1], first[1]) < 1e-12
        for row, start in ((0, 2), (2, 4)):
            alone = StateCache(3, 1, [[part[row : row + 1] for part in own] for own in begun])
            expected = network(ids()[row : row + 1, start:], cache=alone).last
            assert error(later[row, start:], expected[0]) < 1e-12


@pytest.mark.column("gradients")
@recurrent
def test_gradients_reach_back_through_a_state_until_it_is_detached(family):
    network = network_of(family)
    rows, table = ids(1), network.embedding.tokens.weight
    rows[0] = torch.arange(LENGTH)  # each token once, so that gradients tell places apart
    whole = torch.autograd.grad(
        network(rows).last[:, 8:].pow(3).sum(), [*network.blocks.parameters()]
    )
    for detached in (False, True):
        cache = network.new_cache(1, LENGTH)
        network(rows[:, :8], cache=cache)
        if detached:
            cache.states = [[part.detach() for part in state] for state in cache.states]
        loss = network(rows[:, 8:], cache=cache).last.pow(3).sum()
        *own, reached = torch.autograd.grad(loss, [*network.blocks.parameters(), table])
        assert reached[:LENGTH].any(-1).tolist() == [not detached] * 8 + [True] * 4
        assert (max(map(error, own, whole)) < 1e-12) != detached


@pytest.mark.column("gradients")
@recurrent
def test_gradients_of_documents_reach_back_through_chunks(family):
    """Those of documents cut by chunks are the sums of those of the documents."""
    network, mask = network_of(family), masks.causal() & masks.same_document(DOCUMENTS)
    weights = [*network.blocks.parameters(), network.embedding.tokens.weight]
    whole = documents_alone(network, ids(), DOCUMENTS).pow(3).sum()
    chunks = in_chunks(network, ids(), (2, 4, 6), mask).pow(3).sum()
    own, expected = (torch.autograd.grad(loss, weights) for loss in (chunks, whole))
    for mine, other in zip(own, expected, strict=True):
        assert error(mine, other) < 1e-12


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(masks.prefix(torch.tensor([3, 3, 3])), id="prefix"),
        pytest.param(masks.permutation(torch.arange(LENGTH).flip(0)[None]), id="permutation"),
        pytest.param(masks.causal() & masks.band(4), id="band"),
        pytest.param(masks.causal() | masks.same_document(DOCUMENTS), id="any"),
    ],
)
@families
def test_a_mask_that_cannot_be_obeyed_is_refused(family, mask):
    with pytest.raises(InputError, match="reads one token after another; its masks are causal"):
        network_of(family)(ids(), mask=mask)


@recurrent
def test_a_batch_of_padding_alone_is_refused(family):
    with pytest.raises(InputError, match="its mask hides all; leave it out"):
        network_of(family)(ids(), mask=masks.padding(torch.zeros(3).long()))


@recurrent
def test_a_state_that_does_not_fit_is_refused(family):
    network, parts = network_of(family), 2 if family == "lstm" else 1
    for shape in ((3, 4), (3, 6), (3, 10), (3, 1, 5)):
        wrong = [[torch.zeros(shape).double() for _ in range(parts)] for _ in range(3)]
        with pytest.raises(InputError, match=r"A state has shape \[.*carries \[3, 5\]"):
            network(ids(), cache=StateCache(3, 3, wrong))
    other = [[torch.zeros(3, 5).double() for _ in range(3 - parts)] for _ in range(3)]
    with pytest.raises(InputError, match=f"has {3 - parts} parts; this {family} carries {parts}"):
        network(ids(), cache=StateCache(3, 3, other))


@recurrent
def test_a_state_of_other_rows_or_of_another_place_is_refused(family):
    network = network_of(family)
    cache = network.new_cache(3, LENGTH)
    with pytest.raises(InputError, match="made for 3 rows and got 2; make a new one"):
        network(ids(2), cache=cache)
    network(ids()[:, :7], cache=cache)
    with pytest.raises(InputError, match="made for 3 rows and got 1; make a new one"):
        network(ids(1), cache=cache)
    cache.length = 4
    with pytest.raises(InputError, match="stands after 7 tokens and cannot go back to 4"):
        network(ids(), cache=cache)


@pytest.mark.parametrize("family", ["nplm"])
def test_a_window_over_a_full_cache_is_refused(family):
    network = network_of(family)
    cache = network.new_cache(3, 8)
    with pytest.raises(InputError, match="room for 8 tokens, holds 0 and got 12"):
        network(ids(), cache=cache)


@pytest.mark.parametrize(
    ("family", "other"), [("lstm", "gpt2"), ("gpt2", "lstm"), ("xlnet", "gru")]
)
def test_a_cache_of_another_kind_of_layers_is_refused(family, other):
    sizes = {"vocab_size": 50, "d_model": 32, "n_layers": 2, "n_heads": 2}
    own, foreign = (build_network(shaped(name, sizes)).eval() for name in (family, other))
    with pytest.raises(InputError, match="another model's; one that holds what 2 layers"):
        own(torch.zeros(1, 3, dtype=torch.long), cache=foreign.new_cache(1, 8))


def test_a_cache_of_other_layers_is_refused():
    network = build_network(spec_for("gru", vocab_size=50, d_model=32, n_layers=2)).eval()
    tokens = torch.zeros(1, 3, dtype=torch.long)
    with pytest.raises(InputError, match="one that holds what 2 layers carry"):
        network(tokens, cache=StateCache(3, 1))
    with pytest.raises(InputError, match="states of 1 layers for 2"):
        StateCache(2, 1, [[torch.zeros(1, 32)]])
    cache = network.new_cache(1, 8)
    cache.states.pop()
    with pytest.raises(InputError, match="states of 1 layers for 2"):
        network(tokens, cache=cache)


@pytest.mark.parametrize("family", ["rnn", "lstm", "gru", "seq2seq", "bahdanau", "luong"])
def test_a_state_lost_midway_is_said(family):
    sizes = {"vocab_size": 50, "d_model": 16, **({"d_hidden": 16} if family == "bahdanau" else {})}
    network = build_network(spec_for(family, **sizes)).eval()
    tokens, cache = torch.zeros(1, 3, dtype=torch.long), network.new_cache(1, 8)
    source = network.encode(tokens)[0] if network.spec.encoder else None

    def read():
        return (
            network(tokens, cache=cache)
            if source is None
            else network.decode(source, tokens, cache=cache)
        )

    read()
    cache.states[0].clear()
    with pytest.raises(InputError, match="state has 0 parts"):
        read()
