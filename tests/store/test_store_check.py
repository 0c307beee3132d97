"""Everything that can be wrong with a store on disk is noticed, and named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from stored_texts import Write

from hornbook.errors import StorageError, VersionError
from hornbook.store import open_store
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE

WEB = "train/web"


@pytest.fixture
def store(write: Write, tmp_path: Path) -> Path:
    write(shard_tokens=200)
    return tmp_path / "store"


@pytest.mark.parametrize("name", ["tokens-00001.bin", "documents-00001.bin"])
def test_a_file_short_by_one_byte_is_noticed_at_once(store: Path, name: str) -> None:
    path = store / WEB / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError, match=rf"{name} has \d+ bytes instead of \d+.*run again"):
        open_store(store)


@pytest.mark.parametrize("name", ["tokens-00001.bin", "documents-00001.bin", "manifest.json"])
def test_a_missing_file_is_noticed_at_once(store: Path, name: str) -> None:
    if name == "manifest.json":
        shutil.rmtree(store)
        name = "holds no token store"
    else:
        (store / WEB / name).unlink()
    with pytest.raises(StorageError, match=name):
        open_store(store)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


def test_a_flipped_bit_is_noticed_when_its_shard_is_touched(store: Path) -> None:
    flip(store / WEB / "tokens-00001.bin")
    array = open_store(store).splits["train"]["web"]
    first = array.manifest.shards[0].tokens
    assert len(array.read(0, first)) == first
    for read in (
        lambda: array.read(first, 1),
        lambda: array.read(0, array.tokens),
        lambda: array.gather(np.array([first - 3]), 10),
    ):
        with pytest.raises(StorageError, match=r"tokens-00001\.bin holds other bytes.*run again"):
            read()


def test_a_flipped_bit_in_document_starts_is_noticed(store: Path) -> None:
    flip(store / WEB / "documents-00001.bin")
    array = open_store(store).splits["train"]["web"]
    with pytest.raises(StorageError, match=r"documents-00001\.bin holds other bytes"):
        _ = array.document_starts


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"tokenizer"', '"other"'),
        lambda text: text.replace('"token_file"', '"other"', 1),
        lambda text: text.replace('"xxh3"', '"other"', 1),
        lambda text: text.replace('"format": 2', '"format": "two"'),
        lambda text: text.replace('"end_of_text"', '"other"'),
        lambda text: text.replace('"begin_of_text": null', '"begin_of_text": "<s>"'),
    ],
)
def test_a_damaged_manifest_is_named(store: Path, damage) -> None:
    path = store / WEB / "manifest.json"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(StorageError, match=r"web/manifest\.json is damaged.*run again"):
        open_store(store)


def test_a_newer_format_is_a_version_error(store: Path) -> None:
    path = store / WEB / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "format": 3}), encoding="utf-8")
    with pytest.raises(VersionError, match=r"has format 3, and this Hornbook reads up to 2"):
        open_store(store)


def test_the_first_format_is_still_read(store: Path) -> None:
    path = store / WEB / "manifest.json"
    expected = open_store(store).splits["train"]["web"]
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["begin_of_text"]
    path.write_text(json.dumps({**content, "format": 1}), encoding="utf-8")
    array = open_store(store).splits["train"]["web"]
    assert array.manifest == expected.manifest
    assert (array.begin_of_text, array.end_of_text) == (None, 266)


def test_counts_that_contradict_the_files_are_noticed(store: Path) -> None:
    path = store / WEB / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["shards"][1]["tokens"] += 1
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(StorageError, match=r"tokens-00001\.bin has"):
        open_store(store)


def test_another_tokenizer_is_noticed(store: Path, tokenizer: ByteBPE) -> None:
    assert open_store(store, tokenizer.fingerprint).tokenizer_fingerprint == tokenizer.fingerprint
    with pytest.raises(StorageError, match="made with another tokenizer"):
        open_store(store, ByteTokenizer().fingerprint)


def test_sources_of_two_tokenizers_are_noticed(store: Path, write: Write, tmp_path: Path) -> None:
    write(tmp_path / "other", using=ByteTokenizer())
    shutil.rmtree(store / WEB)
    shutil.copytree(tmp_path / "other" / WEB, store / WEB)
    with pytest.raises(StorageError, match=r"web was made with another tokenizer"):
        open_store(store)
