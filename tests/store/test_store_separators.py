"""What stands around documents: at their end, their start, or both."""

from pathlib import Path

import pytest
from stored_texts import TEXTS, Write

from hornbook.errors import TokenizerError
from hornbook.store import open_store
from hornbook.store.options import StoreOptions
from hornbook.store.separators import Separators, separators_of
from hornbook.tokenizers.kinds.byte import ByteTokenizer


def of_bytes(*special_tokens: str) -> ByteTokenizer:
    """Bytes, and these special tokens from id 256 on."""
    return ByteTokenizer.train([], 256 + len(special_tokens), special_tokens)


LLAMA = of_bytes("<unk>", "<s>", "</s>")


@pytest.mark.parametrize(
    ("tokenizer", "where", "expected"),
    [
        (ByteTokenizer(), "end", (None, 256)),
        (ByteTokenizer(), "start", (256, None)),
        (ByteTokenizer(), "both", (256, 256)),
        (LLAMA, "end", (None, 258)),
        (LLAMA, "start", (257, None)),
        (LLAMA, "both", (257, 258)),
        (of_bytes("<eod>"), "both", (256, 256)),
        (of_bytes("[CLS]", "[SEP]"), "both", (256, 257)),
    ],
)
def test_which_tokens_separate(tokenizer, where, expected) -> None:
    assert separators_of(tokenizer, where) == Separators(*expected)


def test_a_tokenizer_without_one_says_so() -> None:
    with pytest.raises(TokenizerError, match="no token that ends a text"):
        separators_of(ByteTokenizer({"<mask>": 256}, ""), "end")


@pytest.mark.parametrize("where", ["end", "start", "both"])
@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), LLAMA], ids=["one token", "two tokens"])
def test_every_document_has_its_separators(
    write: Write, tmp_path: Path, tokenizer: ByteTokenizer, where: str
) -> None:
    counts = write(using=tokenizer, separator=where, workers=2)["train"]["web"]
    separators = separators_of(tokenizer, where)
    expected, starts, spans = [], [], []
    for text in TEXTS["train", "web"]:
        starts.append(len(expected))
        expected += [*separators.leading, *text.encode()]
        spans.append((len(expected) - len(text), len(expected)))
        expected += separators.trailing
    array = open_store(tmp_path / "store").splits["train"]["web"]
    assert len(array.manifest.shards) > 2
    assert (array.begin_of_text, array.end_of_text) == (
        separators.begin_of_text,
        separators.end_of_text,
    )
    assert array.read(0, array.tokens).tolist() == expected
    assert array.document_starts.tolist() == starts
    assert [array.text_span(number) for number in range(array.documents)] == spans
    assert counts["tokens"] == len(expected)
    assert counts["bytes_per_token"] == 1.0  # separators are no text


def test_another_place_is_another_store(write: Write, tmp_path: Path) -> None:
    write(separator="end")
    write(separator="start")
    assert open_store(tmp_path / "store").splits["train"]["web"].end_of_text is None
    assert StoreOptions(separator="start").hashed() != StoreOptions().hashed()
