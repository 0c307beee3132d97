"""Counting without weights: exact parameters, FLOPs by hand, memory as autograd keeps it."""

import math

import pytest
import torch
from shapes import shaped

from hornbook.models.build import build_network, convert, trim
from hornbook.models.count import activation_bytes, flops_per_token, parameters, training_memory
from hornbook.models.families import spec_for
from hornbook.models.families.gpt2 import SIZES

PUBLISHED = {
    "124m": 124_439_808,
    "355m": 354_823_168,
    "774m": 774_030_080,
    "1558m": 1_557_611_200,
}


def held(spec):
    """Parameters of the network itself, without rows that pad the vocabulary."""
    network = build_network(spec, device="meta")
    weights = trim(network, dict(network.named_parameters()))
    return sum(parameter.numel() for parameter in weights.values())


@pytest.mark.parametrize("size", PUBLISHED)
def test_published_sizes_are_exact(size):
    spec = spec_for(f"gpt2/{size}")
    assert parameters(spec)["total"] == held(spec) == SIZES[size].parameters == PUBLISHED[size]


@pytest.mark.parametrize(
    "dimensions",
    [
        {"n_layers": 2, "d_model": 40, "n_heads": 3, "d_head": 8, "d_ff": 72, "vocab_size": 100},
        {"n_layers": 1, "d_model": 64, "max_length": 7, "vocab_size": 64},
    ],
)
def test_any_shape_is_exact(dimensions):
    spec = spec_for("gpt2", **dimensions)
    parts = parameters(spec)
    assert parts.pop("total") == sum(parts.values()) == held(spec)


def test_flops_of_a_hand_calculation():
    spec = spec_for(
        "gpt2", n_layers=2, d_model=8, n_heads=2, d_ff=16, vocab_size=100, max_length=10
    )
    matrices = 2 * (8 * 24 + 8 * 8 + 2 * 8 * 16) + 100 * 8
    assert flops_per_token(spec, 10) == 6 * matrices + 6 * 2 * 8 * 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activations_as_autograd_keeps_them(dtype):
    spec = spec_for(
        "gpt2", n_layers=3, d_model=128, n_heads=4, vocab_size=200, max_length=256, dropout=0.0
    )
    network = convert(build_network(spec), dtype)
    own = {parameter.data_ptr() for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if tensor.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    tokens = torch.randint(0, 200, (2, 256))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        last = network(tokens).last
    del last
    name = str(dtype).removeprefix("torch.")
    assert activation_bytes(spec, 2, 256, name) == pytest.approx(sum(kept.values()), rel=0.08)


def test_memory_by_part():
    spec = spec_for("gpt2", n_layers=2, d_model=64, vocab_size=100, max_length=32)
    full, low = training_memory(spec, 4, 32), training_memory(spec, 4, 32, "bfloat16")
    padded = parameters(spec)["total"] + 28 * 64
    assert full["weights"] == 4 * padded
    assert full["optimizer"] == 8 * padded
    assert full["low-precision copy"] == 0 < low["low-precision copy"] < 2 * padded
    assert low["activations"] < full["activations"]
    for parts in (full, low):
        assert parts.pop("total") == sum(parts.values())


@pytest.mark.parametrize(
    ("family", "own"),
    [
        ("bert", {}),
        ("lstm", {"d_hidden": 40, "tied": False}),
        ("rnn", {}),
        ("nplm", {}),
        ("luong", {}),
        ("bahdanau", {"d_hidden": 40}),
    ],
)
def test_memory_of_the_weights_is_what_the_network_holds(family, own):
    """With the rows that pad the vocabulary, of a head as wide as its states, and its bias."""
    spec = shaped(family, {"n_layers": 2, "d_model": 64, "vocab_size": 100}, **own)
    held = sum(parameter.numel() for parameter in build_network(spec, device="meta").parameters())
    assert training_memory(spec, 4, 32)["weights"] == 4 * held
    assert training_memory(spec, 4, 32, "bfloat16")["low-precision copy"] <= 2 * held


def test_expected_first_loss_is_what_fresh_weights_lose():
    spec = spec_for("gpt2", n_layers=3, d_model=256, vocab_size=1000, max_length=64, dropout=0.0)
    network = build_network(spec, seed=3)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 1000, (8, 65), generator=generator)
    with torch.no_grad():
        logits = network.logits(network(tokens[:, :-1]).last).flatten(0, 1)
    loss = torch.nn.functional.cross_entropy(logits, tokens[:, 1:].flatten())
    assert network.expected_first_loss() == pytest.approx(math.log(1000) + 256 * 0.02**2 / 2)
    assert loss.item() == pytest.approx(network.expected_first_loss(), abs=0.03)
