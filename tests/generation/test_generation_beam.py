"""Beam search against transformers' generate, against brute force, and its own rules."""

import itertools

import pytest
import torch
from oracles import VOCABULARY, pair, tokens
from transformers import GenerationConfig

from hornbook.errors import InputError
from hornbook.generation.beam import Beams, beam_search
from hornbook.generation.generate import generate
from hornbook.models.build import build_network
from hornbook.models.families import spec_for

NEW = 8
STOPS = frozenset(range(3, VOCABULARY, 3))  # a third of all: sequences end at many lengths
SEARCHED = ["gpt2", "gpt3", "llama2", "qwen3", "chatglm2", "palm", "bart", "t5", "transformer"]
STOPPING = {True: True, False: False, "never": None}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beams")
    made = {}

    def of(family):
        if family not in made:
            made[family] = pair(family, torch.float32, folder)
        return made[family]

    return of


def their_ids(theirs, spec, prompt, **settings):
    """What generate adds, up to its first stop token."""
    config = GenerationConfig(
        max_new_tokens=NEW,
        do_sample=False,
        eos_token_id=sorted(STOPS),
        pad_token_id=0,
        decoder_start_token_id=getattr(spec.reading, "start_id", None),
        **settings,
    )
    theirs.generation_config = config
    made = theirs.generate(prompt, attention_mask=torch.ones_like(prompt))[0].tolist()
    made = made[1 if spec.encoder else prompt.shape[1] :]
    ends = [place for place, token in enumerate(made) if token in STOPS]
    return made[: ends[0] + 1] if ends else made


@pytest.mark.column("cache")
@pytest.mark.parametrize("family", SEARCHED)
def test_beams_find_what_transformers_finds(pairs, family):
    ours, spec, theirs = pairs(family)
    lengths = set()
    settings = itertools.product((2, 3), (-1.0, 0.0, 2.0), STOPPING)
    for seed, (width, penalty, stopping) in enumerate(settings):
        prompt = tokens(1, 9, seed=seed)
        expected = their_ids(
            theirs,
            spec,
            prompt,
            num_beams=width,
            length_penalty=penalty,
            early_stopping=stopping,
        )
        beams = Beams(width, penalty, STOPPING[stopping])
        (found,) = beam_search(ours, prompt.tolist(), NEW, beams, STOPS)
        assert found.ids == expected, (width, penalty, stopping)
        assert found.stopped == (expected[-1] in STOPS)
        lengths.add(len(expected))
    assert len(lengths) > 1, "every search ended at one length: stop tokens were not tested"


@pytest.mark.column("cache")
@pytest.mark.parametrize("family", SEARCHED)
def test_one_beam_is_greedy(pairs, family):
    ours, spec, theirs = pairs(family)
    prompt = tokens(1, 9, seed=5)
    expected = their_ids(theirs, spec, prompt, num_beams=1)
    assert beam_search(ours, prompt.tolist(), NEW, Beams(1), STOPS)[0].ids == expected
    assert generate(ours, prompt.tolist(), NEW, stop_ids=STOPS)[0].ids == expected


@pytest.fixture(scope="module")
def small():
    """Five tokens, so that every sequence can be tried."""
    spec = spec_for("llama", vocab_size=5, max_length=16, d_model=16, n_layers=2, n_heads=2)
    network = build_network(spec, seed=3).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(20.0 if parameter.ndim == 2 else 1.0)
    return network


def score(network, prompt, ids):
    """log p(ids | prompt), of the whole sequence at once."""
    with torch.no_grad():
        logits = network.logits(network(torch.tensor([prompt + ids])).last)[0].log_softmax(-1)
    return sum(logits[len(prompt) - 1 + i, token].item() for i, token in enumerate(ids))


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_enough_beams_find_the_best_of_all(small, penalty):
    """With as many beams as there are sequences nothing is lost."""
    prompt, stop, longest = [1, 2], 4, 3
    every = [
        list(ids)
        for length in range(1, longest + 1)
        for ids in itertools.product(range(5), repeat=length)
        if stop not in ids[:-1] and (ids[-1] == stop or length == longest)
    ]
    best = max(every, key=lambda ids: score(small, prompt, ids) / len(ids) ** penalty)
    beams = Beams(5**longest, penalty, None)
    (found,) = beam_search(small, [prompt], longest, beams, frozenset({stop}))
    assert found.ids == best


def test_each_prompt_is_searched_by_itself(pairs):
    ours, _, _ = pairs("llama2")
    prompts = [tokens(1, 9, seed=1)[0].tolist(), tokens(1, 4, seed=2)[0].tolist()]
    together = beam_search(ours, prompts, NEW, Beams(3), STOPS)
    alone = [beam_search(ours, [prompt], NEW, Beams(3), STOPS)[0] for prompt in prompts]
    assert together == alone


def test_what_cannot_be_searched_is_refused(pairs):
    ours, _, _ = pairs("gpt2")
    with pytest.raises(InputError, match="beams is 0"):
        Beams(0)
    with pytest.raises(InputError, match=f"outside this model's vocabulary of {VOCABULARY}"):
        beam_search(ours, [[VOCABULARY]], NEW, Beams(2))
    assert beam_search(ours, [[5]], 0, Beams(2))[0].ids == []
