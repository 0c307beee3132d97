"""Who sees whom, in every family: perturbed tokens, padding, rows beside each other, caches."""

import pytest
import torch
from oracles import FIRST, ORACLES, VOCABULARY, error, inputs, tokens

from hornbook.batches import masks
from hornbook.batches.batch import Source
from hornbook.models.choices import CausalReading

SOURCES = ["transformer", "bart", "t5", "t5_1_1"]
ENCODERS = ["bert", "roberta", "xlnet"]
DECODERS = [family for family in ORACLES if family not in (*SOURCES, *ENCODERS)]
CONTINUING = [*DECODERS, "xlnet"]
kernels = pytest.mark.parametrize("gradient", [True, False], ids=["in training", "in inference"])
PLACE = 13


def families(names):
    return pytest.mark.parametrize("family", names)


def other_at(rows, place):
    """The same rows with another token at one place."""
    changed = rows.clone()
    changed[:, place] = FIRST + (changed[:, place] - FIRST + 1) % (VOCABULARY - FIRST)
    return changed


def same_before(own, changed, place, family):
    """Bit for bit, but where tokens are gathered by expert and others change the grouping."""
    if family == "mixtral":
        return error(own[:, :place], changed[:, :place]) < 1e-12
    return torch.equal(own[:, :place], changed[:, :place])


def difference_at(own, changed):
    """[length]: the largest change of any row's state."""
    return (own - changed).abs().amax((0, 2))


@pytest.mark.column("mask property")
@kernels
@families(CONTINUING)
def test_a_decoder_sees_itself_and_the_past_alone(pairs, family, gradient):
    network = pairs(family, torch.float64).ours
    with torch.set_grad_enabled(gradient):
        own = network.predict_next(tokens()).last
        changed = network.predict_next(other_at(tokens(), PLACE)).last
    assert same_before(own, changed, PLACE, family)
    reached = difference_at(own, changed)[PLACE:]
    # A band of 7 in every other of four layers, whose others see all, reaches everything too.
    assert reached.min() > 1e-6


@pytest.mark.column("mask property")
@kernels
@families(ENCODERS)
def test_an_encoder_sees_everything(pairs, family, gradient):
    network = pairs(family, torch.float64).ours
    with torch.set_grad_enabled(gradient):
        own = network(tokens()).last
        changed = network(other_at(tokens(), PLACE)).last
    assert difference_at(own, changed).min() > 1e-6


@pytest.mark.column("mask property")
@kernels
@families(SOURCES)
def test_a_target_is_causal_and_a_source_reaches_all(pairs, family, gradient):
    ours, spec, _ = pairs(family, torch.float64)
    source, target = inputs(spec)
    with torch.set_grad_enabled(gradient):
        own = ours(source, target, hidden_states=True)
        late = ours(source, other_at(target, PLACE), hidden_states=True)
        moved = ours(other_at(source, PLACE), target, hidden_states=True)
    assert same_before(own.last, late.last, PLACE, family)
    assert difference_at(own.last, late.last)[PLACE:].min() > 1e-6
    assert torch.equal(own.source_states[-1], late.source_states[-1])
    assert difference_at(own.source_states[-1], moved.source_states[-1]).min() > 1e-6
    assert difference_at(own.last, moved.last).min() > 1e-6


@pytest.mark.column("mask property")
@kernels
@families([*DECODERS, *ENCODERS])
def test_a_given_mask_is_the_whole_rule(pairs, family, gradient):
    """Packed documents do not see each other; an encoder may be told to read causally."""
    network = pairs(family, torch.float64).ours
    documents = (torch.arange(29) >= PLACE).long().expand(2, -1)
    mask = masks.causal() & masks.same_document(documents)
    with torch.set_grad_enabled(gradient):
        own = network(tokens(), mask=mask).last
        changed = network(other_at(tokens(), PLACE - 1), mask=mask).last
        late = network(other_at(tokens(), 20), mask=mask).last
    reached = difference_at(own, changed)
    assert reached[PLACE - 1] > 1e-6
    if family != "mixtral":
        assert not reached[PLACE:].any()
        assert not difference_at(own, late)[:20].any()
    assert max(reached[: PLACE - 1].max(), reached[PLACE:].max()) < 1e-12
    assert difference_at(own, late)[20:].min() > 1e-6


@pytest.mark.column("batch invariance")
@kernels
@families(ORACLES)
def test_a_row_alone_equals_the_row_in_a_batch(pairs, family, gradient):
    ours, spec, _ = pairs(family, torch.float64)
    given = inputs(spec)
    with torch.set_grad_enabled(gradient):
        together = ours(*given).last
        for row in range(2):
            alone = ours(*(batch[row : row + 1] for batch in given)).last
            assert error(together[row : row + 1], alone) < 1e-12


def left_padded(pad):
    """Two rows of 20 and 29 tokens, the shorter one padded at its left, and where tokens are."""
    starts = torch.tensor([9, 0])
    there = torch.arange(29) >= starts[:, None]
    return torch.where(there, tokens(), torch.as_tensor(pad)), starts, there


def right_padded(pad):
    """The same, padded at its right."""
    there = torch.arange(29) < torch.tensor([[20], [29]])
    return torch.where(there, tokens(), torch.as_tensor(pad)), torch.tensor([20, 29]), there


def reading_of(network, rows, starts):
    """(positions, mask) of rows padded at the left."""
    if hasattr(network, "reading"):
        return network.reading.positions(rows, starts), network.reading.mask(rows, starts)
    there = torch.arange(rows.shape[1]) >= starts[:, None]
    return None, masks.causal() & masks.same_document(there.long())


@pytest.mark.column("batch invariance")
@kernels
@families([*CONTINUING, "bert", "roberta"])
def test_padding_at_the_left_changes_nothing(pairs, family, gradient):
    """Neither how much of it there is, nor (but for RoBERTa, which knows it by its id) what."""
    ours = pairs(family, torch.float64).ours
    pads = (1, 1) if family == "roberta" else (FIRST, FIRST + 5)
    results = []
    with torch.set_grad_enabled(gradient):
        for pad in pads:
            rows, starts, there = left_padded(pad)
            positions, mask = reading_of(ours, rows, starts)
            if family == "roberta":
                mask = masks.present(there)
            read = ours.predict_next if family in CONTINUING else ours
            results.append(read(rows, positions=positions, mask=mask).last[there])
        alone = torch.cat([read(rows[row : row + 1, starts[row] :]).last[0] for row in range(2)])
    assert error(results[0], alone) < 1e-12
    # What pads hold decides how many rows an expert is asked at once, which changes rounding.
    assert error(results[1], results[0]) < (1e-12 if family == "mixtral" else 1e-15)


@pytest.mark.column("batch invariance")
@kernels
@families(CONTINUING)
def test_padding_that_sees_nothing_harms_nobody(pairs, family, gradient):
    """Here not even padding sees padding: no NaN may come of it, nor reach the others."""
    network = pairs(family, torch.float64).ours
    rows, starts, there = left_padded(FIRST)
    positions, usual = reading_of(network, rows, starts)
    mask = masks.causal() & masks.present(there)
    with torch.set_grad_enabled(gradient):
        expected = network.predict_next(rows, positions=positions, mask=usual).last
        found = network.predict_next(rows, positions=positions, mask=mask).last
        assert found.isfinite().all()
        assert error(found[there], expected[there]) < 1e-12
        if gradient:
            weights = [p for p in network.parameters() if p.requires_grad]
            slopes = torch.autograd.grad(found[there].square().sum(), weights, allow_unused=True)
            assert all(slope.isfinite().all() for slope in slopes if slope is not None)


@pytest.mark.column("batch invariance")
@kernels
@families(ENCODERS)
def test_padding_at_the_right_changes_nothing(pairs, family, gradient):
    network = pairs(family, torch.float64).ours
    pads = (1, 1) if family == "roberta" else (FIRST, FIRST + 5)
    results = []
    with torch.set_grad_enabled(gradient):
        for pad in pads:
            rows, lengths, there = right_padded(pad)
            results.append(network(rows, mask=masks.padding(lengths)).last[there])
        seen = network(rows).last[there]
        alone = torch.cat(
            [network(rows[row : row + 1, : lengths[row]]).last[0] for row in range(2)]
        )
    assert error(results[0], alone) < 1e-12
    assert error(results[1], results[0]) < 1e-15
    assert error(seen, alone) > 1e-6, "without the mask padding must be seen"


@pytest.mark.column("batch invariance")
@kernels
@pytest.mark.parametrize("side", ["left", "right"])
@families(SOURCES)
def test_padding_of_a_source_changes_nothing(pairs, family, side, gradient):
    ours, spec, _ = pairs(family, torch.float64)
    _, target = inputs(spec)
    results = []
    with torch.set_grad_enabled(gradient):
        for pad in (FIRST, FIRST + 5):
            rows, length, there = (left_padded if side == "left" else right_padded)(pad)
            mask = masks.present(there) if side == "left" else masks.padding(length)
            positions = (there.long().cumsum(1) - 1).clamp(min=0)
            results.append(ours(Source(rows, positions, mask), target).last)
        seen = ours(rows, target).last
        alone = [ours(rows[row][there[row]][None], target[row : row + 1]).last for row in (0, 1)]
    assert error(results[0], torch.cat(alone)) < 1e-12
    assert error(results[1], results[0]) < 1e-15
    assert error(seen, torch.cat(alone)) > 1e-6, "without the mask padding must be seen"


CHUNKS = pytest.mark.parametrize(
    "chunks", [(1, 2, 26), (27, 1, 1), (29,)], ids=["1-2-rest", "rest-1-1", "all at once"]
)


@pytest.mark.column("cache")
@CHUNKS
@families(CONTINUING)
def test_tokens_in_chunks_over_a_cache_equal_all_at_once(pairs, family, chunks):
    network = pairs(family, torch.float64).ours
    with torch.no_grad():
        whole = network.predict_next(tokens(), hidden_states=True)
        cache = network.new_cache(2, 32)
        parts = []
        for chunk in tokens().split(chunks, dim=1):
            parts.append(network.predict_next(chunk, cache=cache, hidden_states=True))
        assert cache.length == 29
        assert error(torch.cat([part.last for part in parts], 1), whole.last) < 1e-12
        for layer, state in enumerate(whole.states):
            assert error(torch.cat([part.states[layer] for part in parts], 1), state) < 1e-12


@pytest.mark.column("cache")
@families(CONTINUING)
def test_left_padded_rows_over_a_cache_equal_each_row_alone(pairs, family):
    network = pairs(family, torch.float64).ours
    rows, starts, _ = left_padded(FIRST)
    with torch.no_grad():
        cache = network.new_cache(2, 29)
        positions, mask = reading_of(network, rows, starts)
        parts, start = [], 0
        for size in (15, 2, 1, 11):
            end = start + size
            own = None if positions is None else positions[:, start:end]
            chunk = rows[:, start:end]
            parts.append(network.predict_next(chunk, positions=own, mask=mask, cache=cache).last)
            start = end
        found = torch.cat(parts, 1)
        for row in range(2):
            alone = network.predict_next(rows[row : row + 1, starts[row] :]).last
            assert error(found[row : row + 1, starts[row] :], alone) < 1e-12


@pytest.mark.column("cache")
@families(CONTINUING)
def test_a_cache_forgets_what_came_after_and_its_rows_can_change_places(pairs, family):
    network = pairs(family, torch.float64).ours
    with torch.no_grad():
        cache = network.new_cache(2, 29)
        network.predict_next(tokens()[:, :20], cache=cache)
        network.predict_next(other_at(tokens(), 22)[:, 20:25], cache=cache)
        cache.length = 20
        cache.reorder(torch.tensor([1, 1]))
        rest = network.predict_next(tokens()[:, 20:], cache=cache).last
        joined = torch.cat([tokens()[[1, 1], :20], tokens()[:, 20:]], 1)
        assert error(rest, network.predict_next(joined).last[:, 20:]) < 1e-12


@pytest.mark.column("cache")
@pytest.mark.parametrize("chunks", [(1, 2, 14), (15, 1, 1), (17,)], ids=str)
@families(SOURCES)
def test_a_decoder_over_a_cache_equals_all_at_once(pairs, family, chunks):
    """The source is padded; its keys and values are made once and change places with the rows."""
    ours, spec, _ = pairs(family, torch.float64)
    _, target = inputs(spec)
    rows, lengths, _ = right_padded(FIRST)
    with torch.no_grad():
        source, _ = ours.encode(Source(rows, mask=masks.padding(lengths)))
        whole = ours(Source(rows, mask=masks.padding(lengths)), target, hidden_states=True)
        cache = ours.new_cache(2, 20)
        parts = [
            ours.decode(source, chunk, cache=cache, hidden_states=True)
            for chunk in target.split(chunks, dim=1)
        ]
        for layer, state in enumerate(whole.states):
            assert error(torch.cat([part.states[layer] for part in parts], 1), state) < 1e-12
        assert all(len(kept) == 2 for kept in cache.source)


@pytest.mark.column("cache")
@families(SOURCES)
def test_a_decoders_cache_changes_places_with_its_source(pairs, family):
    ours, spec, _ = pairs(family, torch.float64)
    rows, target = inputs(spec)
    swap = torch.tensor([1, 0])
    with torch.no_grad():
        source, _ = ours.encode(rows)
        cache = ours.new_cache(2, 20)
        ours.decode(source, target[:, :10], cache=cache)
        cache.reorder(swap)
        rest = ours.decode(source, target[swap, 10:], cache=cache).last
        assert error(rest, ours(rows, target).last[swap, 10:]) < 1e-12


def test_readings_of_these_decoders_are_causal(pairs):
    """What the lists above take for granted."""
    for family in DECODERS:
        assert isinstance(pairs(family).spec.reading, CausalReading)
