"""A store that is not its corpus's is noticed, and the first difference is named."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from stored_texts import TEXTS, Write, batches

from hornbook.errors import StorageError
from hornbook.recipe.fingerprint import file_digest
from hornbook.store.audit import audit_ids, audit_text
from hornbook.store.manifest import MANIFEST, read_manifest, write_manifest
from hornbook.store.reader import TokenArray
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.tokenizer import Tokenizer

BYTES = ByteTokenizer()
WEB = TEXTS["train", "web"]


@pytest.fixture
def place(write: Write, tmp_path: Path) -> Path:
    write(using=BYTES, shard_tokens=300)
    return tmp_path / "store/train/web"


def reseal(place: Path, **changes: int) -> None:
    """Make checksums anew, as one who alters a store on purpose would; change counts of shard 1."""
    manifest = read_manifest(place / MANIFEST)
    shards = []
    for shard in manifest.shards:
        files = {
            name: dataclasses.replace(record, xxh3=file_digest(place / record.name))
            for name, record in (("token_file", shard.token_file), ("start_file", shard.start_file))
        }
        shards.append(dataclasses.replace(shard, **files))
    shards[1] = dataclasses.replace(shards[1], **changes)
    write_manifest(place / MANIFEST, dataclasses.replace(manifest, shards=tuple(shards)))


def alter(path: Path, place: int, value: int, dtype: str = "<u2") -> None:
    numbers = np.fromfile(path, dtype)
    numbers[place] = value
    numbers.tofile(path)


def audit(place: Path, texts: list[str] = WEB, tokenizer: Tokenizer = BYTES) -> tuple[int, int]:
    """Tokens and bytes that were looked at."""
    array = TokenArray(place)
    done: list[int] = []
    audit_ids(array, tokenizer, done.append)
    tokens = sum(done)
    assert audit_text(array, batches(texts), tokenizer, done.append) == sum(done) - tokens
    return tokens, sum(done) - tokens


@pytest.mark.parametrize("separator", ["end", "start", "both"])
@pytest.mark.parametrize("kind", ["byte-bpe", "byte", "lossy"])
def test_a_sound_store_is_sound(
    write: Write, tmp_path: Path, tokenizer: Tokenizer, kind: str, separator: str
) -> None:
    used = {"byte-bpe": tokenizer, "byte": BYTES, "lossy": Lossy()}[kind]
    write(using=used, separator=separator)
    for source in ("web", "books"):
        place = tmp_path / "store/train" / source
        looked = audit(place, TEXTS["train", source], used)
        array = TokenArray(place)
        assert looked == (array.tokens, array.bytes)


class Lossy(ByteTokenizer):
    """Knows no digits, and says so."""

    lossless = False

    def encode(self, text):
        return super().encode("".join(letter for letter in text if not letter.isdigit()))


def test_a_flipped_token_with_its_checksum_made_anew_is_named(place: Path) -> None:
    alter(place / "tokens-00000.bin", 3, ord("x"))
    reseal(place)
    with pytest.raises(
        StorageError,
        match=r"document 0 \(id-0\) reads 'xment 0: ' at byte 3, and in the corpus 'ument 0: '",
    ):
        audit(place)


def test_a_flipped_token_of_a_lossy_kind_is_named(write: Write, tmp_path: Path) -> None:
    write(using=Lossy(), shard_tokens=300)
    place = tmp_path / "store/train/web"
    alter(place / "tokens-00000.bin", 3, ord("x"))
    reseal(place)
    with pytest.raises(StorageError, match=r"document 0 \(id-0\) has other ids than its text"):
        audit(place, WEB, Lossy())


def test_swapped_documents_are_named(place: Path) -> None:
    texts = [*WEB[:20], WEB[27], *WEB[21:27], WEB[20], *WEB[28:]]
    with pytest.raises(StorageError, match=r"document 20 \(id-20\) reads '0: it .* corpus '7: it"):
        audit(place, texts)


@pytest.mark.parametrize("missing", [0, 31, 59])
def test_a_missing_document_is_named(write: Write, tmp_path: Path, missing: int) -> None:
    left = [text for number, text in enumerate(WEB) if number != missing]
    write(using=BYTES, texts={**TEXTS, ("train", "web"): left})
    with pytest.raises(StorageError) as caught:
        audit(tmp_path / "store/train/web")
    assert "web has 59 documents, and the corpus 60" in str(caught.value)
    assert (f"document {missing} (id-{missing}) reads" in str(caught.value)) == (missing < 59)


def test_a_document_too_many_is_named(place: Path) -> None:
    with pytest.raises(StorageError, match="web has 60 documents, and the corpus 58"):
        audit(place, WEB[:58])


def test_an_altered_file_is_named(place: Path) -> None:
    alter(place / "tokens-00002.bin", 3, ord("x"))
    with pytest.raises(StorageError, match=r"tokens-00002\.bin holds other bytes"):
        audit(place)


def test_a_missing_separator_is_named(place: Path) -> None:
    starts = np.fromfile(place / "documents-00001.bin", "<u8")
    alter(place / "tokens-00001.bin", int(starts[2] - starts[0]) - 1, ord("x"))
    reseal(place)
    with pytest.raises(StorageError, match=r"Document 1 of .*tokens-00001\.bin has no separator"):
        audit(place)


@pytest.mark.parametrize("token_id", [256, 259])
def test_a_special_token_amid_text_is_named(place: Path, token_id: int) -> None:
    alter(place / "tokens-00001.bin", 4, token_id)
    reseal(place)
    with pytest.raises(StorageError, match=r"The special token <\|end.* times in .*00001\.bin"):
        audit(place)


def test_an_id_beyond_the_vocabulary_is_named(place: Path) -> None:
    alter(place / "tokens-00001.bin", 4, 260)
    reseal(place)
    with pytest.raises(StorageError, match=r"00001\.bin holds the id 260, and the tokenizer has"):
        audit(place)


@pytest.mark.parametrize(("index", "start"), [(0, 0), (3, 10**6), (3, 0)])
def test_wrong_places_of_documents_are_named(place: Path, index: int, start: int) -> None:
    alter(place / "documents-00001.bin", index, start, "<u8")
    reseal(place)
    with pytest.raises(StorageError, match=r"documents-00001\.bin has wrong places where"):
        audit(place)


def test_a_wrong_count_of_bytes_is_named(place: Path) -> None:
    reseal(place, bytes=5)
    with pytest.raises(StorageError, match=r"00001\.bin stand for \d+ bytes .* manifest says 5"):
        audit(place)
