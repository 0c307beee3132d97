"""What every kind of tokenizer owes: the same properties, over the table of kinds."""

import json
import os
import pickle
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from case_counts import count_cases
from hard_texts import HARD, POEM, PROSE
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kind_table import LINES, PIECE_TEXTS, TABLE, TEXTS, equals_transformers, trained, variants
from kind_table import size_of as size

from hornbook.errors import TokenizerError
from hornbook.tokenizers import TOKENIZERS, load_tokenizer, train_tokenizer
from hornbook.tokenizers.special import SENTINELS, SPECIAL_SETS
from hornbook.tokenizers.tokenizer import Tokenizer

NAMES = sorted({name for names in SPECIAL_SETS.values() for name in names} - {*SENTINELS[1:]})
PIECES = [
    *HARD[:12], *NAMES, *(name[1:] for name in NAMES),
    "the", " ", "  ", "\n\n", "action", "don't", "'s", "12345", "_", "é",
    "e\u0301", "\u0301", "\u2028", "\x1c", "中文", "한국", "☃", "##s", "</w>", "\u2581", "<0x41>",
]  # fmt: skip
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MIXED = st.lists(st.one_of(st.sampled_from(PIECES), UNICODE), max_size=8).map("".join)
STRANGE = "İstanbul ΑΣ Ǆ ﬁ Ａ½ ① 한국어 क्षि\u3000x"
GRAPHEMES = HARD[7]
"""A base with two marks: NFKC as the tokenizers library has it leaves them in another order."""

each_kind = pytest.mark.parametrize("kind", TOKENIZERS)
each_trained_kind = pytest.mark.parametrize("kind", [kind for kind in TOKENIZERS if kind != "byte"])
each_variant = pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param(kind, options, id="-".join([kind, *(f"{v}" for v in options.values())]))
        for kind in TOKENIZERS
        for options in variants(kind)
    ],
)


def test_the_table_holds_every_kind() -> None:
    assert list(TABLE) == list(TOKENIZERS)


# Folders


@each_variant
@pytest.mark.tokenizers("formats read")
def test_reopened_and_pickled_are_equal(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = trained(kind, **options)
    tokenizer.save(tmp_path)
    for again in (load_tokenizer(tmp_path), pickle.loads(pickle.dumps(tokenizer))):
        assert type(again) is type(tokenizer)
        assert again.fingerprint == tokenizer.fingerprint
        assert again.special_tokens == tokenizer.special_tokens
        assert again.end_of_text_name == tokenizer.end_of_text_name
        assert again.byte_lengths.tolist() == tokenizer.byte_lengths.tolist()
        for text in LINES[:40]:
            assert again.encode(text).tolist() == tokenizer.encode(text).tolist()
        again.save(tmp_path / "twice")
        for path in (tmp_path / "twice").iterdir():
            assert path.read_bytes() == (tmp_path / path.name).read_bytes()
    count_cases(40)


@each_variant
@pytest.mark.tokenizers("formats written")
def test_transformers_opens_the_folder(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    texts = [*LINES, PIECE_TEXTS[0], "a<s>b</s><unk> <0x41>\u2581x"]
    if options.get("normalization") == "nfkc":
        texts = [text for text in texts if GRAPHEMES not in text]
    equals_transformers(trained(kind, **options), tmp_path, texts)


@each_kind
def test_the_fingerprint_follows_what_decides_ids(kind: str) -> None:
    row = TABLE[kind]
    others = [trained(kind, **options) for options in variants(kind)]
    for name, fewer in (("gpt1", 0), (row.special_tokens, 1 if kind != "byte" else 0)):
        asked = size(kind, name) - fewer
        others.append(train_tokenizer(kind, row.texts, asked, special_tokens=name))
    if kind == "byte":
        assert others.pop().fingerprint == others[0].fingerprint
    assert len({other.fingerprint for other in others}) == len(others)


# Training

PROGRAM = """
import sys, json
from hornbook.tokenizers import train_tokenizer
folder = sys.argv[1]
for kind, (texts, size, names) in json.load(sys.stdin).items():
    train_tokenizer(kind, texts, size, special_tokens=names).save(f"{folder}/{kind}")
"""


@cache
def trained_elsewhere() -> list[dict[str, bytes]]:
    """Every kind's folder by processes that differ in threads, hashes and the order of texts."""
    found = []
    for threads, order in (("1", 1), ("3", -1)):
        rows = {
            kind: (row.texts[::order], size(kind, row.special_tokens), row.special_tokens)
            for kind, row in TABLE.items()
        }
        count = dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "PYTHONHASHSEED"), threads)
        with TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, folder],
                input=json.dumps(rows).encode(),
                env={**os.environ, **count},
                check=False,
                capture_output=True,
            )
            assert (done.returncode, done.stderr.decode()) == (0, "")
            saved = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            found.append({str(path.relative_to(folder)): path.read_bytes() for path in saved})
    return found


@each_kind
@pytest.mark.tokenizers("train")
def test_training_is_the_same_everywhere(kind: str, tmp_path: Path) -> None:
    """The same bytes from any process, number of threads and order of texts."""
    trained(kind).save(tmp_path)
    here = {f"{kind}/{path.name}": path.read_bytes() for path in tmp_path.iterdir()}
    for there in trained_elsewhere():
        assert {name: there[name] for name in there if name.startswith(f"{kind}/")} == here
    count_cases(2 * len(TABLE[kind].texts))


def size_said(kind: str, asked: int, special_tokens: str, **options: Any) -> tuple[int, str]:
    """Train at a size that does not fit: what the error says to set, and whether "less"."""
    with pytest.raises(TokenizerError) as error:
        train_tokenizer(
            kind, [POEM * 3, PROSE * 5], asked, special_tokens=special_tokens, **options
        )
    assert "\n" not in str(error.value)
    found = re.search(r"set tokenizer\.vocab_size to (\d+) or (less|more)", str(error.value))
    assert found, error.value
    if found[2] == "less":
        assert f"Vocabulary of {asked} asked, the text supports {found[1]}" in str(error.value)
    return int(found[1]), found[2]


@each_trained_kind
@pytest.mark.parametrize("special_tokens", ["chat", "t5"])
@pytest.mark.tokenizers("bad input")
def test_the_sizes_in_errors_are_exact(kind: str, special_tokens: str) -> None:
    texts = [POEM * 3, PROSE * 5]
    chosen = [{}, {"byte_fallback": False}] if kind == "character" else [{}]
    least = max(2, TABLE[kind].least + len(SPECIAL_SETS[special_tokens]) * (TABLE[kind].least > 0))
    for options in chosen:
        named = {"special_tokens": special_tokens, **options}
        for asked, side, step in ((50_000, "less", 1), (least, "more", -1)):
            said, found = size_said(kind, asked, **named)
            assert found == side
            assert train_tokenizer(kind, texts, said, **named).vocab_size == said
            assert size_said(kind, said + step, **named) == (said, side)
            count_cases(3)


@pytest.mark.parametrize(
    ("kind", "token"), [("word", "parser"), ("bpe", "rep"), ("wordpiece", "parser")]
)
@pytest.mark.tokenizers("bad input")
def test_a_special_token_like_a_word_is_refused(kind: str, token: str) -> None:
    """token: one that training finds; the other name is not in the vocabulary but could be."""
    for name in (token, "☃"):
        with pytest.raises(TokenizerError, match=f"The special token '{name}'"):
            train_tokenizer(kind, TEXTS, 700, special_tokens=("<unk>", name))
        count_cases()


@each_kind
@pytest.mark.parametrize("text", ["a\ud83d", "\udc00", "x" * 100 + "\ud83d\ude00"])
@pytest.mark.tokenizers("bad input")
def test_a_lone_surrogate_is_a_clear_error(kind: str, text: str) -> None:
    tokenizer = trained(kind)
    uses = [
        lambda: tokenizer.encode(text),
        lambda: tokenizer.offsets(text),
        lambda: tokenizer.encode_batch(["fine", text]),
    ]
    if kind != "byte":  # which reads no text
        uses.append(lambda: train_tokenizer(kind, ["fine text", text], 300))
    place = next(place for place, sign in enumerate(text) if "\ud800" <= sign < "\ue000")
    said = rf"lone surrogate, U\+{ord(text[place]):04X} at character {place}"
    for use in uses:
        with pytest.raises(TokenizerError, match=said):
            use()
    count_cases(len(uses))


# Ids


def reserved(tokenizer: Tokenizer) -> set[int]:
    return set(tokenizer.special_tokens.values()) - {tokenizer.unknown}


@each_variant
@settings(deadline=None, max_examples=40)
@given(text=MIXED)
@pytest.mark.tokenizers("adversarial")
def test_no_text_becomes_a_special_token(kind: str, options: dict[str, Any], text: str) -> None:
    tokenizer = trained(kind, **options)
    names = "".join(tokenizer.special_tokens) + " ".join(tokenizer.special_tokens)
    assert not set(tokenizer.encode(f"{names}{text} {names}").tolist()) & reserved(tokenizer)
    count_cases()


@each_kind
def test_the_sets_of_special_tokens_fit(kind: str) -> None:
    for name, names in SPECIAL_SETS.items():
        asked = size(kind, name)
        tokenizer = train_tokenizer(kind, TABLE[kind].texts, asked, special_tokens=name)
        assert tokenizer.vocab_size == asked
        assert set(names) <= set(tokenizer.special_tokens)
        assert tokenizer.lossless or tokenizer.unknown is not None
        text = "".join(names) + " ".join(names) + POEM
        assert not set(tokenizer.encode(text).tolist()) & reserved(tokenizer)


@each_variant
def test_a_batch_is_one_by_one(kind: str, options: dict[str, Any]) -> None:
    tokenizer = trained(kind, **options)
    for text, ids in zip(LINES, tokenizer.encode_batch(iter(LINES)), strict=True):
        assert ids.dtype == np.int64
        assert ids.tolist() == tokenizer.encode(text).tolist()
    assert tokenizer.encode_batch([]) == []


# The way back


@each_variant
@settings(deadline=None, max_examples=40)
@given(text=MIXED)
@example(text=POEM)
@example(text=STRANGE)
@example(text="".join(HARD))
@pytest.mark.tokenizers("decode")
def test_what_is_seen_comes_back(kind: str, options: dict[str, Any], text: str) -> None:
    tokenizer = trained(kind, **options)
    seen = tokenizer.normalize(text)
    ids = tokenizer.encode(text)
    assert (ids.dtype, ids.ndim) == (np.int64, 1)
    assert tokenizer.normalize(seen) == seen
    assert tokenizer.encode(seen).tolist() == ids.tolist()
    if tokenizer.lossless:
        assert seen in (text, text.replace("\u2581", " "))
        assert tokenizer.unknown not in ids
    if tokenizer.unknown not in ids:
        assert tokenizer.decode(ids, "strict") == seen
        assert tokenizer.byte_count(ids) == len(seen.encode())
    count_cases()


# Offsets


def owners(tokenizer: Tokenizer, text: str) -> list[list[int]]:
    """For each token of a lossless kind, the characters that own its first and its last byte."""
    edge = tokenizer.edge_space == "before"
    owner = [place for place, sign in enumerate(" " * edge + text, -edge) for _ in sign.encode()]
    spans, place = [], 0
    for number in tokenizer.encode(text).tolist():
        end = place + len(tokenizer.token_bytes(number))
        spans.append([max(owner[place], 0), owner[end - 1] + 1])
        place = end
    return spans


@each_variant
@settings(deadline=None, max_examples=40)
@given(text=MIXED)
@example(text=STRANGE)
@example(text="".join(HARD))
@pytest.mark.tokenizers("offsets")
def test_offsets_lie_in_the_text_in_order(kind: str, options: dict[str, Any], text: str) -> None:
    tokenizer = trained(kind, **options)
    ids, spans = tokenizer.offsets(text)
    assert ids.tolist() == tokenizer.encode(text).tolist()
    assert spans.shape == (len(ids), 2)
    assert (np.diff(spans, axis=0) >= 0).all()
    assert (spans[:, 0] <= spans[:, 1]).all()
    assert not len(ids) or 0 <= spans.min() <= spans.max() <= len(text)
    covered = {place for start, end in spans.tolist() for place in range(start, end)}
    assert not [p for p, sign in enumerate(text) if sign in "eéx中1" and p not in covered]
    if tokenizer.lossless:
        assert spans.tolist() == owners(tokenizer, tokenizer.normalize(text))
    count_cases()
