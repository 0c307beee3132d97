"""Published sizes, counted three ways; and how fresh weights are drawn, counted in samples."""

import re

import pytest
import torch
import transformers
from shapes import shaped

from hornbook.checkpoints.hf_config import config_from_spec
from hornbook.models import FAMILIES
from hornbook.models.build import build_network, empty_network, trim
from hornbook.models.count import parameters
from hornbook.models.families import family as family_module
from hornbook.models.families import spec_for
from hornbook.models.paths import put

SIZES = [(name, size) for name in FAMILIES for size in family_module(name).SIZES]
sizes = pytest.mark.parametrize(("family", "size"), SIZES, ids=[f"{f}-{s}" for f, s in SIZES])


@sizes
def test_a_published_size_is_exact(family, size):
    """By formula, and as the network is built."""
    spec = spec_for(f"{family}/{size}")
    network = empty_network(spec, "meta")
    held = sum(p.numel() for p in trim(network, dict(network.named_parameters())).values())
    assert parameters(spec)["total"] == held == family_module(family).SIZES[size].parameters


@sizes
def test_a_published_size_is_about_what_its_paper_prints(family, size):
    """Papers round, and leave out tables of positions or biases: within 7 percent."""
    published = family_module(family).SIZES[size]
    printed = re.fullmatch(r"([\d.]+)([MB])", published.paper)
    if not printed:
        assert published.paper == ""
        assert published.source
        return
    count = float(printed[1]) * {"M": 1e6, "B": 1e9}[printed[2]]
    assert published.parameters == pytest.approx(count, rel=0.07)


CLASSES = [
    (family, size) for family, size in SIZES if hasattr(family_module(family), "HUGGING_FACE")
]


def their_model(family, spec):
    """Transformers' model of a spec, without weights.

    GPT-3's published sizes have biases everywhere, which only GPT-2's class has; bands have none.
    """
    layout, name = family_module(family).HUGGING_FACE, ""
    if family == "gpt3":
        name, config = (
            "GPT2LMHeadModel",
            transformers.GPT2Config(
                vocab_size=spec.vocab_size,
                n_positions=spec.max_length,
                n_embd=spec.d_model,
                n_layer=spec.n_layers,
                n_head=spec.stack.blocks[0].attention.n_heads,
            ),
        )
    else:
        if family == "transformer":  # Marian's sinusoids stand in another order
            spec = put(spec, ["embedding", "positions", "layout"], "halves")
        config = transformers.AutoConfig.for_model(**config_from_spec(layout, spec))
    with torch.device("meta"):
        return getattr(transformers, name or layout.architecture)._from_config(config)


@pytest.mark.parametrize(("family", "size"), CLASSES, ids=[f"{f}-{s}" for f, s in CLASSES])
def test_a_published_size_is_as_large_as_transformers_makes_it(family, size):
    spec, published = spec_for(f"{family}/{size}"), family_module(family).SIZES[size]
    model = their_model(family, spec)
    count = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if family == "t5_1_1":  # a fresh T5 ties its head, whatever its config says
        count += spec.vocab_size * spec.d_model
    assert count == published.parameters
    if published.released:
        bare = sum(parameter.numel() for parameter in model.base_model.parameters())
        assert bare == published.released


SHAPE = {
    "d_model": 96, "n_layers": 3, "n_heads": 4, "d_head": 32, "d_ff": 200, "vocab_size": 500,
    "max_length": 64,
}  # fmt: skip
D, INNER, D_FF = 96, 4 * 32, 200
"""Width, heads together, inner width."""

SMALL = dict.fromkeys(
    ("tokens", "positions", "query", "key", "value", "out", "up", "down", "head"), 0.02
)
DEEP = {**SMALL, "out": 0.02 / 6**0.5, "down": 0.02 / 6**0.5}
# What is left of a deviation of 1 if all beyond 2 is drawn again: 0.8796.
CUT = dict.fromkeys(SMALL, 0.02 * 0.8796)
T5 = {
    "tokens": 1.0, "positions": D**-0.5, "query": (D * 32) ** -0.5, "key": D**-0.5,
    "value": D**-0.5, "out": INNER**-0.5, "up": D**-0.5, "down": D_FF**-0.5, "head": D**-0.5,
}  # fmt: skip
PALM = {**T5, "query": D**-0.5}
XAVIER = {
    "tokens": D**-0.5,
    **dict.fromkeys(("query", "key", "value", "out"), (2 / (D + INNER)) ** 0.5),
    **dict.fromkeys(("up", "down"), (2 / (D + D_FF)) ** 0.5),
}
# An output layer of its own, so that the states may have another width than the tokens.
D_HIDDEN = 80
RECURRENT = {"tokens": 0.1, "input": (3 * D_HIDDEN) ** -0.5, "state": (3 * D_HIDDEN) ** -0.5}
RECURRENT["head"] = RECURRENT["input"]
MAPS = ("input", "state", "map", "of source", "of both", "readout", "head")
BAHDANAU = {
    "tokens": 0.1, **dict.fromkeys(("input", "state", "map", "head"), D**-0.5),
    "of source": (2 * D) ** -0.5, "of both": (3 * D) ** -0.5, "readout": (4 * D) ** -0.5,
}  # fmt: skip
TWO_WAY = {"tokens": 0.1, **dict.fromkeys(("input", "state", "head"), (3 * D) ** -0.5)}
OTHER = {
    "nplm": {"d_hidden": D_HIDDEN, "order": 4},
    **{name: {"d_hidden": D_HIDDEN, "tied": False} for name in ("rnn", "lstm", "gru")},
    "bilm": {"tied": False},
    "bahdanau": {"d_hidden": D, "d_readout": D},
}
DRAWN = {
    "nplm": {"tokens": 1.0, "input": (3 * D) ** -0.5, "head": (D_HIDDEN + 3 * D) ** -0.5},
    "rnn": RECURRENT, "lstm": RECURRENT, "gru": RECURRENT, "bilm": TWO_WAY,
    "seq2seq": {"tokens": 0.08, **dict.fromkeys(MAPS, 0.08 / 3**0.5)},
    "luong": {"tokens": 0.1, **dict.fromkeys(MAPS, 0.1 / 3**0.5)}, "bahdanau": BAHDANAU,
    "transformer": XAVIER, "gpt1": SMALL, "gpt2": DEEP, "gpt3": DEEP, "bert": CUT, "roberta": CUT,
    "xlnet": SMALL, "bart": SMALL, "t5": T5, "t5_1_1": T5, "glm": DEEP, "chatglm": SMALL,
    "chatglm2": SMALL, "llama": SMALL, "llama2": SMALL, "mixtral": SMALL, "qwen3": SMALL,
    "palm": PALM,
}  # fmt: skip
CUT_SHORT = {
    **dict.fromkeys((name for name, drawn in DRAWN.items() if drawn is CUT), CUT),
    **dict.fromkeys(("rnn", "lstm", "gru", "bilm", "seq2seq", "luong"), MAPS),
}  # fmt: skip
"""Roles whose draws end within 2.5 deviations: normal ones cut at 2, and uniform ones."""
ROLES = {
    r"decoder\.blocks\.\d\.cell\.weight_ih_l0": "of both",
    r".*\.hidden\.weight|.*\.cells?\.(\d+\.)?weight_ih_.*": "input",
    r".*\.cells?\.(\d+\.)?weight_hh_.*": "state",
    r".*\.scores\.source\.weight": "of source",
    r".*\.readout\.weight": "readout",
    r".*\.(scores|place)\..*\.weight|.*\.(mix|initial)\.weight": "map",
    r"embedding\.tokens\.weight|query": "tokens",
    r".*\.(positions|segments)\.(weight|block)|(en|de)coder\.bias\.weight": "positions",
    r".*\.(content|distance|segment)_bias|.*\.segment_table": "positions",
    r".*\.(attention|cross)\.out\.weight": "out",
    r".*feedforward\.up(\.weight)?|.*\.router\.weight|.*\.relative\.weight": "up",
    r"head\.dense\.weight|pooler\..*\.weight": "up",
    r".*feedforward\.down(\.weight)?": "down",
    r".*\.cross\.query\.weight": "query",
    r"head\.weight": "head",
}


def samples_of(network):
    """Role to all numbers drawn for it, and the names of what is not drawn."""
    drawn, rest = {}, []
    for name, parameter in trim(network, dict(network.named_parameters())).items():
        roles = [role for pattern, role in ROLES.items() if re.fullmatch(pattern, name)]
        parts = {roles[0]: parameter} if roles else {}
        if name.endswith(("attention.qkv.weight", "cross.kv.weight")):
            shared = (len(parameter) - (INNER if "qkv" in name else 0)) // 2
            parts = {"key": parameter[-2 * shared : -shared], "value": parameter[-shared:]}
            if "qkv" in name:
                parts["query"] = parameter[:INNER]
        elif not roles:
            rest.append((name, parameter))
        for role, part in parts.items():
            drawn.setdefault(role, []).append(part.flatten())
    return {role: torch.cat(parts) for role, parts in drawn.items()}, rest


@pytest.mark.parametrize("family", DRAWN)
def test_fresh_weights_have_the_deviation_of_their_role(family):
    network = build_network(shaped(family, SHAPE, **OTHER.get(family, {})), seed=1)
    drawn, rest = samples_of(network)
    assert DRAWN[family].keys() - drawn.keys() <= {"positions", *MAPS}
    for role, numbers in drawn.items():
        deviation, n = DRAWN[family][role], len(numbers)
        assert numbers.std().item() == pytest.approx(deviation, rel=5 / (2 * n) ** 0.5), role
        assert abs(numbers.mean().item()) < 5 * deviation / n**0.5, role
        if n > 10_000:
            beyond = numbers.abs().max() > 2.5 * deviation
            assert beyond == (role not in CUT_SHORT.get(family, ())), role
    for name, parameter in rest:
        gain = name.endswith("norm.weight")
        assert gain or name.endswith("bias") or ".cell" in name, name
        expected = torch.full((len(parameter),), float(gain))
        cell = network.get_submodule(name.rpartition(".")[0])
        if isinstance(cell, torch.nn.LSTM) and "bias_hh" in name:
            expected[cell.hidden_size : 2 * cell.hidden_size] = 1.0  # the forget gate
        assert torch.equal(parameter, expected.expand_as(parameter)), name
    assert not network.embedding.tokens.weight[500:].any()


def test_every_family_that_is_built_is_drawn_here():
    networks = {name for name in FAMILIES if hasattr(family_module(name), "spec")}
    assert networks == DRAWN.keys()
