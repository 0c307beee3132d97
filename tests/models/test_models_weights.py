"""Fresh weights, padded vocabulary, precision, and weights in and out of a network."""

import pytest
import torch
import torch.nn.functional as F

from hornbook.errors import InputError, StorageError
from hornbook.models.build import build_network, convert, fill, trim
from hornbook.models.families import spec_for

SPEC = spec_for("gpt2", n_layers=4, d_model=128, vocab_size=1000, max_length=64, dropout=0.0)


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("embedding.tokens.weight", 0.02),
        ("embedding.positions.weight", 0.02),
        ("blocks.2.attention.qkv.weight", 0.02),
        ("blocks.2.feedforward.up.weight", 0.02),
        ("blocks.2.attention.out.weight", 0.02 / 8**0.5),
        ("blocks.2.feedforward.down.weight", 0.02 / 8**0.5),
    ],
)
def test_standard_deviations_as_published(name, std):
    weight = dict(build_network(SPEC).named_parameters())[name][: SPEC.vocab_size]
    assert weight.std().item() == pytest.approx(std, rel=0.03)
    assert weight.mean().item() == pytest.approx(0.0, abs=5 * std / weight.numel() ** 0.5)


def test_gains_are_one_and_biases_zero():
    for name, parameter in build_network(SPEC).named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name


def test_a_parameter_depends_on_seed_and_name_alone():
    first, again = build_network(SPEC, seed=1), build_network(SPEC, seed=1)
    other = build_network(SPEC, seed=2)
    larger = build_network(
        spec_for("gpt2", n_layers=6, d_model=128, vocab_size=1300, max_length=64), seed=1
    )
    a, b, c, d = (dict(n.named_parameters()) for n in (first, again, other, larger))
    assert all(torch.equal(a[name], b[name]) for name in a)
    name = "blocks.3.attention.qkv.weight"
    assert torch.equal(a[name], d[name])
    assert not torch.equal(a[name], c[name])
    assert not torch.equal(a[name], a["blocks.2.attention.qkv.weight"])


def test_rows_that_pad_the_vocabulary_stay_zero_through_training():
    network = build_network(SPEC)
    table = network.embedding.tokens.weight
    assert table.shape == (1024, 128)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.5)
    tokens = torch.randint(0, 1000, (2, 16))
    for _ in range(3):
        optimizer.zero_grad()
        logits = network.logits(network(tokens).last)
        assert logits.shape == (2, 16, 1000)
        F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
        assert (table.grad[1000:] == 0).all()
        optimizer.step()
    assert (table[1000:] == 0).all()


def test_bfloat16_leaves_norms_and_stream_in_float32():
    network, low = build_network(SPEC), convert(build_network(SPEC), torch.bfloat16)
    for name, parameter in low.named_parameters():
        high = "norm" in name or "positions" in name
        assert parameter.dtype == (torch.float32 if high else torch.bfloat16), name
    tokens = torch.randint(0, 1000, (2, 16))
    own = low(tokens, hidden_states=True)
    assert {state.dtype for state in own.states} == {torch.float32}
    torch.testing.assert_close(own.last, network(tokens).last, rtol=0.05, atol=0.05)
    own.last.sum().backward()
    assert low.blocks[0].attention.qkv.weight.grad.dtype == torch.bfloat16


def test_float64_applies_to_everything():
    network = convert(build_network(SPEC), torch.float64)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float64}


def test_weights_out_and_in_padded_or_not():
    source, target = build_network(SPEC, seed=1), build_network(SPEC, seed=2)
    for weights in (source.state_dict(), trim(source, source.state_dict())):
        fill(target, {name: tensor + 0.0 for name, tensor in weights.items()})
        assert all(
            torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True)
        )
        fill(target, build_network(SPEC, seed=2).state_dict())
    assert trim(source, source.state_dict())["embedding.tokens.weight"].shape == (1000, 128)


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape"])
def test_weights_of_another_model_are_refused(fault):
    network = build_network(SPEC)
    weights = dict(network.state_dict())
    if fault == "missing":
        del weights["final_norm.weight"]
    elif fault == "unknown":
        weights["final_norm.scale"] = torch.ones(1)
    else:
        weights["final_norm.weight"] = torch.ones(127)
    with pytest.raises(StorageError, match=r"final_norm\.\w+"):
        fill(network, weights)


def test_a_full_cache_says_so():
    network = build_network(SPEC)
    cache = network.new_cache(2, 8)
    with torch.no_grad():
        network(torch.zeros(2, 6, dtype=torch.int64), cache=cache)
        with pytest.raises(InputError, match="room for 8 tokens, holds 6 and got 3"):
            network(torch.zeros(2, 3, dtype=torch.int64), cache=cache)
        with pytest.raises(InputError, match="made for 2 rows and got 1"):
            network(torch.zeros(1, 1, dtype=torch.int64), cache=cache)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_low_token_tables_gradient_is_added_up_in_fp32(dtype):
    """2000 ones are 2000, a random sum is rounded once, and what is not read stays zero."""
    table = convert(build_network(SPEC), dtype).embedding.tokens
    tokens = torch.cat([torch.full((2000,), 7), torch.randint(8, 20, (2000,))]).view(4, 1000)
    upstream = torch.randn(4, 1000, 128, generator=torch.Generator().manual_seed(0))
    upstream[:2] = 1.0
    table(tokens).backward(upstream.to(dtype))
    found = table.weight.grad
    exact = torch.zeros(1024, 128, dtype=torch.float64)
    exact.index_add_(0, tokens.flatten(), upstream.to(dtype).double().view(-1, 128))
    assert found.dtype == dtype
    assert (found[7] == 2000).all()
    torch.testing.assert_close(found.double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-3)
    unread = torch.ones(1024, dtype=torch.bool).index_fill(0, tokens.unique(), False)
    assert (found[unread] == 0).all()


def test_a_network_filled_with_its_own_weights_stays_as_it_is():
    network = build_network(SPEC, seed=3)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fill(network, network.state_dict())
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)
