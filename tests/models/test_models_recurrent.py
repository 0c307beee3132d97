"""Recurrent language models against loops and torch's own stacks; fresh weights, precision, drops.

Widths of tokens and states differ, there are three layers, and no parameter is constant.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from oracles import error, ours_of, redraw
from recurrent_references import GATES, recurrent

from hornbook.models.build import build_network, convert, trim
from hornbook.models.count import flops_per_token, parameters
from hornbook.models.families import spec_for
from hornbook.models.parts.cache import StateCache
from hornbook.training.precision import Masters

V, D, H, LAYERS = 11, 6, 5, 3
KERNELS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
UNTIED = {"d_model": D, "d_hidden": H, "tied": False}
FORMS = {"untied": UNTIED, "tied": {"d_model": D}}
families = pytest.mark.parametrize("family", GATES)
forms = pytest.mark.parametrize("form", FORMS)


def network_of(family, form="untied", **other):
    """Redrawn, in float64."""
    shape = {"vocab_size": V, "n_layers": LAYERS, "dropout": 0.0, **FORMS[form], **other}
    network = build_network(spec_for(family, **shape))
    with torch.no_grad():
        redraw(network)
    return network.double().eval()


def ids(batch=3, length=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, V, (batch, length), generator=generator)


def weights_of(network):
    """Copies by our names, with gradients of their own."""
    trimmed = trim(network, dict(network.named_parameters()))
    return {name: own.detach().clone().requires_grad_() for name, own in trimmed.items()}


def expected(network, rows):
    """(states, logits, last states) of the loops."""
    return recurrent(weights_of(network), network.spec.family, LAYERS, rows.tolist())


@pytest.mark.column("hidden states")
@forms
@families
def test_states_of_every_layer_equal_the_loops(family, form):
    network = network_of(family, form)
    states, _, _ = expected(network, ids())
    seen = ours_of(network, ids())
    assert len(seen.states) == len(states) == LAYERS + 1
    for layer, (own, other) in enumerate(zip(seen.states, states, strict=True)):
        assert error(own, other) < 1e-10, f"the state after layer {layer} differs"


@pytest.mark.column("logits")
@forms
@families
def test_logits_equal_the_loops(family, form):
    network = network_of(family, form)
    assert error(ours_of(network, ids()).logits, expected(network, ids())[1]) < 1e-10


@pytest.mark.column("gradients")
@forms
@families
def test_gradients_of_every_parameter_equal_the_loops(family, form):
    network, targets = network_of(family, form), ids(seed=1).flatten()
    weights = weights_of(network)
    _, logits, _ = recurrent(weights, family, LAYERS, ids().tolist())
    F.cross_entropy(logits.flatten(0, 1), targets).backward()
    F.cross_entropy(ours_of(network, ids()).logits.flatten(0, 1), targets).backward()
    own = trim(network, {name: p.grad for name, p in network.named_parameters()})
    assert set(own) == set(weights)
    for name, weight in weights.items():
        assert weight.grad.abs().max() > 0, name
        assert error(own[name], weight.grad) < 1e-10, name


@pytest.mark.column("cache")
@families
def test_what_is_carried_is_the_last_state_of_the_loops(family):
    network = network_of(family)
    cache = network.new_cache(3, 7)
    with torch.no_grad():
        network(ids(), cache=cache)
    for own, other in zip(cache.states, expected(network, ids())[2], strict=True):
        assert len(own) == len(other) == (2 if family == "lstm" else 1)
        for mine, theirs in zip(own, other, strict=True):
            assert error(mine, theirs) < 1e-10


@pytest.mark.column("oracle")
@families
def test_torchs_stack_of_layers_is_the_same(family):
    """The weights copied, begun with states that are not zero; gradients too."""
    network = network_of(family)
    theirs = KERNELS[family](D, H, LAYERS, batch_first=True).double()
    with torch.no_grad():
        for layer, block in enumerate(network.blocks):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, f"{name}_l{layer}").copy_(getattr(block.cell, f"{name}_l0"))
    torch.manual_seed(4)
    begun = [[torch.randn(3, H).double() for _ in (0, 1)[: 1 + (family == "lstm")]] for _ in "123"]
    cache = StateCache(LAYERS, 3, begun)
    whole = [torch.stack(part) for part in zip(*begun, strict=True)]
    vectors = network.embedding.tokens.weight.detach()[ids()]
    other, after = theirs(vectors, tuple(whole) if family == "lstm" else whole[0])
    own = network(ids(), cache=cache).last
    assert error(own, other) < 1e-12
    ends = after if family == "lstm" else (after,)
    for layer, state in enumerate(cache.states):
        for mine, end in zip(state, ends, strict=True):
            assert error(mine, end[layer]) < 1e-12
    own.square().sum().backward()
    other.square().sum().backward()
    for layer, block in enumerate(network.blocks):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            mine, yours = getattr(block.cell, f"{name}_l0"), getattr(theirs, f"{name}_l{layer}")
            assert error(mine.grad, yours.grad) < 1e-10, (layer, name)


@pytest.mark.column("oracle")
@families
def test_float32_is_within_its_rounding(family):
    network = network_of(family)
    logits = expected(network, ids())[1]
    assert error(ours_of(network.float(), ids()).logits.double(), logits) < 1e-5


@pytest.mark.column("oracle")
@forms
@families
def test_parameters_and_flops_of_a_hand_calculation(family, form):
    """Every gate has a map of the input, one of the state, and two biases."""
    network, n = network_of(family, form), len(GATES[family])
    h = H if form == "untied" else D
    maps = sum(n * h * (width + h) for width in (D, h, h))
    output = 0 if form == "tied" else V * h
    spec = network.spec
    held = sum(p.numel() for p in trim(network, dict(network.named_parameters())).values())
    by_hand = V * D + maps + LAYERS * 2 * n * h + output + V
    assert parameters(spec)["total"] == held == by_hand
    assert flops_per_token(spec, 50) == flops_per_token(spec, 9) == 6 * (maps + V * h)


@families
def test_fresh_weights_are_uniform_and_biases_zero_but_for_the_forget_gate(family):
    """Bounds are 1 / sqrt(d_hidden); each layer and each matrix is drawn by itself."""
    spec = spec_for(family, vocab_size=V, d_model=40, d_hidden=64, n_layers=3, tied=False)
    bound, seen = 1 / 8, []
    for block in build_network(spec).blocks:
        for name, parameter in block.cell.named_parameters():
            if name.startswith("weight"):
                assert 0.99 * bound < parameter.abs().max() <= bound
                assert parameter.mean().abs() < 0.1 * bound
                seen.append(parameter.flatten()[:5])
            else:
                opened = family == "lstm" and name == "bias_hh_l0"
                gates = [1.0 if opened and k == "f" else 0.0 for k in GATES[family]]
                assert parameter.view(-1, 64).unique(dim=1).flatten().tolist() == gates, name
    assert len({tuple(row.tolist()) for row in seen}) == 6


def loss_of(network, rows, cache=None):
    hidden = network(rows[:, :-1], cache=cache)
    assert hidden.last.dtype == torch.float32
    logits = network.logits(hidden.last).float()
    return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


@families
def test_bfloat16_shadows_stay_near_float32(family):
    """As training holds them: loss, gradients, and the state that is carried on."""
    torch.manual_seed(0)
    rows, losses, states, slopes = torch.randint(0, 40, (4, 25)), [], [], []
    for dtype in (torch.float32, torch.bfloat16):
        spec = spec_for(family, vocab_size=40, d_model=24, n_layers=3, dropout=0.0)
        network = build_network(spec, seed=1)
        Masters(network, dtype, 0.0)
        cell = network.blocks[1].cell
        assert {p.dtype for p in cell.parameters()} == {dtype}
        cache = network.new_cache(4, 24)
        loss = loss_of(network, rows, cache)
        loss.backward()
        losses.append(loss.item())
        states.append(torch.cat([part.float() for state in cache.states for part in state]))
        slopes.append(torch.cat([p.grad.flatten().float() for p in cell.parameters()]))
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    assert 0 < error(*states[::-1]) < 0.03
    assert torch.cosine_similarity(*slopes, dim=0) > 0.99


@families
def test_a_state_in_bfloat16_is_carried_from_chunk_to_chunk(family):
    network = convert(network_of(family).float(), torch.bfloat16)
    cache = network.new_cache(3, 7)
    with torch.no_grad():
        parts = [network(chunk, cache=cache).last for chunk in ids().split((1, 2, 4), dim=1)]
        whole, alone = network(ids()).last, network(ids()[:, 3:]).last
    assert {part.dtype for state in cache.states for part in state} == {torch.bfloat16}
    assert parts[0].dtype == torch.float32
    assert error(torch.cat(parts, 1), whole) < 0.02
    assert error(alone, whole[:, 3:]) > 0.1, "the state makes no difference"


@families
def test_dropout_falls_on_what_enters_and_leaves_layers_and_never_between_steps(family):
    """Every cell, given what really entered it, does what it does without dropout."""
    network, met = network_of(family, dropout=0.5).train(), []
    for block in network.blocks:
        block.cell.register_forward_hook(lambda cell, x, y: met.append((cell, x[0], y[0])))
    torch.manual_seed(1)
    last = network(ids(8, 20)).last
    torch.manual_seed(2)
    assert not torch.equal(network(ids(8, 20)).last, last)
    entering = network.embedding.tokens.weight[ids(8, 20)]
    for cell, x, y in met[:LAYERS]:
        assert_dropped(x, entering)
        steps, state = [], None
        for step in x.split(1, dim=1):
            out, state = cell(step, state)
            steps.append(out)
        assert error(torch.cat(steps, 1), y) < 1e-12, "something fell from step to step"
        entering = y
    assert_dropped(last, entering)
    without = network_of(family)(ids(8, 20)).last
    assert torch.equal(network.eval()(ids(8, 20)).last, without)


def assert_dropped(after, before):
    """About half is gone, and what is left is twice as large."""
    gone = after == 0
    assert abs(gone.double().mean().item() - 0.5) < 5 * 0.5 / math.sqrt(gone.numel())
    assert torch.equal(after, torch.where(gone, 0.0, 2 * before))
