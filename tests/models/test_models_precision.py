"""Low precision in every family: what computes low, what stays exact, and how near it remains."""

import re

import numpy as np
import pytest
import torch
from shapes import STACKED, shaped

from hornbook.batches.batch import assemble
from hornbook.batches.rows import Rows
from hornbook.models import FAMILIES
from hornbook.models.build import build_network, convert
from hornbook.models.recurrences import TwoWayReading
from hornbook.objectives.both_ways import BothWays
from hornbook.objectives.causal import Causal
from hornbook.objectives.masked import Masked
from hornbook.objectives.split import Split

SHAPE = {"vocab_size": 128, "max_length": 40, "d_model": 48, "n_layers": 3, "n_heads": 4}
LOW = {"Linear", "RNN", "LSTM", "GRU"}
OTHER = {
    "bahdanau": {"d_hidden": 40},
    "mixtral": {"d_ff": 64, "n_experts": 3},
    "t5": {"d_head": 16},
    "t5_1_1": {"d_head": 16},
}


def network_of(family):
    return build_network(shaped(family, SHAPE, **OTHER.get(family, {})), seed=2).eval()


def loss_of(network):
    """One of the losses that the family learns by, on the same random tokens."""
    spec = network.spec
    tokens = np.random.default_rng(0).integers(0, 128, (3, 33))
    rows = Rows(tokens, np.zeros_like(tokens, dtype=np.int32), np.ones(tokens.shape, dtype=bool))
    objective = Masked(5) if spec.encoder is None and not spec.continues else Causal()
    if isinstance(spec.reading, TwoWayReading):
        objective = BothWays()
    if spec.encoder is not None:
        objective = Split(spec.reading.start_id)
    arrays = objective.prepare(rows, np.arange(3))
    batch = assemble(arrays, objective.name, np.ones(128, dtype=np.int64), objective.mask)
    loss = objective.loss(network, batch)
    return loss.total / loss.targets


@pytest.mark.parametrize("gradient", [True, False], ids=["in training", "in inference"])
@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_stays_near_float32(family, gradient):
    exact, low = network_of(family), convert(network_of(family), torch.bfloat16)
    with torch.set_grad_enabled(gradient):
        found, expected = loss_of(low), loss_of(exact)
    assert found.detach().item() == pytest.approx(expected.detach().item(), rel=0.01)
    if gradient:
        found.backward()
        expected.backward()
        own = torch.cat([p.grad.flatten().float() for p in low.parameters() if p.grad is not None])
        other = torch.cat([p.grad.flatten() for p in exact.parameters() if p.grad is not None])
        assert torch.cosine_similarity(own, other, dim=0) > 0.99


@pytest.mark.parametrize("family", FAMILIES)
def test_norms_and_the_stream_stay_in_float32(family):
    network = convert(network_of(family), torch.bfloat16)
    dtypes = {
        type(module).__name__: parameter.dtype
        for module in network.modules()
        for parameter in module.parameters(recurse=False)
    }
    assert {dtypes[name] for name in LOW & dtypes.keys()} == {torch.bfloat16}
    assert dtypes["TokenTable"] == torch.bfloat16
    assert {dtypes.get("LayerNorm"), dtypes.get("RMSNorm")} <= {torch.float32, None}
    assert network.dtype == torch.float32
    streams = []
    for name, block in network.named_modules():
        if re.fullmatch(STACKED, name):
            block.register_forward_hook(lambda _m, _x, y: streams.append(y.dtype))
    with torch.no_grad():
        loss_of(network)
    assert set(streams) <= {torch.float32}
