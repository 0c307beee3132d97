"""Families on a GPU: the same numbers as on the CPU, and masks in flex-attention's form."""

import pytest
import torch
from shapes import shaped

from hornbook.batches import masks
from hornbook.models import FAMILIES
from hornbook.models.build import build_network

NEEDS_CUDA = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
SHAPE = {"vocab_size": 128, "max_length": 300, "d_model": 64, "n_layers": 3, "n_heads": 4}
OTHER = {"mixtral": {"d_ff": 64}, "gpt3": {"band": 40}}


@pytest.mark.parametrize("family", [pytest.param(name, marks=NEEDS_CUDA) for name in FAMILIES])
def test_a_gpu_computes_what_the_cpu_does(family):
    network = build_network(shaped(family, SHAPE, **OTHER.get(family, {})), seed=1).eval()
    tokens = torch.randint(0, 128, (2, 150), generator=torch.Generator().manual_seed(0))
    given = (tokens, tokens[:, :90]) if network.spec.encoder is not None else (tokens,)
    with torch.no_grad():
        expected = network(*given).last
        found = network.cuda()(*(part.cuda() for part in given)).last.cpu()
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_CUDA)])
@pytest.mark.parametrize("family", ["nplm", "rnn", "lstm", "gru"])
def test_packed_and_padded_rows_are_cut_on_any_device(family, device):
    """Documents, padding among them, in chunks over a cache: what the CPU reads at once."""
    network = build_network(shaped(family, SHAPE), seed=1).eval()
    tokens = torch.randint(0, 128, (3, 60), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(60).div(torch.tensor([[25], [60], [13]]), rounding_mode="floor")
    labels = torch.where(torch.arange(60) < torch.tensor([[50], [60], [41]]), labels, -1)
    mask = masks.causal() & masks.same_document(labels)
    with torch.no_grad():
        expected = network(tokens, mask=mask).last
        network, mask = network.to(device), mask.to(device)
        cache = network.new_cache(3, 60)
        chunks = tokens.to(device).split((20, 1, 9, 30), dim=1)
        found = torch.cat([network(chunk, mask=mask, cache=cache).last for chunk in chunks], 1)
    there = labels >= 0
    assert (found.cpu() - expected)[there].abs().max() < 1e-3 * expected.abs().max()


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_CUDA)])
@pytest.mark.parametrize(
    "rule",
    [
        masks.causal(),
        masks.causal() & masks.band(40),
        masks.prefix(torch.tensor([70, 200])),
        masks.full() & masks.padding(torch.tensor([100, 256])),
        masks.causal() & masks.same_document((torch.arange(256) // 90)[None].repeat(2, 1)),
    ],
    ids=["causal", "band", "parts", "padding", "documents"],
)
def test_flex_attention_follows_the_rule(rule, device):
    """On the CPU, where it is not compiled, the same block mask is read."""
    from torch.nn.attention.flex_attention import flex_attention

    attend = torch.compile(flex_attention) if device == "cuda" else flex_attention
    q, k, v = torch.randn(3, 2, 4, 256, 32, device=device)
    placed = rule.to(device)
    found = attend(q, k, v, block_mask=placed.block_mask(256, 256, device=device))
    allowed = placed.dense(256, 256, device=device)[:, None]
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
