"""What a stage left on the disk: each file's size and xxh3_128, measured once, verified later."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

Outputs = Mapping[str, Mapping[str, Any]]


def measure(directory: Path) -> dict[str, dict[str, Any]]:
    """Return relative path -> {"bytes", "xxh3"} for every file below a directory, sorted."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): {
            "bytes": path.stat().st_size,
            "xxh3": checksum(path),
        }
        for path in files
    }


def fault(directory: Path, outputs: Outputs) -> str | None:
    """Say which output is missing or altered, or None; all sizes first, for they cost nothing."""
    if not directory.is_dir():
        return f"{directory} is missing"
    for name, expected in outputs.items():
        path = directory / name
        if not path.is_file():
            return f"{path} is missing"
        if path.stat().st_size != expected["bytes"]:
            return f"{path} has another size than when it was written"
    for name, expected in outputs.items():
        if checksum(directory / name) != expected["xxh3"]:
            return f"{directory / name} has other bytes than when it was written"
    return None


def digest(outputs: Outputs) -> str:
    """Identify all outputs of a stage by one digest of their names and checksums."""
    lines = (f"{name}\0{outputs[name]['xxh3']}\n" for name in sorted(outputs))
    return xxhash.xxh3_128_hexdigest("".join(lines).encode())


def checksum(path: Path) -> str:
    """Return the xxh3_128 of a file's bytes as 32 hex characters, reading it piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
