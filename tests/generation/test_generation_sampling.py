"""Choices: equal to transformers' own steps, and drawn with the probabilities they should have."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from hornbook.errors import InputError
from hornbook.generation.sampling import (
    Sampling,
    choose,
    draw,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
)


def scores(seed, rows=3, vocab=40):
    return torch.randn(rows, vocab, generator=torch.Generator().manual_seed(seed)) * 2


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), k=st.integers(1, 60), p=st.floats(0.01, 0.999))
def test_filters_equal_transformers(seed, k, p):
    logits = scores(seed)
    assert torch.equal(keep_top_k(logits, k), TopKLogitsWarper(k)(None, logits))
    assert torch.equal(keep_top_p(logits, p), TopPLogitsWarper(p)(None, logits))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), penalty=st.floats(0.5, 3.0))
def test_repetition_penalty_equals_transformers(seed, penalty):
    logits, ids = scores(seed), torch.randint(0, 40, (3, 9))
    seen = torch.zeros(3, 40, dtype=torch.bool).scatter(1, ids, True)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(ids, logits)
    torch.testing.assert_close(penalise_repetition(logits, seen, penalty), expected)


def test_top_k_keeps_ties_and_top_p_the_token_that_crosses():
    assert keep_top_k(torch.tensor([[1.0, 3.0, 2.0, 2.0]]), 2).isfinite().tolist() == [
        [False, True, True, True]
    ]
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    assert keep_top_p(logits, 0.6).isfinite().tolist() == [[True, True, False]]
    assert keep_top_p(logits, 0.1).isfinite().tolist() == [[True, False, False]]


def test_the_order_is_penalty_temperature_top_k_top_p():
    """Recovered from draws at every hundredth: the whole distribution, against transformers'."""
    logits, ids = scores(7, rows=1), torch.tensor([[3, 5, 8]])
    seen = torch.zeros(1, 40, dtype=torch.bool).scatter(1, ids, True)
    sampling = Sampling(temperature=0.7, top_k=12, top_p=0.8, repetition_penalty=1.5)
    expected = RepetitionPenaltyLogitsProcessor(1.5)(ids, logits)
    for step in (TemperatureLogitsWarper(0.7), TopKLogitsWarper(12), TopPLogitsWarper(0.8)):
        expected = step(ids, expected)
    n = 4000
    uniform = (torch.arange(n) + 0.5) / n
    chosen = choose(logits.expand(n, -1), sampling, seen.expand(n, -1), uniform)
    shares = torch.bincount(chosen, minlength=40) / n
    torch.testing.assert_close(shares, expected.softmax(-1)[0], atol=1.5 / n, rtol=0)


def test_draws_have_the_probabilities_of_the_softmax():
    logits = torch.tensor([2.0, 0.0, 1.0, float("-inf")])
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(draw(logits.expand(20_000, -1), uniform), minlength=4).double()
    expected = 20_000 * logits.double().softmax(0)
    assert counts[3] == 0
    assert ((counts - expected)[:3] ** 2 / expected[:3]).sum() < 13.8  # chi-square, 2 df, 0.001


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2**-24, 1.0])
def test_the_ends_of_the_interval_draw_possible_tokens(uniform):
    logits = torch.tensor([[float("-inf"), 1.0, 1.0, float("-inf")]])
    chosen = draw(logits, torch.tensor([uniform]))
    assert chosen.item() == (1 if uniform == 0 else 2)


def test_temperature_zero_is_greedy_whatever_else_is_set():
    logits = scores(3)
    sampling = Sampling(temperature=0.0, top_k=5, top_p=0.5)
    seen = torch.zeros_like(logits, dtype=torch.bool)
    assert torch.equal(choose(logits, sampling, seen, torch.rand(3)), logits.argmax(-1))


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.1}, {"repetition_penalty": 0}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Sampling(**wrong)
