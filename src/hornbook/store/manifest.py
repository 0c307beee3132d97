"""What a source's manifest says, and how it stands on disk.

format       version of this layout
tokenizer    fingerprint of the tokenizer that made the ids
vocab_size   number of its ids
begin_of_text, end_of_text    the id before and after each document's text; null where none stands
dtype        uint16 where every id fits, else uint32; little-endian
tokens, documents, bytes    counts of the source; bytes are those of the text's UTF-8
shards       the same counts for each shard, and for each of its two files size and xxh3_128

Format 1 had no begin_of_text: nothing stood before a text.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hornbook.errors import StorageError, VersionError
from hornbook.runs.atomic import write_text
from hornbook.store.separators import Separators

FORMAT_VERSION = 2
MANIFEST = "manifest.json"
SPLITS = ("train", "validation")
STARTS_DTYPE = np.dtype("<u8")
REBUILD = "run again to rebuild the store from the corpus"


@dataclass(frozen=True)
class FileRecord:
    """Size and checksum of one file."""

    name: str
    bytes: int
    xxh3: str


@dataclass(frozen=True)
class Shard:
    """One pair of files: ids, and where in the whole source each of its documents starts."""

    tokens: int
    documents: int
    bytes: int
    token_file: FileRecord
    start_file: FileRecord


@dataclass(frozen=True)
class Manifest:
    """One source of one split."""

    tokenizer: str
    vocab_size: int
    separators: Separators
    shards: tuple[Shard, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of an id on disk."""
        return np.dtype("<u2" if self.vocab_size <= 1 << 16 else "<u4")

    @property
    def tokens(self) -> int:
        """Ids in all, separators included."""
        return sum(shard.tokens for shard in self.shards)

    @property
    def documents(self) -> int:
        """Documents in all."""
        return sum(shard.documents for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Bytes of UTF-8 text behind the ids."""
        return sum(shard.bytes for shard in self.shards)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write it as JSON, whole or not at all; the same manifest gives the same bytes."""
    content = {
        "format": FORMAT_VERSION,
        "tokenizer": manifest.tokenizer,
        "vocab_size": manifest.vocab_size,
        "begin_of_text": manifest.separators.begin_of_text,
        "end_of_text": manifest.separators.end_of_text,
        "dtype": manifest.dtype.name,
        "tokens": manifest.tokens,
        "documents": manifest.documents,
        "bytes": manifest.bytes,
        "shards": [dataclasses.asdict(shard) for shard in manifest.shards],
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_manifest(path: Path) -> Manifest:
    """Read it back.

    Raises VersionError for a newer format, StorageError for a file that is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = int(content["format"])
    except FileNotFoundError:
        raise StorageError(f"{path} is missing: {REBUILD}.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} is damaged ({error!r}): {REBUILD}.") from None
    if version > FORMAT_VERSION:
        raise VersionError(
            f"{path} has format {version}, and this Hornbook reads up to {FORMAT_VERSION}: update "
            "Hornbook, or rebuild the store with this version in another run directory."
        )
    try:
        return Manifest(
            tokenizer=str(content["tokenizer"]),
            vocab_size=int(content["vocab_size"]),
            separators=Separators(
                _separator(content.get("begin_of_text")), _separator(content["end_of_text"])
            ),
            shards=tuple(_shard(shard) for shard in content["shards"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} is damaged ({error!r}): {REBUILD}.") from None


def _separator(value: Any) -> int | None:
    return None if value is None else int(value)


def _shard(content: Mapping[str, Any]) -> Shard:
    return Shard(
        tokens=int(content["tokens"]),
        documents=int(content["documents"]),
        bytes=int(content["bytes"]),
        token_file=FileRecord(**content["token_file"]),
        start_file=FileRecord(**content["start_file"]),
    )
