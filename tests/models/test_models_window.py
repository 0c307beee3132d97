"""Bengio's model against an index loop, with direct connections and without."""

import math

import pytest
import torch
import torch.nn.functional as F
from oracles import error, ours_of, redraw
from recurrent_references import bengio

from hornbook.errors import SpecError
from hornbook.models.build import build_network, convert, trim
from hornbook.models.count import cache_bytes, flops_per_token, parameters
from hornbook.models.families import family as module_of
from hornbook.models.families import spec_for
from hornbook.training.precision import Masters

V, D, H = 11, 3, 4
FORMS = {"direct": (4, True), "not direct": (5, False), "bigrams": (2, True)}
forms = pytest.mark.parametrize("form", [pytest.param(form, id=f"nplm-{form}") for form in FORMS])


def network_of(form="direct", **other):
    """Redrawn, in float64."""
    order, direct = FORMS[form]
    shape = {"vocab_size": V, "d_model": D, "d_hidden": H, "order": order, "direct": direct}
    network = build_network(spec_for("nplm", **shape | other))
    with torch.no_grad():
        redraw(network)
    return network.double().eval()


def ids(batch=2, length=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, V, (batch, length), generator=generator)


def weights_of(network):
    trimmed = trim(network, dict(network.named_parameters()))
    return {name: own.detach().clone().requires_grad_() for name, own in trimmed.items()}


@pytest.fixture(scope="module")
def expected():
    """(states, logits) of the loops, by form."""
    return {
        form: bengio(weights_of(network_of(form)), *FORMS[form], ids().tolist()) for form in FORMS
    }


@pytest.mark.column("hidden states")
@forms
def test_states_equal_the_loops(expected, form):
    """The second is what the output layer reads: the hidden layer, then the vectors themselves."""
    states, _ = expected[form]
    seen = ours_of(network_of(form), ids())
    assert len(seen.states) == len(states) == 2
    for layer, (own, other) in enumerate(zip(seen.states, states, strict=True)):
        assert error(own, other) < 1e-10, f"the state after layer {layer} differs"


@pytest.mark.column("logits")
@forms
def test_logits_equal_the_loops(expected, form):
    assert error(ours_of(network_of(form), ids()).logits, expected[form][1]) < 1e-10


@pytest.mark.column("gradients")
@forms
def test_gradients_of_every_parameter_equal_the_loops(form):
    network, targets = network_of(form), ids(seed=1).flatten()
    weights = weights_of(network)
    logits = bengio(weights, *FORMS[form], ids().tolist())[1]
    F.cross_entropy(logits.flatten(0, 1), targets).backward()
    F.cross_entropy(ours_of(network, ids()).logits.flatten(0, 1), targets).backward()
    own = trim(network, {name: p.grad for name, p in network.named_parameters()})
    assert set(own) == set(weights)
    for name, weight in weights.items():
        assert weight.grad.abs().max() > 0, name
        assert error(own[name], weight.grad) < 1e-10, name


@pytest.mark.column("oracle")
@forms
def test_float32_is_within_its_rounding(expected, form):
    logits = ours_of(network_of(form).float(), ids()).logits
    assert error(logits.double(), expected[form][1]) < 1e-5


@pytest.mark.column("oracle")
@pytest.mark.parametrize("name", [pytest.param(n, id=f"nplm-{n}") for n in module_of("nplm").SIZES])
def test_sizes_are_those_of_the_papers_formula(name):
    """|V| (1 + n m + h) + h (1 + (n - 1) m); n words counting the predicted one, m wide, h hidden.

    The formula has direct connections; without them |V| (n - 1) m are gone.
    """
    size = module_of("nplm").SIZES[name]
    n, m, h = (size.dimensions[key] for key in ("order", "d_model", "d_hidden"))
    whole = 16383 * (1 + n * m + h) + h * (1 + (n - 1) * m)
    without = 0 if size.dimensions.get("direct", True) else 16383 * (n - 1) * m
    assert size.parameters == parameters(spec_for(f"nplm/{name}"))["total"] == whole - without


@pytest.mark.column("oracle")
@forms
def test_parameters_and_flops_of_a_hand_calculation(form):
    network, (order, direct) = network_of(form), FORMS[form]
    read = (order - 1) * D
    inner, output = H * read, V * (H + (read if direct else 0))
    held = sum(p.numel() for p in trim(network, dict(network.named_parameters())).values())
    assert parameters(network.spec)["total"] == held == V * D + inner + H + output + V
    assert flops_per_token(network.spec, 9) == 6 * (inner + output)
    assert cache_bytes(network.spec, "float32") == 4 * D


@pytest.mark.column("mask property")
@forms
def test_a_token_is_seen_by_the_next_few_alone(form):
    """order - 1 places, its own the first of them."""
    network, (order, _) = network_of(form), FORMS[form]
    changed = ids().clone()
    changed[:, 2] = (changed[:, 2] + 1) % V
    with torch.no_grad():
        moved = (network(changed).last != network(ids()).last).any(-1)
    reached = [2 <= place < 2 + order - 1 for place in range(7)]
    assert moved.tolist() == [reached, reached]


def test_the_output_layer_reads_the_hidden_layer_first():
    """[U | W]: without its last columns the model is the one that has no direct connections."""
    whole, bare = network_of("direct"), network_of("direct", direct=False)
    weights = whole.state_dict()
    weights["head.weight"] = weights["head.weight"][:, :H]
    bare.load_state_dict(weights)
    with torch.no_grad():
        whole.head.weight[:, H:] = 0
        own, other = (ours_of(network, ids()).logits for network in (whole, bare))
    assert error(own, other) < 1e-12


def test_fresh_weights_are_drawn_by_how_many_numbers_enter():
    spec = spec_for("nplm", vocab_size=500, d_model=40, d_hidden=64, order=4)
    network = build_network(spec)
    hidden = network.blocks[0].hidden
    assert hidden.weight.std().item() == pytest.approx(1 / math.sqrt(3 * 40), rel=0.05)
    head = network.head.weight[:500]
    assert head.std().item() == pytest.approx(1 / math.sqrt(64 + 3 * 40), rel=0.02)
    assert network.embedding.tokens.weight[:500].std().item() == pytest.approx(1.0, rel=0.05)
    assert not any(own.any() for own in (hidden.bias, network.head.bias, network.head.weight[500:]))


def test_bfloat16_stays_near_float32_and_what_leaves_is_float32():
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        network = build_network(spec_for("nplm", vocab_size=40, d_model=24, dropout=0.0), seed=1)
        Masters(network, dtype, 0.0)
        rows = torch.randint(0, 40, (4, 25), generator=torch.Generator().manual_seed(0))
        hidden = network(rows[:, :-1]).last
        assert hidden.dtype == torch.float32
        logits = network.logits(hidden).float().flatten(0, 1)
        losses.append(F.cross_entropy(logits, rows[:, 1:].flatten()).item())
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    low = convert(network_of().float(), torch.bfloat16)
    cache = low.new_cache(2, 7)
    with torch.no_grad():
        parts = [low(chunk, cache=cache).last for chunk in ids().split((1, 2, 4), dim=1)]
        assert error(torch.cat(parts, 1), low(ids()).last) < 1e-6


def test_dropout_falls_on_tokens_and_the_hidden_layer_and_not_in_evaluation():
    network, without = network_of(dropout=0.5).train(), network_of()
    torch.manual_seed(1)
    last, other = network(ids(40, 50)).last, without(ids(40, 50)).last
    hidden, vectors = last.split([H, 3 * D], dim=-1)
    gone = hidden == 0
    assert abs(gone.double().mean().item() - 0.5) < 0.05
    inner = network.blocks[0].hidden
    made = torch.tanh(vectors @ inner.weight.T + inner.bias)
    assert torch.allclose(hidden, torch.where(gone, 0.0, 2 * made), rtol=0, atol=1e-12)
    dropped = vectors == 0
    assert torch.equal(vectors, torch.where(dropped, 0.0, 2 * other[..., H:]))
    assert torch.equal(network.eval()(ids(40, 50)).last, other)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"order": 1}, "Window.order is 1; it must be at least 2"),
        ({"d_hidden": 0}, "d_hidden is 0"),
        ({"dropout": 1.5}, "dropout is 1.5"),
    ],
)
def test_impossible_windows_are_refused(wrong, said):
    with pytest.raises(SpecError, match=said):
        spec_for("nplm", **wrong)
