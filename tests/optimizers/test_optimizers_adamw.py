"""AdamW's two forms against a reference in double precision; groups that partition."""

import numpy as np
import pytest
import torch
from torch import nn

from hornbook.errors import TrainingError
from hornbook.optimizers.adamw import AdamW
from hornbook.optimizers.groups import Group, Place, decays

torch.set_num_threads(1)

SETTINGS = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8}
RATES = [1e-3 * min(1.0, (t + 1) / 5) for t in range(20)]


def make_groups(dtype, seed=0):
    """Two groups with a gap between parameters, as training lays them out."""
    draw = np.random.default_rng(seed)
    groups = []
    for decay, shapes in ((0.1, {"a": (3, 4), "b": (5,)}), (0.0, {"c": (7,)})):
        values = torch.zeros(32, dtype=dtype)
        places = {name: Place(16 * i, shape) for i, (name, shape) in enumerate(shapes.items())}
        group = Group(values, torch.zeros_like(values), places, decay)
        for view in group.by_name(values).values():
            view.copy_(torch.from_numpy(draw.standard_normal(view.shape)))
        groups.append(group)
    return groups


def draw_gradients(groups, step):
    """Gradients of many sizes, the same for every form and dtype."""
    draw = np.random.default_rng(1000 + step)
    for group in groups:
        for view in group.by_name(group.gradients).values():
            size = 10.0 ** draw.uniform(-6, 1)
            view.copy_(torch.from_numpy(draw.standard_normal(view.shape) * size))


def reference(groups, rates):
    """The published equations in numpy, float64."""
    weights = [g.values.double().numpy().copy() for g in groups]
    first = [np.zeros_like(w) for w in weights]
    second = [np.zeros_like(w) for w in weights]
    b1, b2, eps = SETTINGS["beta1"], SETTINGS["beta2"], SETTINGS["epsilon"]
    for t, rate in enumerate(rates, 1):
        draw_gradients(groups, t)
        for i, group in enumerate(groups):
            g = group.gradients.double().numpy()
            weights[i] = weights[i] - rate * group.weight_decay * weights[i]
            first[i] = b1 * first[i] + (1 - b1) * g
            second[i] = b2 * second[i] + (1 - b2) * g**2
            m, v = first[i] / (1 - b1**t), second[i] / (1 - b2**t)
            weights[i] = weights[i] - rate * m / (np.sqrt(v) + eps)
    return weights


def run(groups, rates, fused, optimizer=None, start=1):
    optimizer = optimizer or AdamW(groups, fused=fused, **SETTINGS)
    for t, rate in enumerate(rates, start):
        draw_gradients(groups, t)
        optimizer.step(rate)
    return optimizer


@pytest.mark.parametrize(
    ("dtype", "fused", "tolerance"),
    [(torch.float64, False, 1e-13), (torch.float32, False, 2e-6), (torch.float32, True, 2e-6)],
)
def test_twenty_steps_equal_the_equations(dtype, fused, tolerance):
    groups = make_groups(dtype)
    expected = reference(make_groups(dtype), RATES)
    optimizer = run(groups, RATES, fused)
    assert (optimizer._kernel is not None) is fused
    for group, weights in zip(groups, expected, strict=True):
        assert np.abs(group.values.double().numpy() - weights).max() <= tolerance
        assert np.abs(weights).max() > 0.1


def test_gaps_between_parameters_and_rows_without_gradient_stay_zero():
    groups = make_groups(torch.float32)
    run(groups, RATES, fused=True)
    group = groups[0]
    assert group.values[12:16].abs().max() == 0
    assert group.values[21:].abs().max() == 0


def test_decay_falls_on_its_group_only():
    groups = make_groups(torch.float32)
    before = [g.values.clone() for g in groups]
    AdamW(groups, **SETTINGS).step(0.5)
    torch.testing.assert_close(groups[0].values, before[0] * (1 - 0.5 * 0.1))
    assert torch.equal(groups[1].values, before[1])


@pytest.mark.parametrize("fused", [False, True])
def test_a_restored_optimizer_goes_on_bit_for_bit(fused):
    whole = make_groups(torch.float32)
    run(whole, RATES, fused)
    parts = make_groups(torch.float32)
    state = {n: t.clone() for n, t in run(parts, RATES[:9], fused).state().items()}
    assert set(state) == {"updates"} | {
        f"{moment}_moment/{name}" for moment in ("first", "second") for name in "abc"
    }
    again = AdamW(parts, fused=fused, **SETTINGS)
    again.load_state(state)
    run(parts, RATES[9:], fused, again, start=10)
    for a, b in zip(whole, parts, strict=True):
        assert torch.equal(a.values, b.values)


def test_a_state_of_other_parameters_is_refused():
    optimizer = AdamW(make_groups(torch.float32), **SETTINGS)
    state = optimizer.state()
    state.pop("first_moment/b")
    with pytest.raises(TrainingError, match="other parameters"):
        optimizer.load_state(state)
    state = optimizer.state()
    state["first_moment/b"] = torch.zeros(6)
    with pytest.raises(TrainingError, match="other parameters"):
        optimizer.load_state(state)


class Marked(nn.Module):
    """A module that says what its parameters are, against what their axes suggest."""

    def __init__(self):
        super().__init__()
        self.roles = {"weight": "matrix", "offset": "bias", "vector": "embedding"}
        self.weight = nn.Parameter(torch.ones(3, 3))
        self.offset = nn.Parameter(torch.ones(3, 3))
        self.vector = nn.Parameter(torch.ones(3))


def test_decayed_are_matrices_and_embeddings_tied_once_frozen_never():
    network = nn.ModuleDict(
        {
            "table": nn.Embedding(5, 4),
            "head": nn.Linear(4, 5, bias=False),
            "norm": nn.LayerNorm(4),
            "map": nn.Linear(4, 4),
            "marked": Marked(),
            "frozen": nn.Linear(2, 2),
        }
    )
    network["head"].weight = network["table"].weight
    network["frozen"].requires_grad_(False)
    assert decays(network) == {
        "table.weight": True,
        "norm.weight": False,
        "norm.bias": False,
        "map.weight": True,
        "map.bias": False,
        "marked.weight": True,
        "marked.offset": False,
        "marked.vector": True,
    }
