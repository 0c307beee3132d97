"""Specs: the rules for what is unset, one clear error for the impossible, JSON and back."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hornbook
from hornbook.errors import SpecError
from hornbook.models import FAMILIES
from hornbook.models.build import build_network, fill, trim
from hornbook.models.count import parameters
from hornbook.models.families import family, spec_for
from hornbook.models.options import ModelOptions
from hornbook.models.paths import put
from hornbook.models.spec import resolve_heads, spec_from_dict, spec_to_dict


@pytest.mark.parametrize(
    ("given_numbers", "heads"),
    [
        ({"d_model": 768}, (12, 12, 64)),
        ({"d_model": 128}, (2, 2, 64)),
        ({"d_model": 48}, (1, 1, 48)),
        ({"d_model": 100}, (1, 1, 100)),
        ({"d_model": 96, "n_heads": 6}, (6, 6, 16)),
        ({"d_model": 96, "n_heads": 5, "d_head": 7}, (5, 5, 7)),
        ({"d_model": 96, "n_heads": 6, "n_kv_heads": 2}, (6, 2, 16)),
    ],
)
def test_heads_left_unset(given_numbers, heads):
    assert resolve_heads(**given_numbers) == heads


def test_the_family_fills_in_what_is_unset():
    spec = spec_for("gpt2")
    assert (spec.d_model, spec.n_layers, spec.max_length, spec.vocab_size) == (768, 12, 1024, 50257)
    assert spec.stack.blocks[0].feedforward.d_ff == 3072
    assert spec.stack.blocks[0].attention.n_heads == 12
    assert spec.padded_vocab == 50304
    assert spec_for("gpt2", vocab_size=64).padded_vocab == 64
    assert spec_for("gpt2", vocab_size=65).padded_vocab == 128


@pytest.mark.parametrize(
    ("name", "dimensions", "said"),
    [
        ("gpt2", {"d_model": 100, "n_heads": 3}, "n_heads = 3 does not divide d_model = 100"),
        ("gpt2", {"d_model": 200}, "n_heads = 3 does not divide d_model = 200"),
        ("gpt2", {"n_layers": 0}, "gpt2's n_layers is 0"),
        ("t5", {"d_model": -1}, "t5's d_model is -1"),
        ("gpt2", {"n_layers": 2.5}, "Stack.n_layers is 2.5"),
        ("gpt2", {"vocab_size": True}, "Spec.vocab_size is True"),
        ("gpt2", {"d_model": 0}, "d_model is 0"),
        ("gpt2", {"n_heads": -2}, "gpt2's n_heads is -2"),
        ("gpt2", {"dropout": 1.0}, "0 <= rate < 1"),
        ("gpt2", {"layers": 3}, "did you mean 'n_layers'"),
        (
            "llama2",
            {"d_model": 96, "n_heads": 6, "n_kv_heads": 4},
            "n_kv_heads = 4 does not divide n_heads = 6",
        ),
        ("llama", {"d_model": 100, "n_heads": 20}, "Heads of 5 cannot turn in pairs"),
        ("chatglm", {"d_model": 36, "n_heads": 6}, "take a d_head that 4 divides"),
        ("gpt3", {"band": -1}, "gpt3's band is -1"),
        ("transformer", {"d_model": 63, "n_heads": 3}, "d_model = 63 is odd"),
        ("mixtral", {"n_experts": 2, "n_active": 3}, "n_active = 3 is more than n_experts = 2"),
        ("bert", {"segments": 2.5}, "Embedding.segments"),
        ("gtp2", {}, "did you mean 'gpt2'"),
        ("gpt2/124M", {}, "did you mean '124m'"),
    ],
)
def test_the_impossible_is_refused_in_one_sentence(name, dimensions, said):
    with pytest.raises(SpecError) as caught:
        spec_for(name, **dimensions)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("stack.n_layers", 0, "Stack.n_layers is 0"),
        ("stack.blocks.*.attention.band", -1, "Attention.band is -1"),
    ],
)
def test_parts_refuse_it_too(path, value, said):
    """Of a spec that was not made by its family's arguments."""
    with pytest.raises(SpecError, match=said):
        put(spec_for("gpt2"), path.split("."), value)


def test_heads_are_not_negative():
    with pytest.raises(SpecError, match="negative"):
        resolve_heads(64, -2)


@pytest.mark.parametrize("stack", ["stack", "encoder"])
def test_a_band_without_a_causal_reading_is_refused(stack):
    spec = spec_for("bert" if stack == "stack" else "t5")
    with pytest.raises(SpecError, match="band = 4 needs a stack that reads causally"):
        put(spec, f"{stack}.blocks.*.attention.band".split("."), 4)


@pytest.mark.parametrize("family_name", FAMILIES)
def test_every_family_goes_to_json_and_back(family_name):
    spec = spec_for(family_name)
    assert spec_from_dict(json.loads(json.dumps(spec_to_dict(spec)))) == spec


def test_shared_layers_have_one_set_of_weights():
    """As many layers as before, weights of one; the same as layers that hold equal weights."""
    sizes = {"vocab_size": 50, "d_model": 32, "n_layers": 3, "n_heads": 2, "dropout": 0.0}
    apart = spec_for("bert", **sizes)
    shared = put(apart, ["stack", "shared"], True)
    one, three = build_network(shared).eval(), build_network(apart).eval()
    assert len(one.blocks) == 1
    weights = dict(one.state_dict())
    for name in three.state_dict():
        first = re.sub(r"^blocks\.\d+", "blocks.0", name)
        weights[name] = one.state_dict()[first]
    fill(three, weights)
    tokens = torch.arange(20).view(2, 10)
    assert torch.equal(one(tokens).last, three(tokens).last)
    held = sum(p.numel() for p in trim(one, dict(one.named_parameters())).values())
    assert parameters(shared)["total"] == held


@settings(deadline=None, max_examples=30)
@given(
    n_layers=st.integers(1, 9),
    n_heads=st.integers(1, 9),
    d_head=st.integers(1, 65),
    vocab_size=st.integers(1, 999),
    dropout=st.floats(0, 0.99),
)
def test_json_and_back(n_layers, n_heads, d_head, vocab_size, dropout):
    spec = spec_for(
        "gpt2",
        n_layers=n_layers,
        n_heads=n_heads,
        d_head=d_head,
        vocab_size=vocab_size,
        dropout=dropout,
    )
    assert spec_from_dict(json.loads(json.dumps(spec_to_dict(spec)))) == spec


def test_a_stored_spec_with_an_unknown_part_or_field_is_refused():
    stored = spec_to_dict(spec_for("gpt2"))
    stored["stack"]["blocks"][0]["norm"]["part"] = "BatchNorm"
    with pytest.raises(SpecError, match="BatchNorm"):
        spec_from_dict(stored)
    stored = spec_to_dict(spec_for("gpt2"))
    stored["colour"] = "blue"
    with pytest.raises(SpecError, match="colour"):
        spec_from_dict(stored)


def test_options_name_a_spec():
    assert ModelOptions().spec(50257) == spec_for("gpt2", dropout=0.0)
    assert ModelOptions(size="355m", dropout=0.1).spec(50257) == spec_for("gpt2/355m")
    options = ModelOptions(n_layers=2, d_model=128, max_length=64)
    assert options.spec(999) == spec_for(
        "gpt2", n_layers=2, d_model=128, max_length=64, vocab_size=999, dropout=0.0
    )


@pytest.mark.parametrize("family_name", FAMILIES)
def test_a_family_file_is_short_and_its_spec_at_most_30_lines(family_name):
    text = Path(family(family_name).__file__).read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    returned = [node.body[-1] for node in functions if node.name in ("spec", "assemble")]
    assert returned
    assert all(node.end_lineno - node.lineno + 1 <= 30 for node in returned)


def test_nothing_outside_the_families_knows_their_names():
    """Behaviour is made of parts: no other code compares with a family's name."""
    package = Path(hornbook.__file__).parent
    named = re.compile(rf"""[!=]=\s*["']({"|".join(FAMILIES)})["']|spec\.family\s*(in|[!=]=)""")
    guilty = [
        f"{path.relative_to(package)}:{number}"
        for path in package.rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if path.parent.name != "families" and named.search(line)
    ]
    assert guilty == []


def test_specs_and_families_need_no_torch():
    code = (
        "import sys; import hornbook.models.options, hornbook.models.count, hornbook.handle; "
        "from hornbook.models.families import spec_for; spec_for('gpt2/124m'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
