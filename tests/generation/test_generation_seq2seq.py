"""Recurrent encoder-decoders write: with states and beams what they write reading all anew."""

import itertools
from dataclasses import replace

import pytest
import torch
from seq2seq_cases import CASES, SOURCES, redrawn

from hornbook.errors import InputError
from hornbook.generation import beam, session
from hornbook.generation.beam import Beams, beam_search
from hornbook.generation.generate import generate
from hornbook.models.parts.cache import StateCache

NEW = 8
STOPS = frozenset(range(3, 23, 3))
WRITERS = [
    "seq2seq-reversed", "seq2seq-gru", "bahdanau", "luong-general", "luong-not fed", "luong-local",
]  # fmt: skip
OF_FAMILY = ["seq2seq-reversed", "bahdanau", "luong-local"]
SETTINGS = [(2, -1.0, True), (3, 0.0, False), (4, 1.0, None)]
cases = pytest.mark.parametrize("name", WRITERS)
families = pytest.mark.parametrize("name", OF_FAMILY)


def network_of(name):
    """With cells so lively that no row writes one token only, and states decide what comes."""
    network = redrawn(CASES[name].spec)
    factors = {"embedding": 2.0, "weight_ih": 2.0, "weight_hh": 4.0, "bias": 0.0}
    with torch.no_grad():
        for parameter, tensor in network.named_parameters():
            tensor.mul_(next((n for part, n in factors.items() if part in parameter), 1.0))
    return network


class Anew:
    """A session that keeps tokens alone and reads source and target from their beginning."""

    device = torch.device("cpu")

    def __init__(self, network, prompts, room):
        self.network, self.source = network, torch.tensor(prompts)
        self.tokens = torch.full((len(prompts), 1), network.spec.reading.start_id)

    @torch.no_grad()
    def read(self):
        return self.network.logits(self.network(self.source, self.tokens).last[:, -1])

    def append(self, tokens):
        self.tokens = torch.cat([self.tokens, tokens[:, None]], 1)

    def reorder(self, rows):
        self.tokens = self.tokens[rows]


@pytest.mark.column("cache")
@cases
def test_greedy_ids_are_those_without_a_cache(name):
    network = network_of(name)
    together = [row.ids for row in generate(network, SOURCES, NEW)]
    for source, found in zip(SOURCES, together, strict=True):
        anew, ids = Anew(network, [source], NEW), []
        for _ in range(NEW):
            best = anew.read().argmax(-1)
            ids.append(best.item())
            anew.append(best)
        assert found == ids
        assert len(set(ids)) > 1
        assert beam_search(network, [source], NEW, Beams(1))[0].ids == ids
    assert len(set(map(tuple, together))) > 1


def assert_beams_are_those_without_a_cache(name, monkeypatch):
    network = network_of(name)
    moved = []
    for width, penalty, stopping in SETTINGS:
        beams = Beams(width, penalty, stopping)
        found = beam_search(network, SOURCES, NEW, beams, STOPS)
        with monkeypatch.context() as patch:
            patch.setattr(beam, "begin", Anew)
            patch.setattr(Anew, "reorder", seen(Anew.reorder, moved))
            assert found == beam_search(network, SOURCES, NEW, beams, STOPS), (width, penalty)
    assert any(moved), "no beam was ever left: reordering was not tested"


def seen(reorder, moved):
    """The same, noting whether rows changed places."""

    def noted(self, rows):
        moved.append(rows.tolist() != list(range(len(rows))))
        reorder(self, rows)

    return noted


@pytest.mark.column("cache")
@cases
def test_beams_are_those_without_a_cache(name, monkeypatch):
    assert_beams_are_those_without_a_cache(name, monkeypatch)


@pytest.mark.column("planted bugs caught")
@families
def test_states_that_stay_in_their_order_are_seen(name, monkeypatch):
    monkeypatch.setattr(StateCache, "reorder", lambda self, rows: None)
    with pytest.raises(AssertionError, match=r"assert \[Cont"):
        assert_beams_are_those_without_a_cache(name, monkeypatch)


def small(name):
    """The first five tokens alone, so that every sequence can be tried."""
    return redrawn(replace(CASES[name].spec, vocab_size=5))


def score(network, source, ids):
    """log p(ids | source), of the whole target at once."""
    target = torch.tensor([[network.spec.reading.start_id, *ids[:-1]]])
    with torch.no_grad():
        log_p = network.logits(network(torch.tensor([source]), target).last)[0].log_softmax(-1)
    return sum(log_p[place, token].item() for place, token in enumerate(ids))


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@families
def test_enough_beams_find_the_best_of_all(name, penalty):
    network, source, stop, longest = small(name), [1, 4, 2, 3], 4, 3
    every = [
        list(ids)
        for length in range(1, longest + 1)
        for ids in itertools.product(range(5), repeat=length)
        if stop not in ids[:-1] and (ids[-1] == stop or length == longest)
    ]
    best = max(every, key=lambda ids: score(network, source, ids) / len(ids) ** penalty)
    beams = Beams(5**longest, penalty, None)
    (found,) = beam_search(network, [source], longest, beams, frozenset({stop}))
    assert found.ids == best


@pytest.mark.column("batch invariance")
@cases
def test_rows_of_other_lengths_do_not_change_a_row(name):
    network = network_of(name)
    together = generate(network, SOURCES, NEW, stop_ids=STOPS)
    assert together == [generate(network, [row], NEW, stop_ids=STOPS)[0] for row in SOURCES]


@families
def test_the_source_is_read_once(name):
    network, read, keys = network_of(name), [], []
    network.encoder.register_forward_hook(lambda *_: read.append(1))
    for part, module in network.decoder.named_modules():
        if part.endswith("scores.source"):
            module.register_forward_hook(lambda *_: keys.append(1))
    generate(network, SOURCES, NEW)
    assert len(read) == 1
    assert len(keys) == (0 if name.startswith("seq2seq") else 1), "keys were made again"


@families
def test_what_does_not_fit_is_refused(name):
    network = network_of(name)
    for source, room in (([1] * 13, 4), ([1], 13)):
        with pytest.raises(InputError, match="do not fit this model's context of 12 each"):
            generate(network, [source], room)
    with pytest.raises(InputError, match="outside this model's vocabulary of 23"):
        session.begin(network, [[23]], 2)
