"""Stable digests of values and files, and seeds derived from purposes.

A fingerprint is xxh3_128 (Collet, https://xxhash.com) of canonical JSON: keys sorted, no spaces,
ASCII only, floats by their shortest repr. It is the same for ever and on every machine; golden
values in the tests hold it so. It guards against accidents, not against attackers.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from hornbook.recipe.options import Options


def fingerprint(value: Any) -> str:
    """Return 32 hex characters that identify a value; options give their hashed fields only.

    Takes options, frozen dataclasses, mappings with text keys, lists, tuples, text, bytes, numbers,
    truth values and None. Raises `TypeError` for anything else and `ValueError` for NaN and
    infinities, which have no canonical form.
    """
    return xxhash.xxh3_128_hexdigest(_canonical(value))


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed for one purpose: the same for ever, unrelated between purposes."""
    return xxhash.xxh3_64_intdigest(_canonical([seed, *purpose])) & (2**63 - 1)


def file_digest(path: str | Path) -> str:
    """Return the xxh3_128 of a file's bytes as 32 hex characters, reading it piece by piece."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()


def _canonical(value: Any) -> bytes:
    text = json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return text.encode("ascii")


def _plain(value: Any) -> Any:
    """Reduce a value to what JSON holds; two different values never become the same by accident."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Options):
        return _plain(value.hashed())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {type(value).__name__: _plain(fields)}
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"a fingerprint needs text as keys, not {wrong[0]!r}")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(f"a fingerprint cannot be made of {type(value).__name__}: {value!r}")
