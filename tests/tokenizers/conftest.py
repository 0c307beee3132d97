"""Small tokenizers, trained on some of the text that is hard on them."""

import argparse
import inspect

import pytest
from case_counts import begin
from hard_texts import HARD, POEM, PROSE

from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.patterns import PATTERNS


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return [inspect.getsource(argparse)[:60_000], POEM * 3, PROSE * 5, *HARD]


@pytest.fixture(scope="session", params=list(PATTERNS))
def tokenizer(request: pytest.FixtureRequest, texts: list[str]) -> ByteBPE:
    return ByteBPE.train(texts, 700, pattern=request.param)


@pytest.fixture(scope="session")
def small(texts: list[str]) -> ByteBPE:
    return ByteBPE.train(texts, 500)


def pytest_runtest_setup(item: pytest.Item) -> None:
    begin(item.nodeid)
