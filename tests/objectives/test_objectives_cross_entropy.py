"""Chunked head and cross-entropy against torch's on whole logits, in double precision."""

import subprocess
import sys
import textwrap

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.models.parts.heads import OutputHead
from hornbook.objectives.cross_entropy import cross_entropy, token_scores

torch.set_num_threads(1)

VOCABULARY, PADDED, WIDTH = 70, 128, 24


def redrawn(n=40, dtype=torch.float64, bias=True, scale=1.3, spread=1.0, seed=0):
    """Hidden rows, a head whose padding rows hold rubbish, targets."""
    draw = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, WIDTH, generator=draw, dtype=torch.float64) * spread
    weight = torch.randn(PADDED, WIDTH, generator=draw, dtype=torch.float64)
    offset = torch.randn(PADDED, generator=draw, dtype=torch.float64) if bias else None
    targets = torch.randint(0, VOCABULARY, (n,), generator=draw)
    leaves = [None if x is None else x.to(dtype).requires_grad_() for x in (hidden, weight, offset)]
    return *leaves, targets, scale


def full(hidden, weight, bias, scale):
    logits = scale * (hidden @ weight[:VOCABULARY].t())
    return logits if bias is None else logits + bias[:VOCABULARY]


def gradients(value, leaves):
    return torch.autograd.grad(value, [leaf for leaf in leaves if leaf is not None])


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(1, 40),
    chunk=st.integers(1, 50),
    bias=st.booleans(),
    scale=st.sampled_from([1.0, 0.25, 3.0]),
    z_loss=st.sampled_from([0.0, 1e-2]),
)
def test_value_and_gradients_equal_full_logits(n, chunk, bias, scale, z_loss):
    hidden, weight, offset, targets, _ = redrawn(n, bias=bias)
    head = OutputHead(weight, offset, scale, VOCABULARY)
    sums = cross_entropy(hidden, head, targets, z_loss=z_loss, chunk_rows=chunk)
    logits = full(hidden, weight, offset, scale)
    nll = F.cross_entropy(logits, targets, reduction="sum")
    expected = nll + z_loss * logits.logsumexp(1).square().sum()
    torch.testing.assert_close(sums.total, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sums.nll, nll, rtol=1e-12, atol=1e-12)
    leaves = (hidden, weight, offset)
    for ours, theirs in zip(
        gradients(sums.total / 7, leaves), gradients(expected / 7, leaves), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_padded_rows_get_no_gradient_and_no_probability():
    hidden, weight, offset, targets, scale = redrawn()
    with torch.no_grad():
        weight[VOCABULARY:] = 100.0
        offset[VOCABULARY:] = 1e4
    sums = cross_entropy(hidden, OutputHead(weight, offset, scale, VOCABULARY), targets)
    _, of_weight, of_offset = gradients(sums.total, (hidden, weight, offset))
    assert of_weight[VOCABULARY:].abs().max() == 0
    assert of_offset[VOCABULARY:].abs().max() == 0
    assert of_weight[:VOCABULARY].abs().min(1).values.max() > 0
    expected = F.cross_entropy(full(hidden, weight, offset, scale), targets, reduction="sum")
    torch.testing.assert_close(sums.total, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_exact_where_the_targets_probability_underflows(dtype):
    """Logits 0 and 500: p(target) = e^-500 is 0 in fp32, its loss is 500 and not 87."""
    weight = torch.zeros(PADDED, 2)
    weight[3, 0] = 500.0
    weight = weight.to(dtype).requires_grad_()
    hidden = torch.tensor([[1.0, 0.0]]).to(dtype).requires_grad_()
    head = OutputHead(weight, None, 1.0, VOCABULARY)
    sums = cross_entropy(hidden, head, torch.tensor([5]))
    assert sums.nll.item() == pytest.approx(500.0, rel=1e-6)
    of_hidden, of_weight = gradients(sums.total, (hidden, weight))
    assert of_hidden[0, 0].item() == pytest.approx(500.0, rel=1e-2)
    assert of_weight[5, 0].item() == -1.0
    assert of_weight[3, 0].item() == 1.0
    scores = token_scores(hidden, head, torch.tensor([5]))
    assert scores.log_probability.item() == pytest.approx(-500.0, rel=1e-6)


@pytest.mark.parametrize("z_loss", [0.0, 1e-3])
def test_without_gradients_the_same_sums(z_loss):
    hidden, weight, offset, targets, scale = redrawn(dtype=torch.float32)
    head = OutputHead(weight, offset, scale, VOCABULARY)
    trained = cross_entropy(hidden, head, targets, z_loss=z_loss, chunk_rows=16)
    with torch.no_grad():
        scored = cross_entropy(hidden, head, targets, z_loss=z_loss, chunk_rows=16)
    assert not scored.total.requires_grad
    torch.testing.assert_close(scored.total, trained.total.detach())
    torch.testing.assert_close(scored.nll, trained.nll)


@pytest.mark.parametrize("chunk", [7, 512])
def test_token_scores_equal_log_softmax_with_gradients(chunk):
    hidden, weight, offset, targets, scale = redrawn()
    scores = token_scores(
        hidden, OutputHead(weight, offset, scale, VOCABULARY), targets, chunk_rows=chunk
    )
    logits = full(hidden, weight, offset, scale)
    log_p = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
    log_z = logits.logsumexp(1)
    torch.testing.assert_close(scores.log_probability, log_p, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(scores.log_z, log_z, rtol=1e-12, atol=1e-12)
    factor = torch.linspace(-1, 2, len(targets), dtype=torch.float64)
    leaves = (hidden, weight, offset)
    ours = gradients((scores.log_probability * factor + scores.log_z.square()).sum(), leaves)
    theirs = gradients((log_p * factor + log_z.square()).sum(), leaves)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_only_wanted_gradients_are_formed():
    hidden, weight, _, targets, scale = redrawn(bias=False)
    frozen = weight.detach()
    total = cross_entropy(hidden, OutputHead(frozen, None, scale, VOCABULARY), targets).total
    (of_hidden,) = torch.autograd.grad(total, [hidden])
    total = cross_entropy(hidden, OutputHead(weight, None, scale, VOCABULARY), targets).total
    torch.testing.assert_close(of_hidden, torch.autograd.grad(total, [hidden])[0])


def test_bf16_is_close_to_exact_and_the_same_under_autocast():
    hidden, weight, _, targets, _ = redrawn(200, torch.bfloat16, bias=False, spread=0.3)
    head = OutputHead(weight, None, 1.0, VOCABULARY)
    sums = cross_entropy(hidden.float(), head, targets)
    assert sums.total.dtype == torch.float32
    of_weight = torch.autograd.grad(sums.total, weight)[0]
    with torch.autocast("cpu", torch.bfloat16):
        inside = cross_entropy(hidden.float(), head, targets)
    assert inside.total.item() == sums.total.item()
    exact = weight.detach().double().requires_grad_()
    logits = hidden.detach().double() @ exact[:VOCABULARY].t()
    expected = F.cross_entropy(logits, targets, reduction="sum")
    assert sums.total.item() == pytest.approx(expected.item(), rel=1e-3)
    of_exact = torch.autograd.grad(expected, exact)[0]
    assert (of_weight.double() - of_exact).norm() < 0.01 * of_exact.norm()


@pytest.mark.parametrize("function", ["loss", "scores"])
def test_a_bf16_heads_gradient_does_not_worsen_with_the_number_of_chunks(function):
    """128 chunks: 0.2 % of the exact gradient's length; rounded at every chunk it was 1.1 %."""
    hidden, weight, offset, targets, _ = redrawn(8192, torch.bfloat16, spread=0.3)
    head = OutputHead(weight, offset, 1.0, VOCABULARY)
    if function == "loss":
        total = cross_entropy(hidden, head, targets, chunk_rows=64).total
    else:
        total = -token_scores(hidden, head, targets, chunk_rows=64).log_probability.sum()
    found = gradients(total, (weight, offset))
    exact = [leaf.detach().double().requires_grad_() for leaf in (weight, offset)]
    logits = full(hidden.detach().double(), *exact, 1.0)
    expected = gradients(F.cross_entropy(logits, targets, reduction="sum"), exact)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.bfloat16
        assert (ours.double() - theirs).norm() < 0.004 * theirs.norm()


def test_an_fp32_head_stays_fp32_under_autocast():
    hidden, weight, offset, targets, scale = redrawn(dtype=torch.float32)
    head = OutputHead(weight, offset, scale, VOCABULARY)
    outside = cross_entropy(hidden, head, targets).total
    with torch.autocast("cpu", torch.bfloat16):
        assert cross_entropy(hidden, head, targets).total.item() == outside.item()
        assert token_scores(hidden, head, targets).log_z.dtype == torch.float32


MEMORY = """
    import resource, sys, torch
    from hornbook.models.parts.heads import OutputHead
    from hornbook.objectives.cross_entropy import cross_entropy
    torch.set_num_threads(1)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    dtype = getattr(torch, sys.argv[1])
    n, vocabulary, width = 2048, 131072, 8
    hidden = torch.randn(n, width, dtype=dtype, requires_grad=True)
    weight = torch.randn(vocabulary, width, dtype=dtype, requires_grad=True)
    targets = torch.randint(0, vocabulary, (n,))
    small = OutputHead(weight[:64].detach(), None, 1.0, 64)
    cross_entropy(hidden, small, targets % 64).total.backward()
    before = peak()
    cross_entropy(hidden, OutputHead(weight, None, 1.0, vocabulary), targets).total.backward()
    chunked = peak()
    logits = hidden.detach().float() @ weight.detach().float().t()
    print(logits.nbytes, chunked - before, peak() - before)
"""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_with_128k_tokens_the_peak_stays_below_one_batch_of_logits(dtype):
    """Peak resident memory of a fresh process; whole logits in the same process show the meter.

    A process begins with the peak of the one that started it, hence the small shell between.
    """
    python = [sys.executable, "-c", textwrap.dedent(MEMORY), dtype]
    finished = subprocess.run(
        ["/bin/sh", "-c", '"$0" "$@"; exit $?', *python],
        capture_output=True,
        text=True,
        check=True,
    )
    logits, chunked, whole = map(int, finished.stdout.split())
    assert chunked < 0.5 * logits
    assert whole >= 0.6 * logits
