"""Reading equals slicing one long list, wherever shards end."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_texts import TEXTS, Write

from hornbook.store import open_store
from hornbook.store.reader import TokenArray
from hornbook.tokenizers.kinds.byte import ByteTokenizer


@pytest.fixture
def array(write: Write, tmp_path: Path) -> TokenArray:
    write(using=ByteTokenizer(), shard_tokens=300)
    array = open_store(tmp_path / "store").splits["train"]["web"]
    assert len(array.manifest.shards) > 5
    return array


def naive() -> list[int]:
    return [number for text in TEXTS["train", "web"] for number in [*text.encode(), 256]]


def test_counts_and_document_starts(array: TokenArray) -> None:
    ids = naive()
    assert array.tokens == len(ids)
    assert array.documents == 60
    assert array.bytes == len(ids) - 60
    assert array.vocab_size == 260
    starts = array.document_starts
    assert starts.dtype == np.uint64
    ends = [index + 1 for index, number in enumerate(ids) if number == 256]
    assert starts.tolist() == [0, *ends[:-1]]


def test_reading_equals_slicing(array: TokenArray) -> None:
    ids = naive()

    @settings(deadline=None, max_examples=100)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(ids)))
        count = data.draw(st.integers(0, len(ids) - start))
        read = array.read(start, count)
        assert read.dtype == np.int64
        assert read.tolist() == ids[start : start + count]

    check()


def test_gathering_equals_slicing(array: TokenArray) -> None:
    ids = naive()

    @settings(deadline=None, max_examples=100)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        width = data.draw(st.integers(0, 1000))
        starts = data.draw(st.lists(st.integers(0, len(ids) - width), max_size=20))
        rows = array.gather(np.array(starts, dtype=np.int64), width)
        assert rows.shape == (len(starts), width)
        assert rows.dtype == np.int64
        assert rows.tolist() == [ids[start : start + width] for start in starts]

    check()


@pytest.mark.parametrize(("start", "count"), [(-1, 1), (0, 10**6), (10**6, 0), (5, -2)])
def test_beyond_the_end_is_an_index_error(array: TokenArray, start: int, count: int) -> None:
    with pytest.raises(IndexError, match=f"which has {array.tokens}"):
        array.read(start, count)


@pytest.mark.parametrize("start", [-1, 10**6])
def test_gathering_beyond_the_end_is_an_index_error(array: TokenArray, start: int) -> None:
    with pytest.raises(IndexError):
        array.gather(np.array([0, start]), 2)
    with pytest.raises(IndexError):
        array.gather(np.array([array.tokens - 1]), 2)


def test_files_are_mapped_not_copied_and_once(array: TokenArray) -> None:
    array.read(0, 1)
    mapped = array.shard_ids(0)
    assert type(mapped) is np.ndarray
    assert isinstance(mapped.base, np.memmap)
    assert array.shard_ids(0) is mapped
    assert set(array._mapped) == {0}
    with pytest.raises(ValueError, match="read-only"):
        mapped[0] = 1


def test_an_array_travels_to_another_process_without_its_maps(array: TokenArray) -> None:
    expected = array.read(0, array.tokens).tolist()
    received = pickle.loads(pickle.dumps(array))
    assert received._mapped == {}
    assert received.read(0, array.tokens).tolist() == expected


def test_threads_may_read_together(array: TokenArray) -> None:
    ids = naive()
    with ThreadPoolExecutor(4) as pool:
        for start, read in enumerate(pool.map(lambda start: array.read(start, 500), range(50))):
            assert read.tolist() == ids[start : start + 500]
