"""Plain masking and split texts: which places are targets, what the network reads, the sums."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.batches.batch import IGNORED, assemble
from hornbook.batches.rows import Rows
from hornbook.models.build import build_network
from hornbook.models.families import spec_for
from hornbook.objectives.causal import Causal
from hornbook.objectives.masked import Masked
from hornbook.objectives.split import Split

VOCABULARY, LENGTH, MASK, START = 40, 21, 39, 38
SHAPE = {"n_layers": 2, "d_model": 16, "n_heads": 2, "vocab_size": VOCABULARY, "max_length": LENGTH}


def make_rows(n=3, seed=0):
    draw = np.random.default_rng(seed)
    tokens = draw.integers(0, 30, (n, LENGTH + 1))
    documents = np.zeros(tokens.shape, dtype=np.int32)
    documents[-1, 15:] = -1
    return Rows(tokens, documents, np.ones(tokens.shape, dtype=bool))


def batch_of(objective, rows, numbers):
    arrays = objective.prepare(rows, numbers)
    return assemble(arrays, objective.name, np.ones(VOCABULARY, dtype=np.int64), objective.mask)


def redrawn(family, **other):
    network = build_network(spec_for(family, **SHAPE, **other)).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.normal_(float("norm" in name and name.endswith("weight")), 0.3)
    return network


@settings(deadline=None, max_examples=30)
@given(rate=st.floats(0.01, 0.9), seed=st.integers(0, 99), first=st.integers(0, 2**40))
def test_so_many_tokens_are_hidden_and_they_alone_are_targets(rate, seed, first):
    rows = make_rows()
    arrays = Masked(MASK, rate, seed).prepare(rows, np.arange(first, first + 3))
    hidden = arrays["targets"] != IGNORED
    assert (arrays["tokens"][hidden] == MASK).all()
    assert (arrays["tokens"][~hidden] == rows.tokens[:, :-1][~hidden]).all()
    assert (arrays["targets"][hidden] == rows.tokens[:, :-1][hidden]).all()
    assert hidden.sum(1).tolist() == [max(1, round(rate * n)) for n in (LENGTH, LENGTH, 15)]
    assert not hidden[2, 15:].any(), "padding was hidden"


def test_what_is_hidden_depends_on_the_sample_alone():
    rows, objective = make_rows(), Masked(MASK, 0.3)
    together = objective.prepare(rows, np.array([7, 8, 9]))
    one = Rows(rows.tokens[1:2], rows.documents[1:2], rows.learn[1:2])
    alone = objective.prepare(one, np.array([8]))
    assert (together["tokens"][1] == alone["tokens"][0]).all()
    others = [Masked(MASK, 0.3, seed).prepare(one, np.array([8])) for seed in (1, 2)]
    assert (others[0]["tokens"] != others[1]["tokens"]).any()
    assert (objective.prepare(one, np.array([9]))["tokens"] != alone["tokens"]).any()


def test_every_place_is_hidden_equally_often():
    """20,000 draws of 3 in 21: each place within five standard deviations of its share."""
    rows = make_rows(1)
    full = Rows(rows.tokens, np.zeros_like(rows.documents), rows.learn)
    repeated = Rows(
        *(np.repeat(part, 20_000, 0) for part in (full.tokens, full.documents, full.learn))
    )
    hidden = Masked(MASK).prepare(repeated, np.arange(20_000))["targets"] != IGNORED
    share = 3 / LENGTH
    deviation = (share * (1 - share) / 20_000) ** 0.5
    assert np.abs(hidden.mean(0) - share).max() < 5 * deviation


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_masked_loss_is_the_mean_of_whole_logits(family):
    network, rows = redrawn(family, dropout=0.0), make_rows(2)
    objective = Masked(MASK, 0.4)
    batch = batch_of(objective, rows, np.arange(2))
    loss = objective.loss(network, batch)
    logits = network.logits(network(batch.tokens, mask=batch.mask).last).flatten(0, 1)
    expected = F.cross_entropy(
        logits, batch.targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    assert loss.targets == (batch.targets != IGNORED).sum()
    torch.testing.assert_close(loss.total, expected)
    own = torch.autograd.grad(loss.total, list(network.parameters()), allow_unused=True)
    other = torch.autograd.grad(expected, list(network.parameters()), allow_unused=True)
    for mine, theirs in zip(own, other, strict=True):
        if theirs is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_a_row_is_cut_in_two_and_the_target_shifted_once():
    rows = make_rows()
    batch = batch_of(Split(START), rows, np.arange(3))
    half = LENGTH // 2
    assert (batch.source.tokens.numpy() == rows.tokens[:, :half]).all()
    assert (batch.tokens[:, 0] == START).all()
    assert (batch.tokens[:, 1:].numpy() == rows.tokens[:, half:-1]).all()
    assert (batch.targets[:2].numpy() == rows.tokens[:2, half:]).all()
    assert (batch.targets[2, 15 - half :] == IGNORED).all()
    assert batch.mask.is_causal


@pytest.mark.parametrize("family", ["transformer", "bart", "t5", "t5_1_1"])
def test_the_split_loss_is_that_of_whole_logits(family):
    network, objective = redrawn(family, dropout=0.0), Split(START)
    batch = batch_of(objective, make_rows(), np.arange(3))
    loss = objective.loss(network, batch)
    logits = network.logits(network(batch.source, batch.tokens).last).flatten(0, 1)
    expected = F.cross_entropy(
        logits, batch.targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    torch.testing.assert_close(loss.total, expected)


def test_the_causal_loss_of_xlnet_never_sees_its_target():
    """Changing a row's last token changes its own loss alone: no query reads what it predicts."""
    network, objective = redrawn("xlnet", dropout=0.0).double(), Causal()
    rows = make_rows(1)
    rows.documents[:] = 0
    losses = []
    for last in (3, 17):
        rows.tokens[0, -1] = last
        batch = batch_of(objective, rows, np.arange(1))
        hidden = network.predict_next(batch.tokens, mask=batch.mask).last
        losses.append(network.logits(hidden).log_softmax(-1)[0])
    assert torch.equal(losses[0], losses[1])
    changed = batch.tokens.clone()
    changed[0, 10] += 1
    after = network.predict_next(changed, mask=batch.mask).last
    before = network.predict_next(batch.tokens, mask=batch.mask).last
    assert torch.equal(after[0, :10], before[0, :10])
    assert (after[0, 10:] != before[0, 10:]).any(-1).all()


def test_experts_that_are_unequally_busy_add_to_the_loss():
    network = redrawn("mixtral", d_ff=24, n_experts=3).train()
    batch = batch_of(Causal(), make_rows(2), np.arange(2))
    loss = Causal().loss(network, batch)
    added = float(loss.total.detach() - loss.metrics["nll"]) / loss.targets
    expected = 0.0
    seen = []
    for block in network.blocks:
        block.feedforward.router.register_forward_hook(lambda _m, _x, y: seen.append(y.detach()))
    Causal().loss(network, batch)
    for logits in seen:
        p = logits.softmax(-1)
        chosen = torch.zeros_like(p).scatter_(1, p.topk(2).indices, 1.0)
        expected += 0.001 * 3 * float((chosen.mean(0) * p.mean(0)).sum())
    assert added == pytest.approx(expected / len(seen), rel=1e-2)
    assert float(Causal().loss(network.eval(), batch).total.detach()) == pytest.approx(
        float(loss.metrics["nll"]), rel=1e-5
    )
