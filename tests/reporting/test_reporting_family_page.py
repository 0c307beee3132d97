"""The page about a family: its numbers are those of the counts and of a network that is built."""

import re

import pytest
from shapes import shaped

from hornbook.models import FAMILIES
from hornbook.models.build import build_network
from hornbook.models.count import cache_bytes, flops_per_token, parameters
from hornbook.models.families import family, spec_for
from hornbook.models.paths import put
from hornbook.models.spec import expected_first_loss
from hornbook.reporting.ancestry import differences, line_of, spec_differences
from hornbook.reporting.drawn_weights import drawn_weights
from hornbook.reporting.families_compared import families_compared, generates
from hornbook.reporting.family_page import KV_HEADS, family_page, tree
from hornbook.reporting.terminal import Table, shown

SMALL = {
    "default": {"vocab_size": 640, "max_length": 64, "d_model": 128, "n_layers": 2},
    "qwen3": {"n_heads": 4, "d_head": 32},
    "mixtral": {"d_ff": 192},
    "t5": {"n_heads": 4, "d_head": 16},
    "t5_1_1": {"n_heads": 4, "d_head": 16},
}


def page(name: str, **dimensions) -> str:
    return shown(family_page(name, dimensions))


def table(name: str, title: str) -> Table:
    parts = family_page(name, {})
    return next(part for part in parts if isinstance(part, Table) and part.title.startswith(title))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_page_has_the_numbers_of_the_counts(name):
    spec, text = spec_for(name), page(name)
    for part, count in parameters(spec).items():
        assert re.search(rf"^ {part} +{count:,} ", text, re.MULTILINE), part
    flops = flops_per_token(spec, spec.max_length) / 1e6
    assert f"{flops:,.1f} MFLOP" in text
    loss = expected_first_loss(spec)
    assert "nats" not in text if loss is None else f"{loss:.3f} nats" in text
    for size, published in family(name).SIZES.items():
        assert re.search(rf"^ {name}/{re.escape(size)} .* {published.parameters:,}", text, re.M)
        assert published.paper in text
        assert published.source in text
        assert published.released is None or f"{published.released:,}" in text
    for line in family(name).DIFFERENCES:
        assert line in text.replace("\n", " ")


@pytest.mark.parametrize("name", [name for name in FAMILIES if generates(spec_for(name))])
def test_the_cache_is_shown_beside_its_variants_and_marks_this_model(name):
    spec = spec_for(name)
    if spec.carries_state:
        assert cache_bytes(spec) == 0
        assert "generation remembers no more after many tokens than after one" in page(name)
        return
    rows = table(name, "Cache").rows
    own = next(row for row in rows if row[-1])
    assert own[1:3] == tuple(f"{cache_bytes(spec, p):,}" for p in ("bfloat16", "float32"))
    for row in rows:
        heads = re.search(r"(\d+) key-value", row[0])
        if heads:
            variant = put(spec, KV_HEADS, int(heads[1]))
            assert row[1] == f"{cache_bytes(variant, 'bfloat16'):,}"
    assert len(rows) == (1 if name in ("xlnet", "nplm") else 3)


def test_a_grouped_model_is_shown_with_its_own_groups():
    kinds = [(row[0].partition(":")[0], row[0], row[-1]) for row in table("mixtral", "Cache").rows]
    assert [kind for kind, _, _ in kinds] == ["multi-head", "grouped-query", "multi-query"]
    assert kinds[1][1].endswith("8 key-value heads")
    assert [bool(mark) for *_, mark in kinds] == [False, True, False]
    assert "generates none" in page("bert")


def test_the_source_of_an_encoder_is_remembered_too():
    assert "of each token of the source 12,288 bytes" in page("t5")  # 2 x 6 x 8 x 64 numbers of 2


@pytest.mark.parametrize("name", FAMILIES)
def test_fresh_weights_have_the_deviations_that_are_shown(name):
    spec = shaped(name, SMALL["default"], **SMALL.get(name, {}))
    network = build_network(spec)
    said: dict[str, set[float]] = {}
    for row in drawn_weights(spec):
        said.setdefault(row.role, set()).add(row.std)
    met: dict[str, set[float]] = {}
    for module in network.modules():
        for own, parameter in module.named_parameters(recurse=False):
            roles = module.roles[own]
            rows = spec.vocab_size if own in getattr(module, "rows_are_tokens", ()) else None
            given = ((roles, len(parameter)),) if isinstance(roles, str) else roles
            parts = parameter.detach().split([count for _, count in given])
            for (role, _), part in zip(given, parts, strict=True):
                if role in ("gain", "bias"):
                    continue
                kept = role if getattr(spec.initialisation, role, None) is not None else "matrix"
                real = float(part[:rows].std())
                near = min(said[kept], key=lambda std: abs(std - real))
                chance = 5 / (2 * part.numel()) ** 0.5  # five deviations of a deviation
                assert near == pytest.approx(real, rel=chance + 0.01), (role, own)
                met.setdefault(kept, set()).add(near)
    assert met == said


def test_a_truncated_rule_is_shown_with_what_is_left_of_it():
    assert {round(row.std, 5) for row in drawn_weights(spec_for("bert"))} == {0.01759}
    queries = next(row for row in drawn_weights(spec_for("t5")) if row.role == "query")
    assert queries.std == pytest.approx((512 * 64) ** -0.5)
    residual = {row.maps: row.std for row in drawn_weights(spec_for("gpt2/355m"))}
    assert residual["attention's output", "feed-forward's output"] == pytest.approx(0.02 / 48**0.5)


def test_lines_of_ancestors():
    assert line_of("gpt3") == ("transformer", "gpt1", "gpt2", "gpt3")
    assert line_of("chatglm2")[-3:] == ("glm", "chatglm", "chatglm2")
    assert line_of("transformer") == ("transformer",)
    assert differences("transformer") == ()
    assert "transformer → gpt1 → gpt2 → gpt3" in page("gpt3")
    for name in FAMILIES:
        assert line_of(name)[0] in ("transformer", "nplm")


def test_differences_are_the_fields_that_differ():
    assert differences("gpt3") == (
        ("max_length", "1,024", "2,048"),
        ("stack.blocks", "one kind", "2 in turn"),
        ("stack.blocks.2.attention.band", "0", "256"),
    )
    llama2 = {path: (before, now) for path, before, now in differences("llama2")}
    assert llama2 == {
        "max_length": ("2,048", "4,096"),
        "stack.blocks.norm.eps": ("1e-06", "1e-05"),
        "stack.final_norm.eps": ("1e-06", "1e-05"),
    }
    gpt2 = {path: (before, now) for path, before, now in differences("gpt2")}
    assert gpt2["stack.blocks"] == ("PostNormBlock", "PreNormBlock")
    assert gpt2["stack.final_norm"] == ("none", "LayerNorm")
    assert not any(path.startswith("stack.final_norm.") for path in gpt2)
    assert gpt2["vocab_size"] == ("40,478", "50,257")
    assert spec_differences(spec_for("t5"), spec_for("t5")) == ()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_tree_has_every_part_of_the_spec(name):
    text = tree(spec_for(name))
    assert "{" not in text
    assert text.count("d_head = ") == repr(spec_for(name)).count("d_head=")
    assert text.count("eps = ") == repr(spec_for(name)).count("eps=")


def test_families_side_by_side():
    names = ("gpt2", "llama/13b", "palm", "bert", "t5", "xlnet", "mixtral")
    (compared,) = families_compared(names, {})
    assert compared.heads == ("", *names)
    rows = {row[0]: row[1:] for row in compared.rows}
    specs = [spec_for(name) for name in names]
    counted = tuple(f"{parameters(spec)['total']:,}" for spec in specs)
    assert rows["parameters"] == counted
    for precision in ("bfloat16", "float32"):
        bytes_ = [f"{cache_bytes(spec, precision):,}" for spec in specs]
        bytes_[names.index("bert")] = "none"
        assert rows[f"cache bytes a token, {precision}"] == tuple(bytes_)
    flops = tuple(f"{flops_per_token(spec, spec.max_length) / 1e6:,.1f}" for spec in specs)
    assert rows["training MFLOP a token at its context"] == flops
    short = tuple(f"{flops_per_token(spec, 512) / 1e6:,.1f}" for spec in specs)
    assert rows["training MFLOP a token at 512"] == short
    assert rows["norm"][:3] == ("LayerNorm", "RMSNorm", "LayerNorm without bias")
    assert rows["its place"][3] == "after each sum"
    assert rows["heads / key-value / width"][1:3] == ("40 / 40 / 128", "16 / 1 / 256")
    assert rows["tied to the token table"][:2] == ("yes", "no")
    assert rows["scores times"][4] == "none"
    assert rows["positions"][4:6] == ("32 buckets of distance", "distances in attention")
    assert rows["gate"][6] == "yes; 2 of 8 experts"
    assert rows["layers"][4] == "6 + 6"
    assert rows["biases"][:2] == ("all maps", "none")


def test_one_set_of_dimensions_for_all_that_are_compared():
    numbers = {"d_model": 128, "n_layers": 3, "vocab_size": 1000}
    (compared,) = families_compared(("gpt2", "llama"), numbers)
    rows = {row[0]: row[1:] for row in compared.rows}
    assert rows["layers"] == ("3", "3")
    assert rows["vocabulary"] == ("1,000", "1,000")
