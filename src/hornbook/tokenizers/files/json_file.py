"""Read a text file, or a JSON object in one, with errors that name the file."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hornbook.errors import TokenizerError


def read_json(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file; raises TokenizerError where there is none.

    A key that stands twice is damage too: which of its values holds is nowhere said.
    """
    text = read_text(path)
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise TokenizerError(
            f"{path} is not whole JSON ({error}): it is torn or damaged; fetch or save it again."
        ) from None
    if not isinstance(value, dict):
        raise TokenizerError(f"{path} holds no JSON object: it is not a tokenizer file.")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def read_text(path: Path, newline: str | None = None) -> str:
    """The text of a UTF-8 file; raises TokenizerError where it cannot be read as such.

    newline: None makes every kind of line end a newline; a newline leaves all as they are.
    """
    try:
        with path.open(encoding="utf-8", newline=newline) as file:
            return file.read()
    except OSError as error:
        raise TokenizerError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise TokenizerError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): it is damaged; "
            "fetch or save it again."
        ) from None
