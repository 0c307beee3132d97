"""Merges inside words: GPT-1's ids, its two files, training that never changes."""

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import transformers
from case_counts import count_cases
from hard_texts import HARD
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kind_table import (
    LINES,
    SAMPLES,
    TEXTS,
    damage_is_named,
    equals,
    equals_transformers,
    sample_lines,
)
from kind_table import trained as trained_kind
from word_oracles import basic_words, learn, merged

from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer, train_tokenizer
from hornbook.tokenizers.byte_map import to_printable
from hornbook.tokenizers.kinds import word_merges
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.word_bpe import WordBPE

PIECES = st.sampled_from(["the", " ", "action", "</w>", "parser", "don't", "中文", "_", "e\u0301"])
LATIN = st.text(st.characters(max_codepoint=0x17F), max_size=6)
MIXED = st.lists(st.one_of(PIECES, LATIN), max_size=10).map("".join)
both = pytest.mark.parametrize("lowercase", [True, False], ids=["lower", "cased"])


def trained(lowercase: bool = True) -> WordBPE:
    found: WordBPE = trained_kind("bpe", lowercase=lowercase)
    return found


def model(tokenizer: WordBPE) -> dict[str, Any]:
    return dict(tokenizer.definition()["model"])


@cache
def ranks(lowercase: bool) -> dict[tuple[str, str], int]:
    merges = model(trained(lowercase))["merges"]
    return {(left, right): rank for rank, (left, right) in enumerate(merges)}


def one_by_one(lowercase: bool, text: str) -> list[int]:
    ids = model(trained(lowercase))["vocab"]
    words = basic_words(text, lowercase)
    return [number for word in words for number in merged(word, ids, ranks(lowercase))]


@pytest.mark.tokenizers("encode", "bpe")
@both
@settings(deadline=None, max_examples=100)
@given(text=MIXED)
@example(text="Don't  stop_it, 12_34 中文abc é e\u0301\t\n\x00 a\u200bb ☃x x☃")
def test_ids_equal_the_merges_done_by_hand(lowercase: bool, text: str) -> None:
    assert trained(lowercase).encode(text).tolist() == one_by_one(lowercase, text)
    assert trained(lowercase).normalize(text) == " ".join(basic_words(text, lowercase))
    count_cases()


def gpt1_files(folder: Path, **changes: Any) -> Path:
    """The trained merges in GPT-1's two files: `<unk>` first, a newline at an end last."""
    vocabulary = [token for token in model(trained())["vocab"] if not token.endswith("|>")]
    vocabulary = ["<unk>", *(token for token in vocabulary if token != "<unk>"), "\n</w>"]
    ids = {token: number for number, token in enumerate(vocabulary)}
    merges = [" ".join(pair) for pair in model(trained())["merges"]]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    return folder


@pytest.mark.tokenizers("formats read", "bpe")
def test_gpt1s_two_files_open(tmp_path: Path) -> None:
    folder = gpt1_files(tmp_path)
    mine = load_tokenizer(folder)
    assert type(mine) is WordBPE
    assert mine.special_tokens == {"<unk>": 0}
    assert mine.unknown == 0
    assert mine.token_bytes(mine.vocab_size - 1) == b"\n "
    theirs = transformers.OpenAIGPTTokenizer(
        vocab=json.loads((folder / "vocab.json").read_text()),
        merges=[tuple(pair) for pair in model(trained())["merges"]],
    )
    assert len(theirs) == mine.vocab_size
    equals(mine, lambda text: theirs.encode(text, split_special_tokens=True), LINES)
    for text in LINES:
        ids = mine.encode(text).tolist()
        assert theirs.decode(ids) == mine.decode(ids)
    assert load_tokenizer(folder / "merges.txt").fingerprint == mine.fingerprint
    equals_transformers(mine, tmp_path / "saved")


@pytest.mark.tokenizers("formats read", "bpe")
def test_gpt2s_two_files_stay_gpt2s(tmp_path: Path) -> None:
    markup = ByteBPE.train(["<b>x</w> y</w>\n" * 9, *HARD], 300, pattern=r"\S+|\s+")
    assert any(token.endswith(b"</w>") for token in markup.tokens)
    ids = {to_printable(token): number for token, number in markup.tokens.items()}
    merges = [f"{to_printable(left)} {to_printable(right)}" for left, right in markup.merges]
    (tmp_path / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("\n".join([*merges, ""]), encoding="utf-8")
    assert type(load_tokenizer(tmp_path)) is ByteBPE


@pytest.mark.tokenizers("encode", "bpe")
@pytest.mark.parametrize("name", SAMPLES)
def test_books_are_the_same(name: str) -> None:
    equals(trained(), lambda text: one_by_one(True, text), sample_lines(name))


@pytest.mark.tokenizers("offsets", "bpe")
@both
@settings(deadline=None, max_examples=40)
@given(text=st.lists(PIECES, max_size=8).map(" ".join))
def test_offsets_cut_the_text_into_its_tokens(lowercase: bool, text: str) -> None:
    ids, spans = trained(lowercase).offsets(text)
    assert ids.tolist() == one_by_one(lowercase, text)
    for number, (start, end) in zip(ids.tolist(), spans.tolist(), strict=True):
        if number != trained(lowercase).unknown and text.isascii():
            shown = trained(lowercase).token_bytes(number).decode().strip()
            assert shown == text[start:end]
    count_cases()


@pytest.mark.tokenizers("train", "bpe")
@both
def test_training_equals_the_plain_trainer(
    lowercase: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_merges, "COVERAGE", 1.0)
    texts = [TEXTS[0][:12_000], *TEXTS[1:]]
    words = Counter(word for text in texts for word in basic_words(text, lowercase))
    expected = learn(words, 400, suffix="</w>")
    found = WordBPE.train(texts, 405, lowercase=lowercase)
    assert list(model(found)["vocab"])[:400] == expected
    count_cases(len(texts))


@pytest.mark.tokenizers("adversarial", "bpe")
@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_endless_words_are_learned_from_in_parts(kind: str) -> None:
    whole = train_tokenizer(kind, ["some words " * 3, "abc" * 50_000 + "\nabc"], 20)
    parts = "".join("abc"[place % 3] + " " * (place % 1000 == 999) for place in range(150_000))
    apart = train_tokenizer(kind, ["some words " * 3, parts + "\nabc"], 20)
    assert whole.definition() == apart.definition()
    count_cases()


def test_rare_characters_have_no_token() -> None:
    text = "common words " * 3000
    tokenizer = WordBPE.train([text + "☃", text], 15)
    assert tokenizer.decode(tokenizer.encode("common ☃")) == "common <unk>"
    often = WordBPE.train([text + "☃ " * 40, text], 15)
    assert often.decode(often.encode("common ☃")) == "common ☃"


SLOW = ["the", " ", "\n", "!", "中", "\u0301", "☃"]


@pytest.mark.tokenizers("adversarial", "bpe")
@pytest.mark.parametrize("unit", ["a", *(pytest.param(u, marks=pytest.mark.slow) for u in SLOW)])
def test_a_million_bytes(unit: str) -> None:
    text = unit * (1_000_000 // len(unit.encode()))
    ids = trained().encode(text).tolist()
    assert trained().encode(unit * 99).tolist() == one_by_one(True, unit * 99)
    if trained().unknown not in ids:
        assert trained().decode(ids) == trained().normalize(text)
    count_cases()


@pytest.mark.tokenizers("bad input", "bpe")
def test_text_without_words_is_refused() -> None:
    with pytest.raises(TokenizerError, match="There is no word in the text"):
        train_tokenizer("bpe", [" \n"], 300)
    count_cases()


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


PAIR_DAMAGE = {
    "merge of strangers": ("merges.txt", "t h\n", "t Ж\n", "needs 'Ж', which"),
    "merge into a stranger": ("merges.txt", "t h\n", "h x</w>\n", "needs 'hx</w>', which"),
    "torn merge": ("merges.txt", "t h\n", "t\n", "is no pair"),
    "one id twice": ("vocab.json", '"<unk>": 0', '"<unk>": 1', "each once"),
    "text for an id": ("vocab.json", '"<unk>": 0', '"<unk>": "0"', "each once"),
    "no unknown": ("vocab.json", '"<unk>"', '"<unknown>"', "no unknown token"),
    "torn": ("vocab.json", '{"<unk>', "{<unk>", "not whole JSON"),
}


@pytest.mark.tokenizers("bad input", "bpe")
@pytest.mark.parametrize("damage", list(PAIR_DAMAGE))
def test_a_damaged_pair_is_named(tmp_path: Path, damage: str) -> None:
    name, old, new, said = PAIR_DAMAGE[damage]
    change(gpt1_files(tmp_path) / name, old, new)
    with pytest.raises(TokenizerError, match=said) as error:
        load_tokenizer(tmp_path)
    assert name in str(error.value)
    count_cases()


DAMAGE = {
    "merge of strangers": ('"t",\n    "h"', '"t",\n    "Ж"'),
    "one id twice": ('"!</w>": ', '"!</w>": 1'),
    "another model": ('"type": "BPE"', '"type": "WordLevel"'),
    "no merges": ('"merges"', '"merged"'),
    "merges not a list": ('"merges": [', '"merges": {}, "m": ['),
    "merge of one": ('"t",\n    "h"', '"t"'),
    "no cut": ('"pre_tokenizer"', '"pre"'),
    "no unknown": ('"<unk>"', '"<unknown>"'),
}


@pytest.mark.tokenizers("bad input", "bpe")
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    old, new = (part.encode() for part in DAMAGE[damage])
    damage_is_named(trained(), tmp_path, lambda data: data.replace(old, new, 1))
