"""One thread: shapes here are tiny, and two threads waiting for each other are slower than one."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from oracles import Pair, pair


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where transformers' tiny models are saved, one folder a family."""
    return tmp_path_factory.mktemp("transformers")


@pytest.fixture(scope="session")
def pairs(folders: Path) -> Callable[..., Pair]:
    """(family, dtype) to a pair that all tests share: read it, never change it."""

    @cache
    def shared(family: str, dtype: torch.dtype = torch.float32) -> Pair:
        return pair(family, dtype, folders)

    return shared
