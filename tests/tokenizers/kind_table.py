"""How the tests train each kind of tokenizer, and the texts they train and compare on."""

import argparse
import gzip
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from case_counts import count_cases
from hard_texts import HARD, POEM, PROSE

from hornbook.errors import TokenizerError
from hornbook.tokenizers import OPTIONS_OF, load_tokenizer, train_tokenizer
from hornbook.tokenizers.kinds.patterns import PATTERNS
from hornbook.tokenizers.special import SPECIAL_SETS
from hornbook.tokenizers.tokenizer import Tokenizer

CODE = inspect.getsource(argparse)[:60_000]
TEXTS = [CODE, POEM * 3, PROSE * 5, *HARD]
"""What the tests train on."""

PIECE_TEXTS = [inspect.getsource(json.decoder), inspect.getsource(json.encoder), *TEXTS[1:]]
"""Less of it, for trainers that take longer."""

LINES = [*HARD, POEM, PROSE, "".join(HARD), *CODE.split("\n\n")[:150]]
"""What they compare on: adversarial text, Chinese, English, code."""


@dataclass(frozen=True)
class Row:
    """How one kind is trained.

    ids: how many there are besides the special tokens.
    special_tokens: the name of their set.
    least: how many ids besides are asked to see the error for too few, which says how many do.
    """

    ids: int
    special_tokens: str = "chat"
    texts: Sequence[str] = tuple(TEXTS)
    least: int = 0


TABLE = {
    "byte-bpe": Row(496),
    "byte": Row(256),
    "character": Row(386),
    "word": Row(596),
    "bpe": Row(696),
    "wordpiece": Row(795, "bert", (*TEXTS, "한국어 ΑΣ ας ασ") * 2),
    "sentencepiece-bpe": Row(597, "llama", tuple(PIECE_TEXTS), 270),
    "sentencepiece-unigram": Row(597, "llama", tuple(PIECE_TEXTS), 270),
}
VALUES: Mapping[str, Sequence[Any]] = {
    "pattern": tuple(PATTERNS),
    "byte_fallback": (True, False),
    "lowercase": (False, True),
    "normalization": ("identity", "nfkc"),
}
"""What each option of OPTIONS_OF may be, the default of the tests first."""

FEW = {("character", ("byte_fallback", False)): 116}
"""Ids besides the special tokens where an option leaves no room for the table's."""


def variants(kind: str) -> list[dict[str, Any]]:
    """Every choice of a kind's options."""
    names = OPTIONS_OF[kind]
    chosen = product(*(VALUES[name] for name in names))
    return [dict(zip(names, values, strict=True)) for values in chosen]


def size_of(kind: str, special_tokens: str, **options: Any) -> int:
    """The size of vocabulary that the tests ask for."""
    few = [FEW[kind, option] for option in options.items() if (kind, option) in FEW]
    return min([TABLE[kind].ids, *few]) + len(SPECIAL_SETS[special_tokens])


@cache
def trained(kind: str, **options: Any) -> Any:
    """The tokenizer of the table's row, trained once."""
    row = TABLE[kind]
    options = {"special_tokens": row.special_tokens, **options}
    return train_tokenizer(kind, row.texts, size_of(kind, **options), **options)


SHOWN_OTHERWISE = ("sentencepiece-bpe", "sentencepiece-unigram")
"""Kinds that show unknown text by a sign of the model's, which a `tokenizer.json` cannot hold."""

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


def equals(tokenizer: Tokenizer, other: Any, texts: Iterable[str]) -> None:
    """`other` (a function of a text) gives the same ids."""
    for text in texts:
        assert tokenizer.encode(text).tolist() == list(other(text)), text
        count_cases()


def equals_transformers(tokenizer: Tokenizer, folder: Path, texts: Sequence[str] = LINES) -> None:
    """AutoTokenizer gives the same ids and the same text back."""
    import transformers

    tokenizer.save(folder)
    other = transformers.AutoTokenizer.from_pretrained(folder)
    assert len(other) == tokenizer.vocab_size
    assert not tokenizer.end_of_text_name or other.eos_token_id == tokenizer.end_of_text
    assert other.convert_tokens_to_ids(list(tokenizer.special_tokens)) == list(
        tokenizer.special_tokens.values()
    )
    for text in texts:
        ids = tokenizer.encode(text).tolist()
        theirs = other.encode(text, split_special_tokens=True, add_special_tokens=False)
        assert theirs == ids, text
        if tokenizer.unknown not in ids or tokenizer.kind not in SHOWN_OTHERWISE:
            assert other.decode(ids) == tokenizer.decode(ids)
    last = tokenizer.vocab_size
    some = (*range(last - 20, last), *range(20), 30, 31, 32)
    whole = [number for number in some if tokenizer.token_bytes(number).isascii()]
    if tokenizer.edge_space != "before" or tokenizer.token_bytes(whole[0])[:1] == b" ":
        assert other.decode(whole) == tokenizer.decode(whole)
    count_cases(len(texts))


def damage_is_named(
    tokenizer: Tokenizer, folder: Path, damage: Callable[[bytes], bytes], said: str = ""
) -> None:
    """A saved folder whose `tokenizer.json` is damaged is refused by that file's name."""
    tokenizer.save(folder)
    path = folder / "tokenizer.json"
    data = path.read_bytes()
    assert damage(data) != data
    path.write_bytes(damage(data))
    with pytest.raises(TokenizerError, match=rf"tokenizer\.json.*{said}"):
        load_tokenizer(folder)
    count_cases()
