"""Encoder-decoders of recurrent layers as they are called: caches, padding, alignment, errors."""

from dataclasses import replace

import pytest
import torch
from oracles import error
from seq2seq_cases import (
    ALIGNED,
    CASES,
    DROPPED,
    SOURCES,
    TARGETS,
    VOCABULARY,
    WIDTH,
    given,
    layers_of,
    padded,
    redrawn,
    scattered,
)

from hornbook.batches import masks
from hornbook.batches.batch import Source
from hornbook.errors import InputError, SpecError
from hornbook.handle.model import Model
from hornbook.models.parts.context import Source as Encoded
from hornbook.models.recurrences import CurrentStateAttention, PreviousStateAttention, Recurrence

FAMILIES = ["seq2seq", "bahdanau", "luong"]
OF_FAMILY = {"seq2seq": "seq2seq-reversed", "bahdanau": "bahdanau", "luong": "luong-local"}
PLACE = 3
cases = pytest.mark.parametrize("name", CASES)
aligned = pytest.mark.parametrize("name", ALIGNED)
families = pytest.mark.parametrize("family", FAMILIES)


def network_of(name):
    return redrawn(CASES[name].spec)


def without(rows):
    """Each row's source without padding."""
    return [torch.tensor([row]) for row in rows]


def alone(network):
    """Every row by itself, without padding."""
    rows = zip(without(SOURCES), TARGETS.split(1), strict=True)
    return torch.cat([network(source, target).last for source, target in rows])


def other_at(rows, place):
    """The same rows with another token at one place."""
    changed = rows.clone()
    changed[:, place] = (changed[:, place] + 1) % VOCABULARY
    return changed


@pytest.mark.column("logits")
@cases
def test_the_handle_reads_a_source_and_a_target(name):
    network = network_of(name)
    output = Model(network)(given(), TARGETS, hidden_states=True)
    assert output.logits.shape == (3, 5, VOCABULARY)
    assert torch.equal(output.logits, network.logits(network(given(), TARGETS).last))
    n_layers = CASES[name].spec.encoder.n_layers
    assert len(output.source_states) == n_layers + 1


@pytest.mark.column("cache")
@pytest.mark.parametrize("chunks", [(1, 2, 2), (3, 1, 1), (1, 1, 1, 1, 1), (5,)], ids=str)
@cases
def test_a_decoder_in_chunks_over_a_cache_equals_all_at_once(name, chunks):
    network = network_of(name)
    whole = network(given(), TARGETS, hidden_states=True)
    source, _ = network.encode(given())
    cache = network.new_cache(3, 5)
    parts = [
        network.decode(source, chunk, cache=cache, hidden_states=True)
        for chunk in TARGETS.split(chunks, dim=1)
    ]
    assert cache.length == 5
    assert error(torch.cat([part.last for part in parts], 1), whole.last) < 1e-12
    for layer, state in enumerate(whole.states):
        assert error(torch.cat([part.states[layer] for part in parts], 1), state) < 1e-12
    for number, shares in enumerate(whole.alignments):
        found = torch.cat([part.alignments[number] for part in parts], 1)
        assert error(found, shares) < 1e-12


@pytest.mark.column("gradients")
@cases
def test_gradients_reach_back_through_a_cache(name):
    """Training in chunks is training: the encoder learns from the last of them."""
    network = network_of(name)
    network(given(), TARGETS).last.square().sum().backward()
    expected = {key: p.grad.clone() for key, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    source, _ = network.encode(given())
    cache = network.new_cache(3, 5)
    parts = [network.decode(source, part, cache=cache).last for part in TARGETS.split(2, dim=1)]
    torch.cat(parts, 1).square().sum().backward()
    for key, parameter in network.named_parameters():
        if key in expected:
            assert error(parameter.grad, expected[key]) < 1e-9, key


@pytest.mark.column("cache")
@cases
def test_a_cache_changes_places_with_its_source(name):
    """As in beams: row i goes on with what row rows[i] has read, its source included."""
    network = network_of(name)
    source, _ = network.encode(given())
    whole = network(given(), TARGETS).last
    rows = torch.tensor([2, 0, 2])
    cache = network.new_cache(3, 5)
    network.decode(source, TARGETS[:, :2], cache=cache)
    cache.reorder(rows)
    moved = Encoded(source.states[rows], masks.padding(padded()[1].sum(1)[rows]))
    rest = network.decode(moved, TARGETS[rows, 2:], cache=cache).last
    assert error(rest, whole[rows, 2:]) < 1e-12, "rows go on with what others have read"


@pytest.mark.column("cache")
@cases
def test_a_cache_that_begins_anew_forgets_the_source(name):
    network = network_of(name)
    cache = network.new_cache(3, 5)
    network(given(), TARGETS, cache=cache)
    cache.length = 0
    rows = torch.randint(0, VOCABULARY, (3, 7), generator=torch.Generator().manual_seed(1))
    found = network(rows, TARGETS, cache=cache).last
    assert error(found, network(rows, TARGETS).last) < 1e-12, "an old source is read"


@pytest.mark.column("batch invariance")
@pytest.mark.parametrize("laid", [given, scattered], ids=["right", "anywhere"])
@cases
def test_padding_of_a_source_changes_nothing(name, laid):
    network = network_of(name)
    found, other = (network(laid(pad), TARGETS).last for pad in (0, 13))
    assert error(found, alone(network)) < 1e-12, "padding is read"
    assert torch.equal(found, other), "what padding holds is read"
    seen = network(laid().tokens, TARGETS).last
    assert error(seen, alone(network)) > 1e-6, "without the mask padding must be seen"


@pytest.mark.column("batch invariance")
@cases
def test_a_row_whose_source_is_all_padding_harms_nobody(name):
    network = network_of(name)
    rows, there = padded()
    there[1] = False
    last = network(Source(rows, mask=masks.present(there)), TARGETS).last
    assert last.isfinite().all()
    assert error(last[[0, 2]], alone(network)[[0, 2]]) < 1e-12
    last.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.column("mask property")
@cases
def test_a_target_is_causal_and_a_source_reaches_all(name):
    network = network_of(name)
    own = network(given(), TARGETS).last
    late = network(given(), other_at(TARGETS, PLACE)).last
    assert torch.equal(own[:, :PLACE], late[:, :PLACE])
    assert (own - late).abs().amax(-1)[:, PLACE:].min() > 1e-6
    for place in range(4):  # every row has so many tokens
        rows, there = padded()
        moved = network(
            Source(other_at(rows, place), mask=masks.padding(there.sum(1))), TARGETS
        ).last
        assert (own - moved).abs().amax(-1).min() > 1e-9, f"place {place} is not read"


@pytest.mark.column("mask property")
@aligned
def test_shares_of_a_source_add_up_and_padding_has_none(name):
    network = network_of(name)
    shares = network.alignment(given(), TARGETS)
    assert shares.shape == (3, 5, 7)
    assert not shares.requires_grad
    there = padded()[1][:, None].expand_as(shares)
    assert (shares[~there] == 0).all(), "padding has a share"
    total = shares.sum(-1)
    if "local" in name or name == "luong-rnn":
        assert (total < 1 - 1e-6).all()
        assert (shares[there] == 0).any(), "the window is as wide as the source"
        assert total.min() > 0.05
    else:
        torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)
        assert (shares[there] > 0).all()


@families
def test_an_alignment_is_of_evaluation_and_leaves_the_mode_as_it_was(family):
    network = redrawn(DROPPED[family].spec)
    for training in (True, False):
        network.train(training)
        if family == "seq2seq":
            with pytest.raises(InputError, match="looks at nothing else of it"):
                network.alignment(given(), TARGETS)
        else:
            found = network.alignment(given(), TARGETS)
            assert torch.equal(found, network.eval()(given(), TARGETS).alignments[0])
            network.train(training)
        with pytest.raises(InputError, match="longer than the 12"):
            network.alignment(torch.ones(1, 13, dtype=torch.int64), TARGETS[:1])
        assert network.training == training


@families
def test_a_source_longer_than_the_window_is_refused(family):
    network = network_of(OF_FAMILY[family])
    rows = torch.ones(3, 13, dtype=torch.int64)
    for call in (network, Model(network)):
        with pytest.raises(InputError, match="A source of 13 tokens is longer than the 12"):
            call(rows, TARGETS)


@families
def test_a_target_of_several_documents_is_refused(family):
    network = network_of(OF_FAMILY[family])
    parted = masks.causal() & masks.same_document((torch.arange(5) > 2).long().expand(3, -1))
    for mask in (parted, masks.padding(torch.tensor([5, 3, 2])), masks.causal() & masks.band(2)):
        with pytest.raises(InputError, match="writes one text in each row"):
            network(given(), TARGETS, mask=mask)
    expected = network(given(), TARGETS).last
    assert torch.equal(network(given(), TARGETS, mask=masks.causal()).last, expected)


@families
def test_states_of_another_model_are_refused(family):
    network = network_of(OF_FAMILY[family])
    source, _ = network.encode(given())
    narrow = [[tensor[:, :4] for tensor in state] for state in source.final]
    if family == "bahdanau":
        with pytest.raises(InputError, match="states have 4 numbers each, this decoder reads 14"):
            network.decode(Encoded(source.states[..., :4], None, source.final), TARGETS)
    else:
        with pytest.raises(InputError, match=r"A state has shape \[3, 4\].* carries \[3, 7\]"):
            network.decode(Encoded(source.states, None, narrow), TARGETS)
    cache = network.new_cache(3, 5)
    network.decode(source, TARGETS[:, :2], cache=cache)
    cache.states[0][0] = cache.states[0][0][:, :4]
    with pytest.raises(InputError, match=r"A state has shape \[3, 4\]"):
        network.decode(source, TARGETS[:, 2:], cache=cache)


@families
def test_a_source_of_other_rows_is_refused(family):
    network = network_of(OF_FAMILY[family])
    source, _ = network.encode(given())
    with pytest.raises(InputError, match="The state was made for 3 rows and got 2"):
        network.decode(source, TARGETS[:2])


def unequal(family, **stack):
    """The family's spec with another stack in the encoder."""
    spec = CASES[OF_FAMILY[family]].spec
    return replace(spec, encoder=replace(spec.encoder, **stack))


@pytest.mark.parametrize(
    ("family", "n_layers", "said"),
    [("seq2seq", 2, "3 layers of the decoder .* of 2"), ("luong", 3, "2 layers .* of 3")],
)
def test_as_many_layers_begin_as_end(family, n_layers, said):
    with pytest.raises(SpecError, match=said):
        unequal(family, n_layers=n_layers, blocks=layers_of("lstm", n_layers, 0.0))


def test_layers_begin_with_states_of_their_kind_and_width():
    for blocks in (
        layers_of("gru", 3, 0.0),
        (Recurrence("lstm", 5, 6), Recurrence("lstm", 6, 7), Recurrence("lstm", 7, 7)),
    ):
        with pytest.raises(SpecError, match="Layer 1 of the decoder cannot begin with the states"):
            unequal("seq2seq", blocks=blocks)
    with pytest.raises(SpecError, match="or a PreviousStateAttention a BothWays to read"):
        unequal("bahdanau", blocks=(Recurrence("gru", 5, 14),))


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(SpecError, match=r"gives a width of 6, the decoder reads \{7\}"):
        unequal("luong", blocks=(Recurrence("lstm", 5, 7), Recurrence("lstm", 7, 6)))
    with pytest.raises(SpecError, match="Layer 2 reads a width of 7, but gets 6"):
        unequal("luong", blocks=(Recurrence("lstm", 5, 6), Recurrence("lstm", 7, 7)))
    with pytest.raises(SpecError, match=r"The score dot multiplies states of 7 with those .* 8"):
        CurrentStateAttention("lstm", 5, WIDTH, WIDTH + 1, score="dot")
    with pytest.raises(SpecError, match="'near'; known are dot, general, concat"):
        CurrentStateAttention("lstm", 5, WIDTH, WIDTH, score="near")
    with pytest.raises(SpecError, match="window is -1"):
        CurrentStateAttention("lstm", 5, WIDTH, WIDTH, window=-1)
    with pytest.raises(SpecError, match="kind is 'lstm'; known are gru"):
        PreviousStateAttention("lstm", 5, WIDTH, 2 * WIDTH, 4, 3)


@families
@pytest.mark.parametrize("start", [VOCABULARY, -1])
def test_a_start_outside_the_vocabulary_is_refused(family, start):
    spec = CASES[OF_FAMILY[family]].spec
    with pytest.raises(SpecError, match=f"start_id = {start} is outside the vocabulary of 23"):
        replace(spec, reading=replace(spec.reading, start_id=start))
