"""What every trained kind owes, as checks that each kind's tests call on their own tokenizers."""

import argparse
import gzip
import inspect
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import transformers
from case_counts import count_cases
from hard_texts import HARD, POEM, PROSE

from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer, train_tokenizer
from hornbook.tokenizers.tokenizer import Tokenizer

CODE = inspect.getsource(argparse)[:60_000]
TEXTS = [CODE, POEM * 3, PROSE * 5, *HARD]
"""What the tests train on."""

LINES = [*HARD, POEM, PROSE, "".join(HARD), *CODE.split("\n\n")[:150]]
"""What they compare on: adversarial text, Chinese, English, code."""

SHARED = Path(__file__).parents[3] / "shared" / "data"
SAMPLES = [
    "chinese/sanguo_yanyi.txt.gz",
    pytest.param("novels/en_alice.txt.gz", marks=pytest.mark.slow),
    pytest.param("novels/fi_kalevala.txt.gz", marks=pytest.mark.slow),
]


def sample_lines(name: str, characters: int = 20_000) -> list[str]:
    """Paragraphs of a book from the shared data; skips the test where it is absent."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not here")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read(characters).split("\n")


def reopened_and_pickled_are_equal(tokenizer: Tokenizer, folder: Path) -> None:
    tokenizer.save(folder)
    for again in (load_tokenizer(folder), pickle.loads(pickle.dumps(tokenizer))):
        assert type(again) is type(tokenizer)
        assert again.fingerprint == tokenizer.fingerprint
        assert again.special_tokens == tokenizer.special_tokens
        assert again.end_of_text_name == tokenizer.end_of_text_name
        assert again.byte_lengths.tolist() == tokenizer.byte_lengths.tolist()
        for text in LINES[:40]:
            assert again.encode(text).tolist() == tokenizer.encode(text).tolist()
        again.save(folder / "twice")
        for path in (folder / "twice").iterdir():
            assert path.read_bytes() == (folder / path.name).read_bytes()


def equals_transformers(tokenizer: Tokenizer, folder: Path, texts: Sequence[str] = LINES) -> None:
    """AutoTokenizer gives the same ids and the same text back."""
    tokenizer.save(folder)
    other = transformers.AutoTokenizer.from_pretrained(folder)
    assert len(other) == tokenizer.vocab_size
    assert other.convert_tokens_to_ids(list(tokenizer.special_tokens)) == list(
        tokenizer.special_tokens.values()
    )
    batch = tokenizer.encode_batch(texts)
    for text, ids in zip(texts, batch, strict=True):
        theirs = other.encode(text, split_special_tokens=True, add_special_tokens=False)
        assert theirs == tokenizer.encode(text).tolist() == ids.tolist()
        assert other.decode(theirs) == tokenizer.decode(theirs)
    ids = [*range(tokenizer.vocab_size - 20, tokenizer.vocab_size), *range(20), 30, 31, 32]
    whole = [number for number in ids if tokenizer.token_bytes(number).isascii()]
    if tokenizer.edge_space != "before" or tokenizer.token_bytes(whole[0])[:1] == b" ":
        assert other.decode(whole) == tokenizer.decode(whole)
    count_cases(len(texts))


def equals(tokenizer: Tokenizer, other: Any, texts: Iterable[str]) -> None:
    """`other` (a function of a text) gives the same ids."""
    for text in texts:
        assert tokenizer.encode(text).tolist() == list(other(text)), text
        count_cases()


def text_never_becomes_special(tokenizer: Tokenizer, text: str) -> None:
    reserved = [i for i in tokenizer.special_tokens.values() if i != tokenizer.unknown]
    names = "".join(tokenizer.special_tokens) + " ".join(tokenizer.special_tokens)
    ids = tokenizer.encode(f"{names}{text} {names}").tolist()
    assert not set(ids) & set(reserved)


def surrogates_are_refused(tokenizer: Tokenizer, **options: Any) -> None:
    def train(text: str) -> None:
        train_tokenizer(tokenizer.kind, ["fine text", text], 300, **options)

    def batch(text: str) -> None:
        tokenizer.encode_batch(["fine", text])

    for use in (tokenizer.encode, tokenizer.offsets, batch, train):
        with pytest.raises(TokenizerError, match=r"lone surrogate, U\+D83D at character 1"):
            use("a\ud83d")


SIZES = {"character": 380, "word": 500, "bpe": 600, "wordpiece": 600}
PROGRAM = """
import sys, json
from hornbook.tokenizers import train_tokenizer
texts = sys.stdin.buffer.read().decode().split("\\f")
for kind, size in json.loads(sys.argv[2]).items():
    train_tokenizer(kind, texts, size).save(f"{sys.argv[1]}/{kind}")
"""


@cache
def trained_elsewhere() -> list[dict[str, bytes]]:
    """The folders of SIZES by processes that differ in threads, hashes and the order of texts."""
    found = []
    for threads, texts in (("1", TEXTS), ("3", TEXTS[::-1])):
        with TemporaryDirectory() as folder:
            subprocess.run(
                [sys.executable, "-c", PROGRAM, folder, json.dumps(SIZES)],
                input="\f".join(texts).encode(),
                env={**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads},
                check=True,
            )
            saved = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            found.append({str(path.relative_to(folder)): path.read_bytes() for path in saved})
    return found


def trains_the_same_everywhere(kind: str, folder: Path) -> None:
    """The same bytes from any process, number of threads and order of texts."""
    train_tokenizer(kind, TEXTS, SIZES[kind]).save(folder)
    here = {f"{kind}/{path.name}": path.read_bytes() for path in folder.iterdir()}
    for there in trained_elsewhere():
        assert {name: there[name] for name in there if name.startswith(f"{kind}/")} == here
    count_cases(2 * len(TEXTS))


def a_name_like_text_is_refused(kind: str, size: int, token: str) -> None:
    """token: one that training finds; the other name is not in the vocabulary but could be."""
    for name in (token, "☃"):
        with pytest.raises(TokenizerError, match=f"The special token '{name}'"):
            train_tokenizer(kind, TEXTS, size, special_tokens=("<unk>", name))


def size_is_held_to_the_text(kind: str, **options: Any) -> None:
    """Too large says what the text supports, and that is exact."""
    texts = TEXTS[1:4]
    with pytest.raises(TokenizerError, match=r"Vocabulary of 4096 asked, the text supports") as e:
        train_tokenizer(kind, texts, 4096, **options)
    reached = int(str(e.value).split("set tokenizer.vocab_size to ")[1].split(" or less")[0])
    assert f"supports {reached}" in str(e.value)
    assert train_tokenizer(kind, texts, reached, **options).vocab_size == reached
    with pytest.raises(TokenizerError, match=f"supports {reached}"):
        train_tokenizer(kind, texts, reached + 1, **options)


def too_small_says_the_least(kind: str, **options: Any) -> None:
    with pytest.raises(TokenizerError, match=r"cannot hold .* or more") as e:
        train_tokenizer(kind, TEXTS, 2, **options)
    least = int(str(e.value).split("set tokenizer.vocab_size to ")[1].split(" or more")[0])
    assert train_tokenizer(kind, TEXTS, least, **options).vocab_size == least
    with pytest.raises(TokenizerError, match=f"to {least} or more"):
        train_tokenizer(kind, TEXTS, least - 1, **options)
