"""Find, verify and open checkpoints."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash
from safetensors.torch import load_file
from torch import Tensor

from hornbook.checkpoints import FORMAT_VERSION, MANIFEST_FILE, TRAINING_FILE, WEIGHTS_FILE
from hornbook.errors import StorageError, VersionError
from hornbook.runs.checksums import fault

NAME = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint; tensors are read when asked for."""

    path: Path
    step: int
    counters: Mapping[str, Any]

    def weights(self) -> dict[str, Tensor]:
        """The model's weights in fp32, by our own names, on the CPU."""
        return load_file(self.path / WEIGHTS_FILE)

    def training(self) -> dict[str, Tensor]:
        """The optimiser's state and whatever else training goes on with, by name."""
        return load_file(self.path / TRAINING_FILE)


def read(path: str | Path) -> Checkpoint:
    """Open one checkpoint after checking every byte of it.

    Raises:
        StorageError: a file is missing, torn or altered. VersionError: a newer Hornbook wrote it.
    """
    path = Path(path)
    try:
        manifest = json.loads((path / MANIFEST_FILE).read_text(encoding="utf-8"))
        version = int(manifest["format"])
        if version > FORMAT_VERSION:
            raise VersionError(
                f"{path}: the checkpoint has format {version}, this Hornbook reads up to "
                f"{FORMAT_VERSION}; update Hornbook."
            )
        if manifest["xxh3"] != own_checksum(manifest):
            raise ValueError("it has other bytes than when it was written")
        checkpoint = Checkpoint(path, int(manifest["step"]), dict(manifest["counters"]))
        found = fault(path, {name: dict(row) for name, row in manifest["files"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{path}: the checkpoint has no readable manifest ({error}); delete this directory and "
            "use an older one."
        ) from error
    if found:
        raise StorageError(f"{found}; delete {path} and use an older checkpoint.")
    return checkpoint


def own_checksum(manifest: Mapping[str, Any]) -> str:
    """The checksum under "xxh3" in a manifest: of all else that it holds, as JSON gives it back."""
    rest = json.loads(json.dumps({name: manifest[name] for name in manifest if name != "xxh3"}))
    return xxhash.xxh3_128_hexdigest(json.dumps(rest, sort_keys=True).encode())


def newest(parent: str | Path, report: Callable[[str], None]) -> Checkpoint | None:
    """The newest good checkpoint below `parent`; each damaged one passed over is reported.

    None where there is none at all.

    Raises:
        StorageError: there are checkpoints and all are damaged. VersionError: the newest readable
            one was written by a newer Hornbook.
    """
    found = checkpoints_in(parent)
    for path in found:
        try:
            return read(path)
        except StorageError as error:
            report(str(error))
    if found:
        raise StorageError(
            f"{parent}: all {len(found)} checkpoints are damaged; restore one from a backup, or "
            f"delete {parent} to train from the beginning."
        )
    return None


def checkpoints_in(parent: str | Path) -> list[Path]:
    """Directories that bear a checkpoint's name, newest step first; nothing is verified."""
    parent = Path(parent)
    if not parent.is_dir():
        return []
    steps = {path: match for path in parent.iterdir() if (match := NAME.fullmatch(path.name))}
    return sorted(steps, key=lambda path: int(steps[path][1]), reverse=True)
