"""Beams over carried states and over windows: as without a cache, and as brute force has it."""

import itertools

import pytest
import torch
from oracles import error
from recurrent_references import GATES
from shapes import shaped

from hornbook.generation import session
from hornbook.generation.beam import Beams, beam_search
from hornbook.models.build import build_network
from hornbook.models.parts.cache import StateCache

V, NEW = 17, 9
SHAPE = {"vocab_size": V, "max_length": 16, "d_model": 12, "n_layers": 2, "dropout": 0.0}
OTHER = {
    "nplm": {"order": 4, "d_hidden": 9},
    **{family: {"d_hidden": 9, "tied": False} for family in GATES},
}
STOPS = frozenset(range(2, V, 4))
PROMPTS = [[5, 6, 7, 9, 10], [4, 1], [12]]
families = pytest.mark.parametrize("family", OTHER)


def network_of(family, **other):
    """Redrawn, in float64: rounding must not decide between two tokens."""
    network = build_network(shaped(family, SHAPE, **OTHER[family] | other)).double().eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for own in network.parameters():
            own.copy_(1.2 * torch.randn(own.shape, generator=generator, dtype=torch.float64))
    return network


def every_token_read_again(monkey):
    """No session trusts its cache: every step reads its rows from their beginning."""
    right = session.SequenceSession.read

    def read(self):
        self.cache.length = 0
        return right(self)

    monkey.setattr(session.SequenceSession, "read", read)


def searched(network):
    settings = itertools.product((1, 3), (-1.0, 2.0))
    return [
        beam_search(network, PROMPTS, NEW, Beams(width, penalty), STOPS)
        for width, penalty in settings
    ]


@pytest.mark.column("cache")
@families
def test_beams_over_a_cache_are_those_without(family, monkeypatch):
    network = network_of(family)
    found = searched(network)
    every_token_read_again(monkeypatch)
    assert searched(network) == found, "a cache changes what is found"
    assert len({len(row.ids) for rows in found for row in rows}) > 2
    assert found[0] != found[2], "more beams find nothing else"


@pytest.mark.column("planted bugs caught")
@pytest.mark.parametrize("family", GATES)
def test_states_that_do_not_change_places_are_seen(family, monkeypatch):
    monkeypatch.setattr(StateCache, "reorder", lambda self, rows: None)
    with pytest.raises(AssertionError, match="a cache changes what is found"):
        test_beams_over_a_cache_are_those_without(family, monkeypatch)


@pytest.mark.column("cache")
@families
def test_enough_beams_find_the_best_of_all(family):
    """With as many beams as there are sequences nothing is lost."""
    network, prompt, stop, longest = network_of(family, vocab_size=4), [1, 2, 0], 3, 3

    def score(ids):
        with torch.no_grad():
            logits = network.logits(network(torch.tensor([prompt + ids])).last)[0].log_softmax(-1)
        return sum(logits[len(prompt) - 1 + i, token].item() for i, token in enumerate(ids))

    every = [
        list(ids)
        for length in range(1, longest + 1)
        for ids in itertools.product(range(4), repeat=length)
        if stop not in ids[:-1] and (ids[-1] == stop or length == longest)
    ]
    (found,) = beam_search(network, [prompt], longest, Beams(4**longest, 0.0, None), {stop})
    assert found.ids == max(every, key=score)


@pytest.mark.column("cache")
@families
def test_rows_go_on_beyond_the_longest_length_as_if_it_were_not_there(family):
    """A window reads the last half again, in which are all the tokens that it sees."""
    network = network_of(family)
    asked = session.begin(network, PROMPTS, 40)
    new = torch.randint(0, V, (40, 3), generator=torch.Generator().manual_seed(1))
    scores = []
    for tokens in new:
        scores.append(asked.read())
        asked.append(tokens)
    for row, prompt in enumerate(PROMPTS):
        whole = torch.tensor([prompt + new[:, row].tolist()])
        assert whole.shape[1] > 2 * network.spec.max_length
        with torch.no_grad():
            expected = network.logits(network(whole).last)[0, len(prompt) - 1 : -1]
        assert error(torch.stack(scores)[:, row], expected) < 1e-12
