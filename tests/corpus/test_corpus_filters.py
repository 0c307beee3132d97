"""What the filters keep and drop: real kinds of text, each drop with the rule that says so."""

import gzip
import json
from importlib import import_module

import numpy as np
import pyarrow as pa
import pytest

from hornbook.corpus.decide import KEPT, decide, dropped_by_rules, rules_of, threshold_of
from hornbook.corpus.documents import Document, batches
from hornbook.corpus.filters import FILTERS
from hornbook.corpus.filters.rule import Rule
from hornbook.corpus.measure import MEASURES, measure
from hornbook.corpus.options import CorpusOptions
from hornbook.errors import RecipeError

NUMBERS = "one two three four five six seven eight nine ten eleven twelve"
WORDS = NUMBERS.split()
FARM = """
cat meow sofa dog woof yard cow moo meadow owl hoo branch hen cluck coop pig oink sty fox yap den
bee buzz hive
"""
ANIMALS = FARM.split()
POEM = "春眠不觉晓，\n处处闻啼鸟。\n夜来风雨声，\n花落知多少。\n"
KEPT_TEXTS = {
    "one sentence of documentation": "operator.add(a, b)\n\nSame as a + b.\n",
    "a poem of twenty characters": POEM,
    "verse with a refrain": "\n".join(
        f"The {animal} says {sound} in the {place},\n{sound.upper()} in rain and in sun,\n"
        f"and whoever may come to that {place}\nwill be chased by a {animal} at a run.\n"
        "O merrily, merrily roll we along!\n"
        for animal, sound, place in zip(ANIMALS[::3], ANIMALS[1::3], ANIMALS[2::3], strict=True)
    ),
    "code": "\n".join(
        f"def {place}_of(width, {animal}):\n"
        f"    if {animal}.{sound}(width) < {n}:\n"
        f"        raise ValueError('a {place} holds no {animal}')\n"
        f"    return width * {animal}.height / {n + 2}\n"
        for n, (animal, sound, place) in enumerate(
            zip(ANIMALS[::3], ANIMALS[1::3], ANIMALS[2::3], strict=True)
        )
    ),
    "a numbered list": "\n".join(
        f"{n}. Take the {ANIMALS[n % 24]} to the {ANIMALS[n * 7 % 24]}, and\n"
        f"   leave the {ANIMALS[n * 5 % 24]} where the {ANIMALS[n * 11 % 24]} was before."
        for n in range(20)
    ),
}
DROPPED_TEXTS = {
    "too_short": "Hm.",
    "few_letters": "+-+-+ | ### | " * 40,
    "many_digits": "3.14159265358979323846 pi\n" * 2,
    "long_word": "A picture in base 64: " + "QmFzZTY0" * 200,
    "duplicate_lines": "Click here to read the rest of this page.\n" * 40,
    "top_2gram": " ".join(f"buy now {WORDS[n % 12]}" for n in range(60)),
    "top_3gram": " ".join(f"buy it now {word}" for word in "abcdefghijklmnopqrstuvwxyz" * 2),
    "repeated_5grams": " ".join(" ".join(WORDS[:7]) + f" {chr(97 + n)}" for n in range(25)),
    "repeated_10grams": " ".join(" ".join(WORDS) + f" {chr(97 + n) * 9}" for n in range(15)),
    "table": "".join(
        f"'\\x{n:02x}'   #  0x{n:02X} -> {a} {b}\n"
        for n, (a, b) in enumerate((a, b) for a in WORDS for b in WORDS)
    ),
}


def verdict(text: str, **options: object) -> list[str]:
    """Return the names of all rules that would drop the text, each asked alone."""
    chosen = CorpusOptions(**options)
    (batch,) = batches([Document(text, "a", 0, "g")], "s")
    table = pa.Table.from_batches([measure(batch)])
    return [rule.name for rule in rules_of(chosen) if decide(table, [rule], chosen)[0] != KEPT]


@pytest.mark.parametrize("name", KEPT_TEXTS)
def test_ordinary_text_is_kept(name):
    assert verdict(KEPT_TEXTS[name]) == []


@pytest.mark.parametrize("rule", DROPPED_TEXTS)
def test_each_rule_drops_its_example(rule):
    assert rule in verdict(DROPPED_TEXTS[rule])


def test_every_rule_has_an_example():
    assert {rule.name for rule in rules_of(CorpusOptions())} == set(DROPPED_TEXTS)


def test_shares_are_not_judged_in_short_texts():
    assert verdict("Click here to read on.\n" * 10) == []


@pytest.mark.parametrize("name", FILTERS)
def test_rules_name_measured_columns_and_real_options(name):
    module, _, attribute = FILTERS[name].partition(":")
    rules = getattr(import_module(module), attribute)
    assert rules
    for rule in rules:
        assert rule.column in MEASURES.names
        assert threshold_of(rule, CorpusOptions()) >= 0
        assert rule.reason.format(value="1", threshold="2") != rule.reason


def test_a_threshold_is_moved_by_its_option():
    assert verdict(DROPPED_TEXTS["too_short"], minimum_bytes=1) == []
    assert verdict(KEPT_TEXTS["code"], maximum_top_2gram_share=0.001) == ["top_2gram"]


def test_a_value_at_the_threshold_is_kept():
    assert verdict(DROPPED_TEXTS["too_short"], minimum_bytes=3) == []
    assert verdict(DROPPED_TEXTS["too_short"], minimum_bytes=4) == ["too_short"]
    word = "x" * 30
    assert verdict(word, maximum_word_characters=30) == []
    assert verdict(word, maximum_word_characters=29) == ["long_word"]


def test_chosen_rule_sets_only():
    assert verdict(DROPPED_TEXTS["table"], filters=["length", "characters"]) == []


def test_the_first_rule_gives_the_reason():
    documents = [Document("no", "a", 0, "g"), Document(POEM, "b", 0, "g")]
    (batch,) = batches(documents, "s")
    measures, options = pa.Table.from_batches([measure(batch)]), CorpusOptions()
    late = Rule("late", "bytes", "minimum", 50.0, "{value} under {threshold}")
    rules = [*rules_of(options), late]
    verdicts = decide(measures, rules, options)
    np.testing.assert_array_equal(verdicts, [0, KEPT])
    (row,) = dropped_by_rules(measures, verdicts, rules, options).to_pylist()
    assert (row["path"], row["rule"], row["value"]) == ("a", "too_short", "2")
    assert row["reason"] == "only 2 bytes of text; at least 20 are asked for"


def test_a_plug_in_that_is_not_there():
    with pytest.raises(RecipeError, match=r"no_such_package:RULES cannot be loaded"):
        rules_of(CorpusOptions(filters=("no_such_package:RULES",)))


@pytest.mark.parametrize(
    "path",
    [
        "chinese/sanguo_yanyi.txt.gz",
        "chinese/honglou_meng_first_half.txt.gz",
        "tinyshakespeare/tinyshakespeare.txt.gz",
        "novels/en_alice.txt.gz",
        "novels/fi_kalevala.txt.gz",
        "novels/es_don_quijote.txt.gz",
    ],
)
def test_novels_in_any_script_are_kept(shared, path):
    with gzip.open(shared / path, "rt", encoding="utf-8") as file:
        text = file.read(400_000)
    assert verdict(text) == []


def test_declarations_in_all_languages_are_kept(shared):
    with gzip.open(shared / "udhr" / "udhr.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    assert [text[:40] for text in texts[::4] if verdict(text)] == []
