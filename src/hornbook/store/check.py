"""Is what lies on disk what was written? Sizes are compared at once, bytes when first used.

Each fault is one sentence that names the file: a size that differs (a torn or shortened file), a
checksum that differs (altered bytes), another tokenizer (ids that mean something else).
"""

from pathlib import Path

from hornbook.errors import StorageError
from hornbook.recipe.fingerprint import file_digest
from hornbook.store.manifest import REBUILD, STARTS_DTYPE, FileRecord, Manifest, Shard


def check_sizes(directory: Path, manifest: Manifest) -> None:
    """Compare every file's size with the manifest, and the manifest with itself.

    Raises StorageError at the first difference.
    """
    for shard in manifest.shards:
        counted = (
            (shard.token_file, shard.tokens * manifest.dtype.itemsize),
            (shard.start_file, shard.documents * STARTS_DTYPE.itemsize),
        )
        for record, expected in counted:
            path = directory / record.name
            if not path.is_file():
                raise StorageError(f"{path} is missing: {REBUILD}.")
            found = path.stat().st_size
            if found != record.bytes or found != expected:
                raise StorageError(
                    f"{path} has {found} bytes instead of {expected}, so it is torn or altered: "
                    f"{REBUILD}."
                )


def check_digests(directory: Path, shard: Shard) -> None:
    """Compare the checksums of a shard's two files (about 18 GB/s).

    Raises StorageError where one differs.
    """
    for record in (shard.token_file, shard.start_file):
        check_digest(directory, record)


def check_digest(directory: Path, record: FileRecord) -> None:
    """Compare one file's checksum; raises StorageError where it differs."""
    path = directory / record.name
    if file_digest(path) != record.xxh3:
        raise StorageError(
            f"{path} holds other bytes than were written (its checksum differs): {REBUILD}."
        )


def check_tokenizer(path: Path, found: str, expected: str) -> None:
    """Compare fingerprints of tokenizers; raises StorageError where they differ."""
    if found != expected:
        raise StorageError(
            f"{path} was made with another tokenizer ({found[:8]}) than the one asked for "
            f"({expected[:8]}), so its ids mean other text: {REBUILD}, or use its own tokenizer."
        )
