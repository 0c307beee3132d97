"""Saved folders open again, here and in transformers; damaged files are named."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers
from case_counts import count_cases
from hard_texts import HARD

import tokenizers as library
from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.byte_map import to_printable
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE


def test_a_bare_file_and_a_run_open_too(small: ByteBPE, tmp_path: Path) -> None:
    small.save(tmp_path / "tokenizer")
    bare = tmp_path / "mine.json"
    bare.write_bytes((tmp_path / "tokenizer" / "tokenizer.json").read_bytes())
    for path in (bare, tmp_path, str(tmp_path)):
        assert load_tokenizer(path).fingerprint == small.fingerprint


@pytest.mark.tokenizers("formats written", "byte-bpe")
def test_transformers_own_class_gives_the_same_ids(small: ByteBPE, tmp_path: Path) -> None:
    small.save(tmp_path)
    other = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert other.convert_tokens_to_ids("<|end|>") == small.special_tokens["<|end|>"]
    for text in HARD:
        count_cases()
        assert other.encode(text, split_special_tokens=True) == small.encode(text).tolist()


def gpt2_files(tokenizer: ByteBPE, folder: Path) -> Path:
    """The same merges in GPT-2's two files, with its one special token."""
    vocabulary = {to_printable(token): number for token, number in tokenizer.tokens.items()}
    vocabulary["<|endoftext|>"] = len(vocabulary)
    merges = [f"{to_printable(left)} {to_printable(right)}" for left, right in tokenizer.merges]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    return folder


@pytest.mark.tokenizers("formats read", "byte-bpe")
def test_gpt2s_two_files_open(tokenizer: ByteBPE, tmp_path: Path) -> None:
    folder = gpt2_files(tokenizer, tmp_path)
    mine = load_tokenizer(folder)
    other = library.ByteLevelBPETokenizer.from_file(
        str(folder / "vocab.json"), str(folder / "merges.txt")
    )
    for text in HARD:
        assert mine.encode(text).tolist() == other.encode(text).ids
        count_cases()
    assert mine.special_tokens == {"<|endoftext|>": mine.end_of_text}
    assert load_tokenizer(folder / "merges.txt").fingerprint == mine.fingerprint


def test_a_foreign_file_with_string_merges_and_own_end_opens(
    small: ByteBPE, tmp_path: Path
) -> None:
    definition = small.definition()
    definition["model"]["merges"] = [" ".join(pair) for pair in definition["model"]["merges"]]
    definition["added_tokens"] = [
        {"id": 496, "content": "</s>", "special": True, "normalized": False}
    ]
    vocabulary = definition["model"]["vocab"]
    for name in small.special_tokens:
        del vocabulary[name]
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": {"content": "</s>"}}), encoding="utf-8"
    )
    foreign = load_tokenizer(tmp_path)
    assert foreign.end_of_text == 496
    assert foreign.vocab_size == 497
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(TokenizerError, match="no token that ends a text"):
        _ = load_tokenizer(tmp_path).end_of_text


def test_nothing_there_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=f"No tokenizer at {tmp_path}"):
        load_tokenizer(tmp_path)


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json", "merges.txt"])
def test_a_torn_file_is_named(small: ByteBPE, tmp_path: Path, share: float, name: str) -> None:
    if name == "tokenizer.json":
        small.save(tmp_path)
    else:
        gpt2_files(small, tmp_path)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(TokenizerError, match=re.escape(name)):
        load_tokenizer(tmp_path)


DAMAGE = {
    "binary": lambda d: b"\xff\xfe\x00",
    "no object": lambda d: b"[]",
    "no model": lambda d: b"{}",
    "lost token": lambda d: d.replace(b'"th":', b'"th~":'),
    "lost byte": lambda d: d.replace(b' "!": 0,\n', b""),
    "merge of strangers": lambda d: d.replace(b'"t",\n    "h"', b'"t",\n    "\\u0416"'),
    "text for an id": lambda d: d.replace(b'"th": ', b'"th": "x", "thx": '),
    "merges not a list": lambda d: d.replace(b'"merges": [', b'"merges": {}, "m": ['),
    "an id beyond memory": lambda d: d.replace(b'"th": ', b'"th": 9' + b"9" * 12 + b', "thx": '),
    "an id below 0": lambda d: d.replace(b'"!": 0', b'"!": -1'),
    "nested beyond reading": lambda d: b"[" * 200_000,
    "one id twice": lambda d: d.replace(b'"!": 0', b'"!": 1'),
}


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize("kind", list(DAMAGE))
def test_a_damaged_file_is_named(small: ByteBPE, tmp_path: Path, kind: str) -> None:
    small.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    data = path.read_bytes()
    damaged = DAMAGE[kind](data)
    assert damaged != data
    path.write_bytes(damaged)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)


def swapped(small: ByteBPE) -> dict:
    """Two merges in another order than their ids: what the library alone can follow."""
    definition = small.definition()
    merges = definition["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]
    return definition


def second_recipe(small: ByteBPE) -> dict:
    """A token made in two ways, as in Llama 3's file."""
    definition = small.definition()
    model = definition["model"]
    place, token = next(
        (place, "".join(pair))
        for place, pair in enumerate(model["merges"])
        if len("".join(pair)) == 3
        and "".join(pair)[1:] in model["vocab"]
        and "".join(pair)[:2] in model["vocab"]
    )
    model["merges"].insert(place, [token[0], token[1:]])
    model["merges"].insert(place, [token[:2], token[2:]])
    model["merges"] = [list(pair) for pair in dict.fromkeys(map(tuple, model["merges"]))]
    return definition


def other_recipe(small: ByteBPE) -> dict:
    """A token whose listed parts merging never leaves side by side."""
    definition = second_recipe(small)
    merges = definition["model"]["merges"]
    kept = {"".join(pair): pair for pair in map(tuple, small.definition()["model"]["merges"])}
    wrong = [pair for pair in merges if tuple(pair) != kept["".join(pair)]]
    right = [pair for pair in merges if "".join(pair) != "".join(wrong[0]) or pair == wrong[0]]
    definition["model"]["merges"] = right
    return definition


@pytest.mark.parametrize("change", [swapped, second_recipe, other_recipe])
@pytest.mark.tokenizers("formats read", "pipeline")
def test_merges_that_ids_do_not_say_are_left_to_the_library(
    small: ByteBPE, tmp_path: Path, change: Callable[[ByteBPE], dict]
) -> None:
    definition = change(small)
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    opened = load_tokenizer(tmp_path)
    assert opened.kind == "pipeline"
    other = library.Tokenizer.from_str(json.dumps(definition))
    other.encode_special_tokens = True
    for text in HARD:
        assert opened.encode(text).tolist() == other.encode(text).ids
        assert opened.decode(opened.encode(text)) == text
        count_cases()


@pytest.mark.tokenizers("bad input", "byte-bpe")
def test_a_merge_of_an_unknown_part_is_refused(small: ByteBPE, tmp_path: Path) -> None:
    definition = small.definition()
    model = definition["model"]
    place, token = next(
        (place, "".join(pair))
        for place, pair in enumerate(model["merges"])
        if len("".join(pair)) > 2 and "".join(pair)[1:] not in model["vocab"]
    )
    model["merges"][place] = [token[0], token[1:]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    with pytest.raises(TokenizerError, match="which is not in its vocabulary"):
        load_tokenizer(tmp_path)


@pytest.mark.tokenizers("formats read", "byte-bpe")
def test_ranks_open_by_the_name_that_llama_3_gives_them(small: ByteBPE, tmp_path: Path) -> None:
    small.save_ranks(tmp_path / "ranks.tiktoken")
    (tmp_path / "ranks.tiktoken").rename(tmp_path / "tokenizer.model")
    (tmp_path / "ranks.tiktoken.json").rename(tmp_path / "tokenizer.tiktoken.json")
    assert load_tokenizer(tmp_path / "tokenizer.model").fingerprint == small.fingerprint
    assert load_tokenizer(tmp_path).fingerprint == small.fingerprint
