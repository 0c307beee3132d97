"""Every family that writes: greedy ids with a cache are those without, rows do not disturb."""

import pytest
import torch
from shapes import shaped

from hornbook.batches import masks
from hornbook.batches.batch import Source
from hornbook.errors import InputError
from hornbook.generation.generate import generate
from hornbook.models import FAMILIES
from hornbook.models.build import build_network
from hornbook.models.families import spec_for

SHAPE = {"vocab_size": 97, "max_length": 48, "d_model": 32, "n_layers": 3, "n_heads": 4}
OTHER = {
    "bahdanau": {"d_hidden": 24},
    "gpt3": {"band": 5},
    "glm": {"blank_ids": (90, 91), "start_id": 92},
    "chatglm": {"blank_ids": (90, 91), "start_id": 92},
    "mixtral": {"d_ff": 40, "n_experts": 4},
    "nplm": {"order": 4},
    "qwen3": {"d_head": 12},
    "t5": {"d_head": 6},
    "t5_1_1": {"d_head": 6},
}
WRITERS = [family for family in FAMILIES if family not in ("bert", "roberta")]
PROMPTS = [[5, 6, 7, 8, 9, 10, 11], [40, 41, 42], [20, 90, 92, 30, 31]]
NEW = 12


def network_of(family):
    """Redrawn, in float64: rounding must not decide between two tokens."""
    network = build_network(shaped(family, SHAPE, **OTHER.get(family, {}))).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            gain = "norm" in name and name.endswith("weight")
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.3 * noise + float(gain))
    return network


def without_cache(network, prompt):
    """The likeliest token, again and again, reading everything anew each time."""
    made = []
    for _ in range(NEW):
        with torch.no_grad():
            if network.spec.encoder is not None:
                target = torch.tensor([[network.spec.reading.start_id, *made]])
                last = network(torch.tensor([prompt]), target).last
            else:
                rows = torch.tensor([prompt + made])
                positions, mask = network.place(rows)
                last = network.predict_next(rows, positions=positions, mask=mask).last
            made.append(int(network.logits(last[0, -1]).argmax()))
    return made


@pytest.mark.column("cache")
@pytest.mark.parametrize("family", WRITERS)
def test_greedy_ids_with_a_cache_are_those_without(family):
    network = network_of(family)
    for prompt in PROMPTS:
        assert generate(network, [prompt], NEW)[0].ids == without_cache(network, prompt)


@pytest.mark.column("batch invariance")
@pytest.mark.parametrize("family", WRITERS)
def test_rows_of_other_lengths_do_not_change_a_row(family):
    network = network_of(family)
    together = generate(network, PROMPTS, NEW)
    assert together == [generate(network, [prompt], NEW)[0] for prompt in PROMPTS]
    assert len({tuple(row.ids) for row in together}) > 1


@pytest.mark.parametrize("family", [f for f in WRITERS if spec_for(f).continues])
def test_a_full_context_goes_on(family):
    """Half of it is forgotten, and the text goes on; a state is carried on and forgets nothing."""
    network = network_of(family)
    ids = generate(network, [PROMPTS[0]], 60)[0].ids
    assert len(ids) == 60
    if network.spec.carries_state:
        rows = torch.tensor([PROMPTS[0] + ids])
        with torch.no_grad():
            scores = network.logits(network.predict_next(rows).last)
        assert scores[0, len(PROMPTS[0]) - 1 : -1].argmax(-1).tolist() == ids


@pytest.mark.parametrize("family", ["bart", "t5", "transformer"])
def test_a_decoder_over_a_source_ends_at_its_context(family):
    with pytest.raises(InputError, match="do not fit this model's context of 48"):
        generate(network_of(family), [PROMPTS[0]], 49)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_an_encoder_says_that_it_does_not_continue(family):
    network = build_network(shaped(family, SHAPE))
    with pytest.raises(InputError, match="does not predict a text from left to right"):
        generate(network, [PROMPTS[0]], 3)


def test_the_source_is_read_once():
    network, calls = network_of("t5"), []
    network.encoder.register_forward_hook(lambda *_: calls.append(1))
    generate(network, [PROMPTS[0]], NEW)
    assert len(calls) == 1
    blocks = network.decoder.blocks
    made = []
    blocks[0].cross.kv.register_forward_hook(lambda *_: made.append(1))
    generate(network, [PROMPTS[0]], NEW)
    assert len(made) == 1, "keys and values of the source were made again"


def test_padding_of_a_source_is_not_read():
    network = network_of("bart")
    target = torch.tensor([[2, 5, 6]])
    short = network(torch.tensor([[7, 8, 9]]), target).last
    for filler in (0, 50):
        padded = Source(
            torch.tensor([[7, 8, 9, filler, filler]]), mask=masks.padding(torch.tensor([3]))
        )
        assert torch.allclose(network(padded, target).last, short, rtol=0, atol=1e-12)
