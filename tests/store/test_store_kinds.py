"""Every kind of tokenizer fills a store that is its corpus, by threads, with any separators."""

import pydoc_data.topics
from pathlib import Path

import pytest
from stored_texts import TEXTS, batches, files

from hornbook.runs.signals import StopSignal
from hornbook.store import encoding
from hornbook.store.audit import audit_ids, audit_text
from hornbook.store.encoding import Encoders
from hornbook.store.reader import TokenArray
from hornbook.store.writer import Writing, write_source
from hornbook.tokenizers import TOKENIZERS, train_tokenizer
from hornbook.tokenizers.tokenizer import Tokenizer

TEXT = [*pydoc_data.topics.topics.values()][:12]
HARD = [*TEXTS["train", "books"], "  two  spaces ", "\tline\r\n\n", "ﬁ①", "e\u0301", "a" * 3000, ""]
SIZES = {"byte": 260, "character": 340}


@pytest.fixture(scope="module", params=list(TOKENIZERS))
def kind(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(request.param, TEXT, vocab_size=SIZES.get(request.param, 600))


@pytest.mark.parametrize("separator", ["end", "start", "both"])
def test_every_kind_fills_a_store_that_is_its_corpus(
    kind: Tokenizer, separator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "TASK_BYTES", 4000)
    texts = [*TEXT, *HARD]
    for workers in (1, 3):
        directory = tmp_path / str(workers)
        with Encoders(kind, workers) as encoders:
            write_source(
                batches(texts),
                encoders,
                directory,
                Writing(shard_tokens=20_000, separator=separator),
                advance=lambda size: None,
                stop=StopSignal(),
            )
    assert files(tmp_path / "1") == files(tmp_path / "3")
    array = TokenArray(tmp_path / "3")
    audit_ids(array, kind, lambda tokens: None)
    size = audit_text(array, batches(texts), kind, lambda done: None)
    assert size == sum(len(text.encode()) for text in texts)
