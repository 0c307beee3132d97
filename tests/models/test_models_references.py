"""GLM, ChatGLM-6B and GPT-3's mixed stack against slow models written from the papers' equations.

Every parameter is redrawn; heads do not add up to the width, rows of a batch have different parts,
and layers are enough for whatever depends on their number to show.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from oracles import error, ours_of, redraw
from references import blank_infilling, chatglm, glm, gpt3, one_blank
from torch import Tensor

from hornbook.batches import masks
from hornbook.batches.masks import Mask
from hornbook.models.build import build_network, trim
from hornbook.models.families import spec_for
from hornbook.models.parts.context import Context
from hornbook.models.paths import put
from hornbook.models.spec import Spec

MASK, GMASK, START, END = 25, 26, 27, 28
SHAPE = {"vocab_size": 29, "max_length": 16, "d_model": 20, "n_heads": 3, "d_head": 8, "d_ff": 44}
BLANKS = {"blank_ids": (GMASK, MASK), "start_id": START}

# Rows of GLM's own training form: several blanks, filled in another order than they stand in.
TEXTS = (
    ([1, 2, 3, 4, 5, 6, 7], [(2, 3), (4, 6)], [1, 0]),
    ([8, 9, 1, 1, 2, 3, 4], [(0, 2), (5, 7)], [0, 1]),
    ([5, 5, 6, 7, 8, 9, 9], [(1, 2), (3, 4)], [1, 0]),
)
FILLED = [blank_infilling(*text, MASK, START, END) for text in TEXTS]

# Rows that go on after one blank, which stands in another place in each.
PROMPTS = torch.tensor(
    [
        [1, 2, GMASK, START, 5, 6, 7, 8, 9, 4, 3],
        [3, GMASK, 4, MASK, 6, START, 8, 8, 1, 2, 9],
        [MASK, 7, 8, 1, START, 2, 2, 3, START, 4, 5],
    ]
)
PREFIXES = [3, 5, 4]


@dataclass(frozen=True)
class Case:
    """A network's spec and input, what the reference makes of them, and who may see whom.

    rules: what the network is told besides; parts: how long each row's beginning that all see is.
    """

    spec: Spec
    ids: Tensor
    rules: dict[str, Any]
    reference: Callable[[dict[str, Tensor]], Any]
    parts: list[int]


def glm_case() -> Case:
    spec = spec_for("glm", **SHAPE, **BLANKS, n_layers=3, dropout=0.0)
    ids, _, first, second, separators = (list(column) for column in zip(*FILLED, strict=True))
    ids, positions, lengths = torch.tensor(ids), torch.tensor([first, second]), separators
    rules = {"positions": positions, "mask": masks.prefix(torch.tensor(lengths))}
    return Case(spec, ids, rules, lambda w: glm(w, ids, positions, lengths, 3, 3, 8), lengths)


def chatglm_case() -> Case:
    spec = spec_for("chatglm", **SHAPE, **BLANKS, n_layers=3)
    return Case(
        spec, PROMPTS, {}, lambda w: chatglm(w, PROMPTS, (GMASK, MASK), START, 3, 3, 8), PREFIXES
    )


def gpt3_case() -> Case:
    spec = spec_for("gpt3", **SHAPE, n_layers=5, band=3, dropout=0.0)
    banded = (False, True, False, True, False)
    ids = torch.randint(0, 29, (3, 11), generator=torch.Generator().manual_seed(2))
    return Case(spec, ids, {}, lambda w: gpt3(w, ids, banded, 3, 3, 8), [0, 0, 0])


CASES = {"glm": glm_case(), "chatglm": chatglm_case(), "gpt3": gpt3_case()}
FAMILIES = pytest.mark.parametrize("family", CASES)
KERNELS = pytest.mark.parametrize("gradient", [True, False], ids=["block attention", "sdpa"])


def redrawn(spec: Spec) -> Any:
    network = build_network(spec)
    redraw(network)
    return network.double().eval()


def weights_of(network: Any) -> dict[str, Tensor]:
    """Copies of all weights by our names, which may have gradients of their own."""
    trimmed = trim(network, dict(network.named_parameters()))
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in trimmed.items()}


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """Each family's (network, weights, states, logits) by its reference; made once."""
    found = {}
    for family, case in CASES.items():
        network = redrawn(case.spec)
        weights = weights_of(network)
        found[family] = (network, weights, *case.reference(weights))
    return found


def rules_of(case: Case) -> dict[str, Any]:
    """What the case's reading says where the case says nothing."""
    if case.rules or case.spec.family == "gpt3":
        return case.rules
    reading = redrawn(case.spec).reading
    return {"positions": reading.positions(case.ids), "mask": reading.mask(case.ids)}


@pytest.mark.column("hidden states")
@KERNELS
@FAMILIES
def test_hidden_states_of_every_layer_equal_the_slow_model(expected, family, gradient):
    case, (network, _, states, _) = CASES[family], expected[family]
    with torch.set_grad_enabled(gradient):
        seen = ours_of(network, case.ids, **case.rules)
    assert len(seen.states) == len(states) == case.spec.n_layers + 1
    for layer, (own, other) in enumerate(zip(seen.states, states, strict=True)):
        assert error(own, other) < 1e-10, f"the state after layer {layer} differs"


@pytest.mark.column("logits")
@KERNELS
@FAMILIES
def test_logits_equal_the_slow_model(expected, family, gradient):
    case, (network, _, _, logits) = CASES[family], expected[family]
    with torch.set_grad_enabled(gradient):
        assert error(ours_of(network, case.ids, **case.rules).logits, logits) < 1e-10


@pytest.mark.column("oracle")
@FAMILIES
def test_float32_is_within_its_rounding(expected, family):
    case, (_, _, _, logits) = CASES[family], expected[family]
    network = redrawn(case.spec).float()
    assert error(ours_of(network, case.ids, **case.rules).logits.double(), logits) < 1e-5


@pytest.mark.column("gradients")
@FAMILIES
def test_gradients_of_every_parameter_equal_the_slow_model(family):
    case = CASES[family]
    network = redrawn(case.spec)
    weights = weights_of(network)
    targets = case.ids.roll(-1, 1).flatten()
    F.cross_entropy(case.reference(weights)[1].flatten(0, 1), targets).backward()
    F.cross_entropy(
        ours_of(network, case.ids, **case.rules).logits.flatten(0, 1), targets
    ).backward()
    own = trim(network, {name: p.grad for name, p in network.named_parameters()})
    assert set(own) == set(weights)
    for name, weight in weights.items():
        assert error(own[name], weight.grad) < 1e-4, name


@pytest.mark.column("cache")
@pytest.mark.parametrize("sizes", [[11], [7, 1, 1, 1, 1], [7, 1, 3], [8, 2, 1]], ids=str)
@FAMILIES
def test_a_cache_changes_nothing(expected, family, sizes):
    """What sees what follows it comes in one piece: the first holds every row's beginning."""
    case, (network, _, states, _) = CASES[family], expected[family]
    rules, length = rules_of(case), case.ids.shape[1]
    assert max(case.parts) <= 7
    cache, at, parts = network.new_cache(3, length), 0, []
    with torch.no_grad():
        for size in sizes:
            here = slice(at, at + size)
            own = {**rules}
            if "positions" in rules:
                own["positions"] = rules["positions"][..., here]
            parts.append(network(case.ids[:, here], cache=cache, **own).last)
            at += size
    assert cache.length == length
    assert error(torch.cat(parts, 1), states[-1]) < 1e-10


@pytest.mark.column("batch invariance")
@KERNELS
@FAMILIES
def test_a_row_does_not_depend_on_its_batch(expected, family, gradient):
    case, (network, _, states, _) = CASES[family], expected[family]
    rules = rules_of(case)
    with torch.set_grad_enabled(gradient):
        for row in range(3):
            own = {name: of_row(value, row) for name, value in rules.items()}
            alone = network(case.ids[row : row + 1], **own).last
            assert error(alone[0], states[-1][row]) < 1e-10


def of_row(value: Tensor | Mask, row: int) -> Tensor | Mask:
    one = slice(row, row + 1)
    return value.select(one) if isinstance(value, Mask) else value[..., one, :]


@pytest.mark.column("mask property")
@KERNELS
@FAMILIES
def test_the_beginning_sees_itself_and_the_rest_what_is_before(expected, family, gradient):
    """Another token changes exactly the outputs of the places that see it."""
    case, (network, *_) = CASES[family], expected[family]
    rules = rules_of(case)
    with torch.set_grad_enabled(gradient):
        assert_seen_by(network, case, rules)


def assert_seen_by(network: Any, case: Case, rules: dict[str, Any]) -> None:
    """Change each token in turn: all rows' outputs that may see it change, and no other bit does.

    Positions and mask stay, so that only what is seen can tell.
    """
    before = network(case.ids, **rules).last
    length = case.ids.shape[1]
    for place in range(length):
        ids = case.ids.clone()
        ids[:, place] = (ids[:, place] + 1) % 10
        after = network(ids, **rules).last
        for row, end in enumerate(case.parts):
            sees = torch.tensor([place < end or place <= query for query in range(length)])
            moved = (after[row] != before[row]).any(-1)
            assert torch.equal(moved, sees), f"token {place} of row {row} is seen by {moved}"


@pytest.mark.column("mask property")
@KERNELS
@pytest.mark.parametrize("family", ["gpt3"])
def test_every_second_layer_sees_a_band(expected, family, gradient):
    """Bands of 3: layers 1 and 3 see themselves and the two before, the others all before."""
    with torch.set_grad_enabled(gradient):
        for layer in range(5):
            assert_attention(expected[family][0], layer, 11, reach=3 if layer % 2 else 11)


def attention_shares(network: Any, layer: int, length: int) -> Tensor:
    """[query, key]: how much of each key's value one layer's attention takes, without queries.

    With zero queries all visible keys have equal shares, and the map from values is linear: what
    the output gains where a key's vector is moved is its share of what the whole step would give.
    """
    attention = copy.deepcopy(network.blocks[layer].attention)
    queries = attention.choice.n_heads * attention.choice.d_head
    with torch.no_grad():
        attention.qkv.weight[:queries] = 0
        attention.qkv.bias[:queries] = 0
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(1, length, network.spec.d_model, dtype=torch.float64, generator=generator)
    step = torch.randn(network.spec.d_model, dtype=torch.float64, generator=generator)
    whole = attention.out.weight @ (attention.qkv.weight[2 * queries :] @ step)
    context = Context(masks.causal(), 0, torch.arange(length)[None], new=length)
    before = attention(x, context, None)
    columns = []
    for key in range(length):
        changed = x.clone()
        changed[:, key] += step
        gain = attention(changed, context, None) - before
        columns.append((gain[0] * whole).sum(-1) / whole.square().sum())
    return torch.stack(columns, 1).detach()


def assert_attention(network: Any, layer: int, length: int, reach: int) -> None:
    """Every query reads itself and the reach - 1 keys before it, and their shares add up to one."""
    shares = attention_shares(network, layer, length)
    for query, row in enumerate(shares):
        seen = torch.nonzero(row.abs() > 1e-9).flatten().tolist()
        expected = list(range(max(0, query - reach + 1), query + 1))
        assert seen == expected, f"layer {layer}: query {query} sees {seen}"
        total = row.sum().item()
        assert total == pytest.approx(1, abs=1e-9), f"shares of query {query} add up to {total}"


@pytest.mark.column("oracle")
@pytest.mark.parametrize("family", ["glm"])
def test_glms_worked_example(family):
    """Text 1..6 without 3 and 5 6, filled in the other order, as the paper's figure has it."""
    M, S, E = MASK, START, END
    found = blank_infilling([1, 2, 3, 4, 5, 6], [(2, 3), (4, 6)], [1, 0], M, S, E)
    ids, targets, first, second, separator = found
    assert ids == [1, 2, M, 4, M, S, 5, 6, S, 3]
    assert targets == [-100] * 5 + [5, 6, E, 3, E]
    assert first == [0, 1, 2, 3, 4, 4, 4, 4, 2, 2]
    assert second == [0, 0, 0, 0, 0, 1, 2, 3, 1, 2]
    assert separator == 5
    assert masks.prefix(torch.tensor([5])).dense(10, 10)[0].int().tolist() == [
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    ]


@pytest.mark.column("oracle")
@pytest.mark.parametrize("family", ["chatglm", "glm"])
def test_chatglms_worked_example(family):
    """a b [GMASK] S y z: what follows S stands at the blank's place, and counts from 1."""
    assert_worked_example(redrawn(CASES[family].spec).reading)


def assert_worked_example(reading: Any) -> None:
    row = torch.tensor([[1, 2, GMASK, START, 3, 4]])
    places, in_block = reading.positions(row).tolist()
    assert places == [[0, 1, 2, 2, 2, 2]]
    assert in_block == [[0, 0, 0, 1, 2, 3]]
    assert reading.mask(row).dense(6, 6)[0].int().tolist() == [
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1],
    ]


@pytest.mark.column("oracle")
@pytest.mark.parametrize("family", ["chatglm", "glm"])
def test_positions_are_read_off_the_ids(family):
    """Of several kinds of blanks the first kind, of several of a kind the first."""
    rows = torch.cat([PROMPTS, torch.tensor([[1, MASK, 2, MASK, 3, START, 4, MASK, 5, GMASK, 6]])])
    reading = redrawn(CASES[family].spec).reading
    found = reading.positions(rows)
    for row, ids in enumerate(rows.tolist()):
        first, second = one_blank(ids, (GMASK, MASK), START)
        assert found[:, row].tolist() == [first, second]


@pytest.mark.column("oracle")
@pytest.mark.parametrize("family", ["glm"])
def test_glm_goes_on_after_one_blank_by_itself(family):
    """Told nothing, it reads positions and mask off the ids."""
    network = redrawn(CASES[family].spec)
    rows = [one_blank(ids, (GMASK, MASK), START) for ids in PROMPTS.tolist()]
    positions = torch.tensor([list(column) for column in zip(*rows, strict=True)])
    states, logits = glm(weights_of(network), PROMPTS, positions, PREFIXES, 3, 3, 8)
    seen = ours_of(network, PROMPTS)
    assert error(seen.states[-1], states[-1]) < 1e-10
    assert error(seen.logits, logits) < 1e-10


@pytest.mark.column("oracle")
@pytest.mark.parametrize("family", ["chatglm"])
def test_frequencies_rounded_to_half_precision_are_told_from_exact_ones(expected, family):
    """Also at lengths as short as here, so that the tests above hold the rounding."""
    case, (_, _, states, _) = CASES[family], expected[family]
    path = ["stack", "blocks", "*", "attention", "rotation", "frequency_dtype"]
    exact = redrawn(put(case.spec, path, "float32"))
    assert 1e-7 < error(exact(case.ids).last, states[-1]) < 1e-3


@pytest.mark.column("gradients")
@pytest.mark.parametrize("family", ["xlnet"])
def test_what_is_remembered_has_no_gradient(family):
    """Training by segments: the second segment's loss reads the first, and does not change it."""
    spec = spec_for(family, **{**SHAPE, "n_layers": 3}, dropout=0.0)
    assert_memory_is_constant(redrawn(spec))


def assert_memory_is_constant(network: Any) -> None:
    first = torch.randint(0, 9, (2, 5), generator=torch.Generator().manual_seed(4))
    second = torch.randint(10, 29, (2, 6), generator=torch.Generator().manual_seed(5))
    cache, plain = network.new_cache(2, 11), network.new_cache(2, 11)
    with torch.no_grad():
        network(first, cache=plain)
        expected = network(second, cache=plain).last
        assert error(network(second).last, expected) > 0.01, "the memory is not read"
    network(first, cache=cache)
    found = network(second, cache=cache).last
    assert error(found, expected) < 1e-12
    found.square().mean().backward()
    gradient = network.table.grad
    assert gradient[10:29].abs().max() > 1e-4
    assert not gradient[:10].any(), "a gradient reaches the segment before"
