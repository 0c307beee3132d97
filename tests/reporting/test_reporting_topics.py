"""Topics: complete in both languages, pointing at code that is there."""

import importlib
import re

import pytest

from hornbook.errors import UserError
from hornbook.models import FAMILIES
from hornbook.models.parts import PARTS
from hornbook.models.spec import CHOICES
from hornbook.reporting.topics import LABELS, explain, parts_explained, topic_names

HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("name", topic_names())
def test_topic_is_whole_in_both_languages(name: str) -> None:
    english, chinese = explain(name, "en"), explain(name, "zh")
    assert not HAN.search(english.title + english.text)
    assert HAN.search(chinese.title)
    assert len(HAN.findall(chinese.text)) > 40
    assert 2 <= len(re.findall(r"[.!?](?=\s|$)", english.text)) <= 6
    assert english.equation
    assert chinese.equation
    assert re.search(r"\b(19|20)\d\d\b", english.source), "a source has a year"
    assert english.related
    assert set(english.related) <= set(topic_names()) - {name}
    for topic in (english, chinese):
        assert topic.title in topic.render()
        assert topic.code[0] in topic.render()


@pytest.mark.parametrize("name", topic_names())
def test_topic_points_at_code_that_is_there(name: str) -> None:
    for place in explain(name).code:
        module, _, thing = place.partition(":")
        found = importlib.import_module(module)
        assert not thing or hasattr(found, thing), place


def test_the_topics_of_the_first_issue_are_there() -> None:
    assert {"gpt2", "byte-bpe", "bits-per-byte", "kneser-ney", "packing", "order"} <= set(
        topic_names()
    )
    assert set(LABELS) == {"en", "zh"}


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_a_network_has_a_topic(part: str) -> None:
    topic = explain(part)
    assert explain(part.lower()) == explain(part.upper()) == topic
    # A name that is a topic itself ("attention") is that topic, and it says so.
    assert parts_explained()[part] == topic.name


def test_topics_name_choices_that_exist_each_once() -> None:
    parts = parts_explained()
    assert parts.keys() <= CHOICES.keys()
    assert parts["SourceReading"] == "cross-attention"
    assert parts["TwoStreamReading"] == "two-stream"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_topic_that_points_at_it(family: str) -> None:
    assert f"hornbook.models.families.{family}" in explain(family).code


@pytest.mark.parametrize("name", topic_names())
def test_a_topic_is_short(name: str) -> None:
    english, chinese = explain(name, "en"), explain(name, "zh")
    assert len(english.text.split()) <= 110
    assert len(HAN.findall(chinese.text)) <= 200
    assert max(map(len, english.equation.splitlines())) <= 110


def test_unknown_topic_names_the_nearest() -> None:
    with pytest.raises(UserError, match="temperature"):
        explain("temprature")
    with pytest.raises(UserError, match="rms-norm"):
        explain("RMSNom")
    with pytest.raises(UserError, match="bits-per-byte"):
        explain("zzzzzz")
    with pytest.raises(UserError, match="zh"):
        explain("mask", "fr")


def test_names_are_forgiving() -> None:
    assert explain("Bits per byte").name == explain("bits_per_byte").name == "bits-per-byte"
