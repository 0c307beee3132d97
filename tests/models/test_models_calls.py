"""How networks are called: caches under autograd, sources, memory, padding, what is refused."""

import pytest
import torch

import hornbook
from hornbook.batches import masks
from hornbook.batches.batch import Source
from hornbook.errors import InputError, SpecError
from hornbook.models import choices
from hornbook.models.build import build_network
from hornbook.models.choices import BucketBias
from hornbook.models.families import spec_for
from hornbook.models.parts.block_attention import Rules, block_attention
from hornbook.models.parts.rotary import Rotary

SHAPE = {"vocab_size": 60, "max_length": 32, "d_model": 32, "n_layers": 2, "n_heads": 2}
TOKENS = torch.arange(20).view(2, 10)


@pytest.mark.parametrize("family", ["gpt2", "llama", "xlnet"])
def test_a_cache_works_where_gradients_are_on(family):
    network = hornbook.build(family, **SHAPE).network
    cache, parts = network.new_cache(2, 10), []
    for part in TOKENS.split([4, 6], dim=1):
        parts.append(network.predict_next(part, cache=cache).last)
    whole = network.predict_next(TOKENS).last
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-5)


def test_a_cache_set_back_forgets_the_source_too():
    network = build_network(spec_for("t5", **SHAPE)).eval()
    cache = network.new_cache(1, 8)
    target = torch.tensor([[0, 5, 6]])
    with torch.no_grad():
        network(torch.tensor([[7, 8, 9]]), target, cache=cache)
        cache.length = 0
        found = network(torch.tensor([[30, 31]]), target, cache=cache).last
        expected = network(torch.tensor([[30, 31]]), target).last
    torch.testing.assert_close(found, expected)


def test_memory_keeps_its_last_states():
    """Segments of 4 over a memory of 6: the third sees the second and half of the first."""
    network = build_network(spec_for("xlnet", **SHAPE)).eval()
    tokens = torch.arange(12)[None]
    cache = network.new_cache(1, 10)
    with torch.no_grad():
        for segment in tokens.split(4, dim=1)[:2]:
            network(segment, cache=cache)
            cache.keep_last(6)
        assert cache.length == 6
        expected = network.embedding(tokens[:, 2:8], None, None, torch.float32)[0]
        torch.testing.assert_close(cache.layers[0, 0, 0, :6, 0], expected)
        network(tokens[:, 8:], cache=cache)
    assert cache.length == 10


@pytest.mark.parametrize("rule", [masks.causal(), masks.same_document(torch.zeros(2, 10).long())])
def test_a_source_mask_hides_padding_and_nothing_else(rule):
    network = build_network(spec_for("bart", **SHAPE))
    with pytest.raises(InputError, match="hides padding alone"):
        network(Source(TOKENS, mask=rule), TOKENS)


def test_what_is_not_a_number_stays_so_under_a_mask():
    """Only queries that see nothing read nothing; a NaN of a query that sees is not hidden."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 4, 1, 8, generator=generator) for _ in range(3))
    q[0, 1] = torch.nan
    allowed = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    allowed[0, 0, 2] = False
    y = block_attention(q, k, v, Rules(1.0, False, None, allowed))
    assert y[0, 1].isnan().all()
    assert (y[0, 2] == 0).all()
    assert y[0, [0, 3]].isfinite().all()


def test_padding_is_neither_a_blank_nor_a_start():
    """The filler may be any id, also the one that begins a block."""
    network = build_network(spec_for("glm", **SHAPE, blank_ids=(3,), start_id=0))
    padded = torch.tensor([[0, 0, 0, 4, 3, 0], [5, 6, 7, 4, 3, 0]])
    positions, mask = network.place(padded, torch.tensor([3, 0]))
    assert positions[0].tolist() == [[0, 0, 0, 0, 1, 1], [0, 1, 2, 3, 4, 4]]
    assert positions[1].tolist() == [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1]]
    assert mask.dense(6, 6)[0, 3].tolist() == [False] * 3 + [True] * 2 + [False]


def test_a_start_without_a_blank_goes_on_counting():
    network = build_network(spec_for("glm", **SHAPE, blank_ids=(3,), start_id=2))
    positions, _ = network.place(torch.tensor([[8, 9, 2, 7]]))
    assert positions[:, 0].tolist() == [[0, 1, 2, 3], [0, 0, 1, 2]]


@pytest.mark.parametrize("family", ["t5", "xlnet"])
def test_a_model_that_knows_distances_alone_reads_beyond_its_length(family):
    model = hornbook.build(family, **SHAPE)
    long = torch.randint(0, 60, (1, 40), generator=torch.Generator().manual_seed(0))
    given = (long, long) if family == "t5" else (long,)
    assert model(*given).logits.shape == (1, 40, 60)


@pytest.mark.parametrize(
    ("family", "given", "said"),
    [
        ("bart", (TOKENS,), "reads a source and a target"),
        ("gpt2", (TOKENS, TOKENS), "reads one row of tokens, no target"),
        ("gpt2", (torch.zeros(1, 33, dtype=torch.int64),), "more than this model's context of 32"),
        ("llama", (TOKENS + 50,), "outside this model's vocabulary of 60"),
    ],
)
def test_calls_that_do_not_fit_the_family_are_refused(family, given, said):
    with pytest.raises(InputError, match=said):
        hornbook.build(family, **SHAPE)(*given)


def test_segments_that_are_not_there_are_refused():
    bert = hornbook.build("bert", **SHAPE)
    with pytest.raises(InputError, match=r"segments hold a number outside 0 \.\. 1"):
        bert(TOKENS, segments=torch.full_like(TOKENS, 2))
    with pytest.raises(InputError, match="has no segment vectors"):
        hornbook.build("gpt2", **SHAPE)(TOKENS, segments=torch.zeros_like(TOKENS))


@pytest.mark.parametrize("family", ["gpt2", "bert", "glm"])
def test_positions_that_are_not_there_are_refused(family):
    positions = torch.full_like(TOKENS, 32)
    positions = torch.stack([positions] * 2) if family == "glm" else positions
    with pytest.raises(InputError, match=r"positions hold a number outside 0 \.\. 31"):
        hornbook.build(family, **SHAPE)(TOKENS, positions=positions)


@pytest.mark.parametrize(("value", "takes"), [(1, "several values"), (2.5, "several values")])
def test_a_dimension_of_another_kind_is_refused(value, takes):
    with pytest.raises(SpecError, match=rf"gpt3's banded is {value}; it takes {takes}"):
        spec_for("gpt3", banded=value)
    with pytest.raises(SpecError, match=r"gpt3's band is \(1, 2\); it takes one number"):
        spec_for("gpt3", band=(1, 2))


def test_beams_are_searched_without_chance():
    model = hornbook.build("gpt2", **SHAPE)
    with pytest.raises(InputError, match="Beams search without chance"):
        model.generate([1, 2], 4, beams=2, temperature=0.7)


def test_numbers_that_leave_nothing_to_share_are_refused():
    with pytest.raises(SpecError, match="max_distance = 16 is not above half of n_buckets = 32"):
        BucketBias(32, 16)
    with pytest.raises(SpecError, match="start_id = 70 is outside the vocabulary of 60"):
        spec_for("bart", **SHAPE, start_id=70)


@pytest.mark.parametrize("layout", ["pairs", "halves"])
def test_a_rotation_passes_on_gradients_of_any_layout(layout):
    """A sum's gradient is one number seen everywhere: turning back ones gives cos + sin."""
    rotary = Rotary(choices.Rotary(layout), 4)
    table = rotary.table(torch.tensor([[0, 1, 2]]), torch.float64)
    x = torch.randn(1, 3, 2, 4, dtype=torch.float64, requires_grad=True)
    rotary.rotate(x, table).sum().backward()
    cos, sin = table[0, 0, :, 0], table[1, 0, :, 0]
    first = slice(0, None, 2) if layout == "pairs" else slice(0, 2)
    torch.testing.assert_close(x.grad[0, :, 0, first], cos + sin)
