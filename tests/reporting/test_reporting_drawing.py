"""Drawings of models: what stands above what, what joins what, and that every family has one."""

import re

import pytest

from hornbook.models import FAMILIES
from hornbook.models.families import family, spec_for
from hornbook.models.paths import put
from hornbook.models.recurrences import ResidualRecurrence, TwoWayReading
from hornbook.reporting.canvas import Canvas
from hornbook.reporting.drawing import draw, legend

EVERY = [
    name for own in FAMILIES for name in (own, *(f"{own}/{size}" for size in family(own).SIZES))
]


def rows(name: str, **dimensions) -> list[str]:
    """The drawing's lines in the order of reading: from the bottom up."""
    return draw(spec_for(name, **dimensions)).splitlines()[::-1]


def places(lines: list[str], word: str) -> list[int]:
    """Where a word stands, from the bottom up."""
    return [place for place, line in enumerate(lines) if word in line]


@pytest.mark.parametrize("name", EVERY)
def test_every_model_is_drawn_from_tokens_to_logits_within_80_columns(name):
    spec, lines = spec_for(name), rows(name)
    assert max(map(len, lines)) <= 80
    assert any(word in lines[0] for word in ("tokens", "source", "stream"))
    assert f"logits of {spec.vocab_size:,} tokens" in lines[-1]
    assert "token vectors" in "".join(lines[1:7])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_drawing_has_every_norm_sum_and_layer_of_the_spec(name):
    spec, text = spec_for(name), draw(spec_for(name))
    stacks = [spec.stack, *([spec.encoder] if spec.encoder else [])]
    two_ways = isinstance(spec.reading, TwoWayReading)
    if "stream" in text or two_ways:
        stacks *= 2
    norms = sums = 0
    for stack in stacks:
        norms += stack.final_norm is not None
        for block in stack.blocks:
            parallel = type(block).__name__ == "ParallelBlock"
            sublayers = 1 if parallel else 2 + (getattr(block, "cross", None) is not None)
            sublayers *= hasattr(block, "attention")  # recurrent layers have neither
            residual = isinstance(block, ResidualRecurrence)
            norms, sums = norms + sublayers, sums + sublayers + residual
    assert len(re.findall(r"│ (?:Layer|RMS)Norm, eps", text)) == norms
    assert text.count("⊕◀") == sums
    for stack in stacks:
        several = f"{stack.n_layers} layer{'s' if stack.n_layers > 1 else ''} " in text
        assert several or "layers 1, 3 …" in text or (two_ways and " layer 2 " in text)


def test_the_norm_stands_before_attention_in_llama():
    lines = rows("llama")
    branch, norm = places(lines, "├──")[0], places(lines, "RMSNorm")[0]
    attention, total = places(lines, "attention: causal")[0], places(lines, "⊕")[0]
    assert branch < norm < attention < total


def test_the_norm_stands_after_the_sum_in_bert():
    lines = rows("bert")
    branch, norm = places(lines, "├──")[0], places(lines, "│ LayerNorm")[0]
    attention, total = places(lines, "attention: sees all")[0], places(lines, "⊕")[0]
    assert branch < attention < total < norm
    assert "map to 2 classes" in "\n".join(lines)


def test_the_residual_is_taken_from_the_normed_input_in_chatglm():
    lines = rows("chatglm")
    norm, branch = places(lines, "│ LayerNorm")[0], places(lines, "├──")[0]
    attention, total = places(lines, "attention:")[0], places(lines, "⊕")[0]
    assert norm < branch < attention < total
    assert "× 7.48" in lines[total]  # sqrt(2 x 28)


def test_both_sublayers_stand_side_by_side_in_palm():
    lines = rows("palm")
    assert places(lines, "attention: causal") == places(lines, "gated feed-forward")
    assert len(places(lines, "⊕")) == 1
    assert places(lines, "LayerNorm")[0] < places(lines, "attention")[0]


def test_alternating_layers_are_drawn_as_such_in_gpt3():
    lines = rows("gpt3")
    first, second = places(lines, "layers 1, 3 … 11")[0], places(lines, "layers 2, 4 … 12")[0]
    assert first < places(lines, "a band of 256 tokens")[0] < second
    assert "take turns" in " ".join(legend(spec_for("gpt3")))
    assert places(rows("gpt3", n_layers=3), "layers 1, 3 ")
    assert not places(rows("gpt3", n_layers=1), "band")


@pytest.mark.parametrize("name", ["transformer", "bart", "t5", "t5_1_1"])
def test_the_encoder_stands_beside_the_decoder_and_is_read_by_cross_attention(name):
    lines = rows(name)
    assert lines[0].index("source") < lines[0].index("target")
    assert places(lines, "sees all") == places(lines, "attention: causal")
    reading = [line for line in lines if "▶" in line]
    assert len(reading) == 1
    cross = places(lines, "cross-attention")[0]
    assert abs(places(lines, "▶")[0] - cross) <= 1
    assert places(lines, "attention: causal")[0] < cross


def test_both_streams_of_xlnet_are_named_and_the_right_one_reads_the_left():
    lines = rows("xlnet")
    assert lines[0].index("content stream") < lines[0].index("query stream")
    arrow = next(line for line in lines if "▶" in line)
    assert "12 heads of 64" in arrow.partition("▶")[2]
    assert "logits" in lines[-1]
    assert len(places(lines, "by content, distance")) == 1  # both on one row
    assert "one set of weights" in " ".join(legend(spec_for("xlnet")))


def test_what_a_spec_adds_is_drawn():
    qwen, mixtral = "\n".join(rows("qwen3")), "\n".join(rows("mixtral"))
    assert "queries, keys: RMSNorm" in qwen
    assert "router: 2 of 8" in mixtral
    assert "8 key-value heads" in mixtral
    shared = put(spec_for("bert"), ["stack", "shared"], True)
    assert "shared weights" in draw(shared)
    assert "scores not scaled" in draw(spec_for("t5"))
    assert legend(spec_for("llama"))[-1] == "There is no dropout."
    assert "0.3" in legend(spec_for("transformer/big"))[-1]


def test_lines_that_meet_are_joined():
    canvas = Canvas()
    canvas.box(0, 0, 5, 3)
    canvas.line((2, -1), (2, 0))
    canvas.line((2, 2), (2, 4))
    canvas.line((0, 4), (4, 4))
    canvas.write(1, 1, "abc")
    assert canvas.render().splitlines() == ["  ╷", "┌─┴─┐", "│abc│", "└─┬─┘", "  │", "╶─┴─╴"]
