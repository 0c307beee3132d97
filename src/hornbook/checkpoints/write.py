"""Save a checkpoint so that a kill, a full disk or a bad write loses nothing saved before."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from hornbook.checkpoints import FORMAT_VERSION, MANIFEST_FILE, TRAINING_FILE, WEIGHTS_FILE
from hornbook.checkpoints.read import Checkpoint, checkpoints_in, own_checksum, read
from hornbook.checkpoints.tensors import write_tensors
from hornbook.runs.atomic import (
    rename_directory,
    reporting_full_disk,
    require_free_space,
    write_text,
)
from hornbook.runs.checksums import measure

KEEP = 2
HEADER_BYTES = 1 << 20
PARTIAL, REPLACED = UNFINISHED = (".partial", ".replaced")


def write(
    parent: str | Path,
    step: int,
    weights: Mapping[str, Tensor],
    training: Mapping[str, Tensor],
    counters: Mapping[str, Any],
    keep: int = KEEP,
) -> Path:
    """Write `parent`/step-00000100 and remove all but the newest `keep`; return its path.

    In order: look at free space, write beside, flush, rename, verify by reading back, and only then
    prune. One that stands there for the same step is replaced.

    Raises:
        StorageError: the disk is full, or what was written does not read back; older checkpoints
            are untouched.
    """
    final = Path(parent) / f"step-{step:08d}"
    beside = final.with_name(final.name + PARTIAL)
    needed = sum(t.nbytes for t in (*weights.values(), *training.values())) + HEADER_BYTES
    require_free_space(final, needed, f"the checkpoint of step {step}")
    try:
        with reporting_full_disk(final):
            remove_unfinished(final.parent)
            beside.mkdir(parents=True)
            write_tensors(beside / WEIGHTS_FILE, weights)
            write_tensors(beside / TRAINING_FILE, training)
            manifest = {
                "format": FORMAT_VERSION,
                "step": step,
                "counters": dict(counters),
                "files": measure(beside),
            }
            manifest["xxh3"] = own_checksum(manifest)
            write_text(beside / MANIFEST_FILE, json.dumps(manifest, indent=1) + "\n")
            _put_in_place(beside, final)
    except BaseException:
        _remove(beside)
        raise
    prune(read(final), keep)
    return final


def prune(verified: Checkpoint, keep: int) -> None:
    """Remove all checkpoints beside a verified one but the newest `keep`, and never that one.

    What a kill left half-written or half-replaced there goes too.
    """
    parent = verified.path.parent
    remove_unfinished(parent)
    for path in checkpoints_in(parent)[keep:]:
        if path != verified.path:
            _remove(path)


def remove_unfinished(parent: Path) -> None:
    """Remove what a kill left of a checkpoint being written or replaced."""
    for suffix in UNFINISHED:
        for path in parent.glob(f"step-*{suffix}"):
            _remove(path)


def _put_in_place(beside: Path, final: Path) -> None:
    """Rename the finished directory; one of the same step steps aside until that is done."""
    replaced = final.with_name(final.name + REPLACED)
    if final.exists():
        final.rename(replaced)
    rename_directory(beside, final)
    _remove(replaced)


def _remove(path: Path) -> None:
    """Remove a directory if it is there."""
    if path.exists():
        shutil.rmtree(path)
