"""Families on a GPU: the same numbers as on the CPU, and masks in flex-attention's form."""

import pytest
import torch

from hornbook.batches import masks
from hornbook.models import FAMILIES
from hornbook.models.build import build_network
from hornbook.models.families import spec_for

SHAPE = {"vocab_size": 128, "max_length": 300, "d_model": 64, "n_layers": 3, "n_heads": 4}
OTHER = {"mixtral": {"d_ff": 64}, "gpt3": {"band": 40}}


@pytest.mark.gpu
@pytest.mark.parametrize("family", FAMILIES)
def test_a_gpu_computes_what_the_cpu_does(family):
    network = build_network(spec_for(family, **SHAPE | OTHER.get(family, {})), seed=1).eval()
    tokens = torch.randint(0, 128, (2, 150), generator=torch.Generator().manual_seed(0))
    given = (tokens, tokens[:, :90]) if network.spec.encoder is not None else (tokens,)
    with torch.no_grad():
        expected = network(*given).last
        found = network.cuda()(*(part.cuda() for part in given)).last.cpu()
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


@pytest.mark.gpu
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
def test_a_mask_compiles_to_the_same_rule_for_flex_attention(rule):
    from torch.nn.attention.flex_attention import flex_attention

    q, k, v = torch.randn(3, 2, 4, 256, 32, device="cuda")
    on_gpu = rule.to("cuda")
    found = torch.compile(flex_attention)(q, k, v, block_mask=on_gpu.block_mask(256, 256))
    allowed = on_gpu.dense(256, 256, device="cuda")[:, None]
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
