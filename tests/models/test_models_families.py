"""Every family that transformers has, held equal to it: states, logits, gradients, padding."""

import math
from inspect import signature

import pytest
import torch
import torch.nn.functional as F
from oracles import ORACLES, error, inputs, ours_of, pair, redraw, theirs_of, tokens

from hornbook.batches import masks
from hornbook.batches.batch import Source
from hornbook.checkpoints.hf import write_hf
from hornbook.models.build import build_network, empty_network, fill
from hornbook.models.choices import PostNormBlock, TiedHead, UntiedHead
from hornbook.models.families import family as family_module
from hornbook.models.families import spec_for
from hornbook.models.parts.context import Context
from hornbook.models.paths import difference, put

EXACT = [family for family, oracle in ORACLES.items() if oracle.exact]
SOURCES = ["transformer", "bart", "t5", "t5_1_1"]
DTYPES = [
    pytest.param(family, dtype, tolerance, id=f"{family}-{str(dtype).removeprefix('torch.')}")
    for families, dtype, tolerance in (
        (ORACLES, torch.float32, 1e-5),
        (EXACT, torch.float64, 1e-10),
    )
    for family in families
]
families = pytest.mark.parametrize("family", ORACLES)
dtypes = pytest.mark.parametrize(("family", "dtype", "tolerance"), DTYPES)
kernels = pytest.mark.parametrize("gradient", [True, False], ids=["in training", "in inference"])


@pytest.mark.column("hidden states")
@kernels
@dtypes
def test_every_hidden_state_equals_transformers(pairs, family, dtype, tolerance, gradient):
    ours, spec, theirs = pairs(family, dtype)
    with torch.set_grad_enabled(gradient):
        own, other = ours_of(ours, *inputs(spec)), theirs_of(theirs, *inputs(spec))
    layers = spec.n_layers + 1 + (spec.encoder.n_layers + 1 if spec.encoder else 0)
    assert len(own.states) == len(other.states) == layers
    for state, expected in zip(own.states, other.states, strict=True):
        assert error(state, expected) < tolerance


@pytest.mark.column("logits")
@kernels
@dtypes
def test_logits_equal_transformers(pairs, family, dtype, tolerance, gradient):
    ours, spec, theirs = pairs(family, dtype)
    with torch.set_grad_enabled(gradient):
        own, other = ours_of(ours, *inputs(spec)), theirs_of(theirs, *inputs(spec))
    assert own.logits.shape[-1] == spec.vocab_size
    assert error(own.logits, other.logits) < tolerance


@pytest.mark.column("logits")
@families
def test_the_familys_own_spec_is_the_one_held_equal(pairs, family):
    """So that fresh networks are those of the tests above, which read most of it from a config."""
    found = pairs(family).spec
    layers = tuple(found.stack.layer(number) for number in range(found.n_layers))
    attention, encoder = layers[0].attention, found.encoder
    dimensions = {
        "vocab_size": found.vocab_size,
        "max_length": found.max_length,
        "d_model": found.d_model,
        "n_layers": found.n_layers,
        "n_encoder_layers": encoder.n_layers if encoder else 0,
        "n_heads": attention.n_heads,
        "n_kv_heads": getattr(attention, "n_kv_heads", 0),
        "d_head": attention.d_head,
        "d_ff": layers[0].feedforward.d_ff,
        "n_experts": 4,
        "tied": False,
        "band": 7,
        "dropout": 0.0,
    }
    known = signature(family_module(family).spec).parameters
    own = spec_for(family, **{name: dimensions[name] for name in dimensions.keys() & known})
    if family == "transformer":  # Marian lays the same sines and cosines in another order
        own = put(own, ["embedding", "positions", "layout"], "halves")
    if family == "gpt3":  # GPT-Neo's scores are unscaled, its maps have no biases
        own = put(own, ["stack", "blocks", "*", "attention", "scale"], 1.0)
        own = put(own, ["stack", "blocks", "*", "attention", "bias"], False)
    assert difference(own, found) == ""


def loss_of(logits, length):
    """Of any targets; those of transformers would be computed in float32."""
    targets = tokens(length=length, seed=7)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def parts_of(name, tensor):
    """(name, part) of the maps that one of their tensors has in it: scales differ among them."""
    if "c_attn" in name:
        names, parts = ("query", "key", "value"), tensor.chunk(3, dim=-1)
    elif "gate_up_proj" in name:
        names, parts = ("gate", "up"), tensor.chunk(2, dim=1)
    else:
        return {name: tensor}
    return {f"{part}.{name}": own for part, own in zip(names, parts, strict=True)}


@pytest.mark.column("gradients")
@pytest.mark.parametrize(
    ("family", "dtype", "tolerance"),
    [
        pytest.param(*param.values[:2], 1e-4 if param.values[1] == torch.float32 else 1e-9,
                     id=param.id)
        for param in DTYPES
    ],
)  # fmt: skip
def test_gradients_equal_transformers(folders, tmp_path, family, dtype, tolerance):
    """Ours are written under their names, as weights are, and read into a model of theirs.

    Small gradients are compared with the model's largest; those of XLNet's queries and segments are
    in the tests of two streams.
    """
    ours, spec, theirs = pair(family, dtype, folders)
    given = inputs(spec)
    hidden = ours(*given)
    own_loss = loss_of(ours.logits(hidden.last), given[-1].shape[1])
    out = theirs_of(theirs, *given)
    loss = loss_of(out.logits, given[-1].shape[1])
    if ours_pooler := getattr(ours, "pooler", None):
        kinds = torch.tensor([0, 1])
        own_loss = own_loss + F.cross_entropy(ours_pooler(hidden.last), kinds)
        scores = theirs(given[0]).seq_relationship_logits
        loss = loss + F.cross_entropy(scores, kinds)
    assert own_loss.item() == pytest.approx(loss.item(), rel=1e-5 if tolerance == 1e-4 else 1e-12)
    own_loss.backward()
    loss.backward()
    gradients = {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in ours.named_parameters()
    }
    write_hf(tmp_path, spec, gradients)
    own = dict(type(theirs).from_pretrained(tmp_path).named_parameters())
    other = {n: p.grad for n, p in theirs.named_parameters() if p.requires_grad}
    largest = max(gradient.abs().max() for gradient in other.values() if gradient is not None)
    assert own.keys() >= other.keys()
    for name, gradient in other.items():
        if gradient is None:
            assert family == "xlnet"
            assert not own[name].any()
            continue
        assert own[name].dtype == dtype
        mine = parts_of(name, own[name])
        for part, yours in parts_of(name, gradient).items():
            scale = max(yours.abs().max().item(), 1e-2 * largest.item())
            assert (mine[part] - yours).abs().max() / scale < tolerance, part
            # A bias of all keys shifts every score alike and counts for nothing, if not turned.
            of_keys = part.endswith("bias") and ("key" in part or "k_proj" in part)
            turned = getattr(spec.stack.blocks[0].attention, "rotation", None)
            assert (yours.abs().max() > 1e-3 * scale) == (turned is not None or not of_keys), part


def made_small(spec, weights):
    """The weights with all that is normed made as small as eps: then eps is seen.

    That is embeddings, what sublayers add to the stream, queries and keys if they are normed (and
    values, instead of the map after them), and norms' own results where the stream is made of them.
    """
    eps = min(norm.eps for norm in empty_network(spec, "meta").modules() if hasattr(norm, "eps"))
    block = spec.stack.blocks[0]
    small = ["embedding", ".down", "head.dense", "head.bias"]
    small.append(".qkv." if getattr(block.attention, "head_norm", None) else ".out.")
    if isinstance(block, PostNormBlock):
        small += ["attention_norm", "cross_norm", "feedforward_norm"]
    return {
        name: tensor * (10 * eps**0.5 if any(part in name for part in small) else 1.0)
        for name, tensor in weights.items()
    }


@pytest.mark.column("logits")
@families
def test_every_eps_is_theirs(folders, tmp_path, family):
    """On variances as small as eps; making any norm's eps ten times as large is seen."""
    ours, spec, theirs = pair(family, torch.float32, folders)
    weights = made_small(spec, ours.state_dict())
    write_hf(tmp_path, spec, weights)
    fill(ours, weights)
    with torch.no_grad():
        given = inputs(spec)
        expected = theirs_of(type(theirs).from_pretrained(tmp_path), *given)

        def difference():
            own = ours_of(ours, *given)
            pairs = zip((*own.states, own.logits), (*expected.states, expected.logits), strict=True)
            return max(error(mine, yours) for mine, yours in pairs)

        assert difference() < 1e-5
        for name, norm in ours.named_modules():
            if hasattr(norm, "eps"):
                right, norm.eps = norm.eps, norm.eps * 10
                assert difference() > 5e-5, name
                norm.eps = right


@pytest.mark.column("logits")
@pytest.mark.parametrize(("family", "dtype", "tolerance"), [
    pytest.param("bert", torch.float32, 1e-5, id="bert-float32"),
    pytest.param("bert", torch.float64, 1e-10, id="bert-float64"),
])  # fmt: skip
def test_segments_and_scores_of_pairs_equal_transformers(pairs, family, dtype, tolerance):
    ours, _, theirs = pairs(family, dtype)
    segments = (torch.arange(29) > torch.tensor([[11], [20]])).long()
    with torch.no_grad():
        own = ours(tokens(), segments=segments, hidden_states=True)
        other = theirs(tokens(), token_type_ids=segments, output_hidden_states=True)
        without = ours(tokens()).last
        scores = ours.pooler(own.last)
    for state, expected in zip(own.states, other.hidden_states, strict=True):
        assert error(state, expected) < tolerance
    assert error(scores, other.seq_relationship_logits) < tolerance
    assert error(own.last, without) > 0.1


def padded(batch, there, pad):
    """The batch with `pad` where nothing is."""
    return torch.where(there, batch, pad)


@pytest.mark.column("batch invariance")
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", ["bert", "roberta", "bart", "t5", "t5_1_1", "transformer"])
def test_padded_sources_equal_transformers(pairs, family, side):
    ours, spec, theirs = pairs(family)
    places = torch.arange(29)
    lengths = torch.tensor([[20], [29]])
    there = places < lengths if side == "right" else places >= 29 - lengths
    source = padded(tokens(), there, theirs.config.pad_token_id)
    mask = masks.padding(lengths[:, 0]) if side == "right" else masks.present(there)
    given = inputs(spec)
    with torch.no_grad():
        other = theirs_of(theirs, source, *given[1:], attention_mask=there.long())
        if spec.encoder is None:
            own = ours_of(ours, source, mask=mask)
            assert error(own.logits[there], other.logits[there]) < 1e-5
        else:
            own = ours_of(ours, Source(source, mask=mask), given[1])
            assert error(own.logits, other.logits) < 1e-5


@pytest.mark.column("batch invariance")
@pytest.mark.parametrize("family", [
    f for f in ORACLES if f not in (*SOURCES, "bert", "roberta", "xlnet")
])  # fmt: skip
def test_left_padded_rows_equal_transformers(pairs, family):
    """Given the positions, which transformers' classes do not all make themselves."""
    ours, _, theirs = pairs(family)
    starts = torch.tensor([9, 0])
    there = torch.arange(29) >= starts[:, None]
    rows = padded(tokens(), there, 0)
    positions = ours.reading.positions(rows, starts)
    with torch.no_grad():
        hidden = ours(rows, positions=positions, mask=ours.reading.mask(rows, starts))
        other = theirs(rows, attention_mask=there.long(), position_ids=positions)
    assert error(ours.logits(hidden.last)[there], other.logits[there]) < 1e-5


@pytest.mark.column("hidden states")
@pytest.mark.parametrize("family", ["roberta"])
def test_positions_are_read_off_the_ids(pairs, family):
    """Padding stands at row 1 wherever it is, the first token of the text at row 2."""
    network = pairs(family).ours
    rows = torch.tensor([[0, 5, 6, 2, 1, 1], [1, 1, 0, 5, 6, 2]])
    found = network.reading.positions(rows) + network.embedding.positions.offset
    assert found.tolist() == [[2, 3, 4, 5, 1, 1], [1, 1, 2, 3, 4, 5]]


ENCODER = {0: 0, 7: 7, 8: 8, 11: 8, 12: 9, 16: 10, 23: 11, 32: 12, 46: 13, 64: 14, 91: 15, 500: 15}
DECODER = {
    0: 0, 1: 1, 15: 15, 16: 16, 18: 16, 19: 17, 20: 17, 21: 18, 32: 21, 64: 26, 112: 30, 113: 31,
    900: 31,
}  # fmt: skip


@pytest.mark.parametrize("family", ["t5", "t5_1_1"])
def test_buckets_of_distances_are_those_of_the_released_code(pairs, family):
    """Anchors read off the released code: a flipped sign or the other stack's table shows."""
    network = pairs(family).ours
    back = torch.tensor([*ENCODER])
    assert network.encoder.bias.buckets(-back).tolist() == [*ENCODER.values()]
    ahead = torch.tensor([1, 8, 91, 500])
    assert network.encoder.bias.buckets(ahead).tolist() == [17, 24, 31, 31]
    assert network.decoder.bias.buckets(-torch.tensor([*DECODER])).tolist() == [*DECODER.values()]
    assert network.decoder.bias.buckets(ahead).tolist() == [0, 0, 0, 0]


@pytest.mark.column("mask property")
@kernels
@pytest.mark.parametrize(
    ("banded", "width"),
    [
        pytest.param((False, True), 5, id="gpt3-dense, band"),
        pytest.param((True, False), 8, id="gpt3-band, dense"),
        pytest.param((False, True, True), 1, id="gpt3-dense, band, band"),
        pytest.param((False,), 5, id="gpt3-dense"),
    ],
)
def test_each_layer_sees_exactly_its_band(banded, width, gradient):
    """One token at a time is changed at a layer's input; where the output changes is the band."""
    length, layers = 13, 4
    spec = spec_for(
        "gpt3", n_layers=layers, d_model=24, n_heads=3, vocab_size=50, max_length=length,
        band=width, banded=banded,
    )  # fmt: skip
    network = build_network(spec).double().eval()
    redraw(network)
    same = torch.randn(1, length, 24, dtype=torch.float64).expand(length + 1, -1, -1).clone()
    changed = same.clone()
    changed[range(length), range(length)] += torch.randn(length, 24, dtype=torch.float64)
    distance = torch.arange(length)[None, :] - torch.arange(length)[:, None]
    with torch.set_grad_enabled(gradient):
        for number, block in enumerate(network.blocks):
            context = Context(masks.causal(), 0, torch.arange(length)[None], new=length)
            y = block(changed, context, None)
            reached = (y[:length] - y[length]).abs().amax(-1) > 1e-9
            reach = width if banded[number % len(banded)] else length
            assert torch.equal(reached, (distance >= 0) & (distance < reach)), number


@families
def test_a_tied_head_is_the_token_table_itself(folders, family):
    ours, spec, _ = pair(family, torch.float64, folders)
    hidden = torch.randn(3, spec.d_model, dtype=torch.float64)
    given = [batch.clone() for batch in inputs(spec)]
    for batch in given:
        batch[0, 5] = 7
    before, states = ours.logits(hidden), ours_of(ours, *given).states
    with torch.no_grad():
        ours.embedding.tokens.weight[7] += 1.0
    change = ours.logits(hidden) - before
    tied = not isinstance(spec.head, UntiedHead)
    assert change[:, 7].abs().min() > 1e-6 if tied else not change.any()
    assert not torch.cat([change[:, :7], change[:, 8:]], 1).any()
    if isinstance(spec.head, TiedHead):
        torch.testing.assert_close(change[:, 7], spec.head.scale * hidden.sum(1))
    assert ("head.weight" in dict(ours.named_parameters())) != tied
    # The one table serves the source and the target.
    after = ours_of(ours, *given).states
    first = [0, spec.encoder.n_layers + 1] if spec.encoder else [0]
    for number, batch in zip(first, given, strict=True):
        moved = (after[number] != states[number]).any(-1)
        assert torch.equal(moved, batch == 7)


@pytest.mark.parametrize("family", ["palm", "t5"])
def test_logits_are_divided_by_the_root_of_the_width(pairs, family):
    spec = pairs(family).spec
    assert spec.head.scale == pytest.approx(1 / math.sqrt(spec.d_model))
