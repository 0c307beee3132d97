"""The loop against transformers' generate, and what must not change a row's result."""

import pytest
import torch
from transformers import GPT2LMHeadModel

from hornbook.checkpoints.hf import write_hf
from hornbook.errors import InputError
from hornbook.generation.generate import generate, stream
from hornbook.generation.sampling import Sampling
from hornbook.models.build import build_network
from hornbook.models.families import spec_for


@pytest.fixture(scope="module")
def network():
    spec = spec_for("gpt2", vocab_size=101, max_length=32, d_model=40, n_layers=3, n_heads=4)
    network = build_network(spec).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.normal_(float("norm.weight" in name), 0.3)
        network.embedding.tokens.weight[101:] = 0
    return network


@pytest.fixture(scope="module")
def theirs(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hf")
    write_hf(folder, network.spec, network.state_dict())
    return GPT2LMHeadModel.from_pretrained(folder).eval()


def greedy(theirs, prompts, n, **settings):
    tokens = torch.tensor(prompts)
    made = theirs.generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        max_new_tokens=n,
        do_sample=False,
        **settings,
    )
    return made[:, len(prompts[0]) :].tolist()


def test_greedy_equals_transformers(network, theirs):
    prompts = [[1, 2, 3, 4, 5], [60, 7, 88, 9, 10]]
    made = generate(network, prompts, 27)
    assert [row.ids for row in made] == greedy(theirs, prompts, 27)
    assert not any(row.stopped for row in made)


def test_repetition_penalty_equals_transformers(network, theirs):
    made = generate(network, [[1, 2, 3, 4, 5]], 20, Sampling(repetition_penalty=1.7))
    assert [made[0].ids] == greedy(theirs, [[1, 2, 3, 4, 5]], 20, repetition_penalty=1.7)


def test_greedy_with_a_cache_equals_greedy_without(network):
    ids = [3, 1, 4]
    for _ in range(25):
        with torch.no_grad():
            last = network(torch.tensor([ids])).last[:, -1]
        ids = [*ids, int(network.logits(last).argmax())]
    assert generate(network, [[3, 1, 4]], 25)[0].ids == ids[3:]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0, seed=3)])
def test_rows_of_different_lengths_do_not_meet(network, sampling):
    prompts = [[5], [1, 2, 3, 4, 5, 6, 7], [9, 8, 7]]
    together = [row.ids for row in generate(network, prompts, 20, sampling)]
    if sampling.temperature == 0:
        assert together == [generate(network, [prompt], 20)[0].ids for prompt in prompts]
    else:
        assert together[0] == generate(network, prompts[:1], 20, sampling)[0].ids
    longer = [[9] * 12, *prompts[1:]]
    assert [row.ids for row in generate(network, longer, 20, sampling)][1:] == together[1:]


def test_the_same_seed_repeats_and_another_differs(network):
    def made(seed):
        return generate(network, [[1, 2]], 20, Sampling(temperature=1.0, seed=seed))[0].ids

    assert made(1) == made(1) != made(2)


def test_stop_ids_end_a_row_and_only_that_row(network):
    prompts = [[1, 2, 3, 4, 5], [60, 7, 88, 9, 10]]
    free = [row.ids for row in generate(network, prompts, 20)]
    stop = next(token for token in free[0] if token not in free[1])
    made = generate(network, prompts, 20, stop_ids=frozenset([stop]))
    assert made[0].ids == free[0][: free[0].index(stop) + 1]
    assert made[0].stopped
    assert made[1].ids == free[1]
    assert not made[1].stopped


def test_a_full_context_goes_on_from_its_last_half(network):
    """By hand: the context is 32; token 33 is read with the 15 before it, from position 0."""
    ids = [5, 6, 7]
    start = 0
    for _ in range(60):
        if len(ids) - start > 32:
            start = len(ids) - 16
        with torch.no_grad():
            last = network(torch.tensor([ids[start:]])).last[:, -1]
        ids.append(int(network.logits(last).argmax()))
    assert generate(network, [[5, 6, 7]], 60)[0].ids == ids[3:]


def test_rows_moved_right_stay_right_beyond_the_context(network):
    """By hand: the shorter row forgets with the longer one, but never reads what fills its left."""
    prompts = [[5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]
    together = generate(network, prompts, 70)
    assert together[1].ids == generate(network, prompts[1:], 70)[0].ids
    ids, columns, own = [5], 9, 1
    for _ in range(70):
        if columns > 32:
            columns, own = 16, min(own, 16)
        with torch.no_grad():
            last = network(torch.tensor([ids[-own:]])).last[:, -1]
        ids.append(int(network.logits(last).argmax()))
        columns, own = columns + 1, own + 1
    assert together[0].ids == ids[1:]


def test_a_prompt_longer_than_the_context_is_read_from_its_end(network):
    long = [n % 101 for n in range(50)]
    assert generate(network, [long], 1)[0].ids == generate(network, [long[-32:]], 1)[0].ids


def set_dropout(network, rate):
    sites = [module for module in network.modules() if hasattr(module, "dropout")]
    assert sites
    for module in sites:
        module.dropout = rate


def test_dropout_is_off_while_generating_and_training_goes_on(network):
    expected = generate(network, [[1, 2, 3]], 10)
    try:
        set_dropout(network, 0.5)
        network.train()
        assert generate(network, [[1, 2, 3]], 10) == expected
        assert network.training
        assert network.blocks[0].attention.training
    finally:
        set_dropout(network, 0.0)
        network.eval()


def test_tokens_come_as_they_are_made(network):
    steps = stream(network, [[1], [2]], 5)
    first = next(steps)
    assert len(first) == 2
    assert [first, *steps] == list(
        map(list, zip(*(r.ids for r in generate(network, [[1], [2]], 5)), strict=True))
    )


@pytest.mark.parametrize("prompts", [[], [[]], [[1], []], [[101]], [[-1]]])
def test_prompts_that_cannot_be_read_are_refused(network, prompts):
    with pytest.raises(InputError):
        generate(network, prompts, 3)


def test_no_tokens_asked_for_gives_none(network):
    assert generate(network, [[1]], 0)[0].ids == []
