"""tiktoken's file of ranks: one line a token, its bytes in base64 and its rank, which is its id.

The file holds neither the cut nor the special tokens. `save_ranks` writes them into the
`tokenizer_config.json` beside it, and `open_ranks` reads them there; for anyone else's file the
caller says them.

A rank file has no merges: any two neighbours that join to a token may be joined, lowest rank first.
For the files that list merges they are recovered (`recipes.py`).

Source: tiktoken, `load.py` (format) and `_educational.py` (the rule).
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hornbook.errors import TokenizerError
from hornbook.runs.atomic import write_text
from hornbook.tokenizers.byte_bpe import ByteBPE
from hornbook.tokenizers.byte_map import BYTE_ORDER
from hornbook.tokenizers.definition import LARGEST_ID
from hornbook.tokenizers.json_file import read_json
from hornbook.tokenizers.patterns import PATTERNS
from hornbook.tokenizers.recipes import recover_merges
from hornbook.tokenizers.special import END_OF_TEXT, part_name

CONFIG = "tokenizer_config.json"


def open_ranks(
    path: str | Path,
    pattern: str | None = None,
    special_tokens: Mapping[str, int] | Sequence[str] | None = None,
    end_of_text_name: str | None = None,
) -> ByteBPE:
    """The tokenizer in a rank file.

    pattern: a name of PATTERNS, or a regular expression.
    special_tokens: their ids, or names alone that take the ids after the last rank.
    end_of_text_name: which special ends a document.

    What is not given is read in the `tokenizer_config.json` beside the file if it says so, else
    taken to be cl100k's cut, and `<|endoftext|>` after the last rank. Gaps between ranks stay ids
    without a token.

    Raises TokenizerError where a line, rank, byte or special token is damaged, doubled or missing.
    """
    path = Path(path)
    tokens = _read_ranks(path)
    config = _read_config(path.with_name(CONFIG), len(tokens))
    cut = pattern or str(config.get("pattern", "cl100k"))
    named = special_tokens if special_tokens is not None else config.get("special_tokens")
    specials = _numbered(named if named is not None else (END_OF_TEXT,), tokens, path)
    end = end_of_text_name or config.get("eos_token") or part_name("end_of_text", specials)
    return ByteBPE(
        tokens, recover_merges(tokens), PATTERNS.get(cut, cut), specials, str(end) or END_OF_TEXT
    )


def save_ranks(tokenizer: ByteBPE, path: str | Path) -> None:
    """Write the rank file, and what it lacks into the `tokenizer_config.json` beside it.

    Always exact: ranks are what `ByteBPE` encodes by.
    """
    path = Path(path)
    by_rank = sorted(tokenizer.tokens.items(), key=lambda item: item[1])
    lines = [f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in by_rank]
    config = {
        "ranks": len(lines),
        "pattern": tokenizer.pattern,
        "special_tokens": dict(tokenizer.special_tokens),
        "eos_token": tokenizer.end_of_text_name,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(lines))
    write_text(path.with_name(CONFIG), json.dumps(config, ensure_ascii=False, indent=1) + "\n")


def _read_ranks(path: Path) -> dict[bytes, int]:
    """Bytes to rank; every line is held to be one new token with a new rank."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise TokenizerError(f"{path} cannot be read: {error.strerror}.") from None
    tokens: dict[bytes, int] = {}
    taken: set[int] = set()
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            coded, written = line.split()
            token, rank = base64.b64decode(coded, validate=True), int(written)
        except (ValueError, binascii.Error):
            raise _damaged(path, number, "is no token in base64 and a rank") from None
        if not token or not 0 <= rank <= LARGEST_ID:
            raise _damaged(path, number, f"gives {token!r} the rank {rank}")
        if token in tokens or rank in taken:
            raise _damaged(path, number, f"repeats the token {token!r} or the rank {rank}")
        tokens[token] = rank
        taken.add(rank)
    missing = [byte for byte in BYTE_ORDER if byte not in tokens]
    if missing:
        raise TokenizerError(
            f"{path} has no token for {len(missing)} of the 256 bytes: it is torn, or no file of "
            "byte ranks; fetch it again."
        )
    return tokens


def _damaged(path: Path, number: int, how: str) -> TokenizerError:
    return TokenizerError(f"{path} is damaged: line {number} {how}; fetch or save it again.")


def _read_config(path: Path, ranks: int) -> Mapping[str, Any]:
    """What the configuration beside says; nothing where it is another program's or not there.

    ranks: how many the rank file has; less than were written means that it is torn at a line.
    """
    if not path.is_file():
        return {}
    config = read_json(path)
    if "ranks" not in config:
        return {}
    if config["ranks"] != ranks:
        raise TokenizerError(
            f"{path} belongs to {config['ranks']} ranks, the file beside it has {ranks}: one of "
            "them is torn or another's; save both again."
        )
    specials = config.get("special_tokens")
    if not isinstance(specials, dict) or not all(isinstance(one, int) for one in specials.values()):
        raise TokenizerError(f"{path} has no table special_tokens of ids: save it again.")
    return config


def _numbered(
    named: Mapping[str, int] | Sequence[str], tokens: Mapping[bytes, int], path: Path
) -> dict[str, int]:
    """Special tokens with their ids, which no rank may have."""
    if isinstance(named, Mapping):
        specials = {name: int(number) for name, number in named.items()}
    else:
        first = 1 + max(tokens.values())
        specials = {name: first + place for place, name in enumerate(named)}
    ids = [*tokens.values(), *specials.values()]
    if len(set(ids)) < len(ids) or not all(0 <= number <= LARGEST_ID for number in ids):
        raise TokenizerError(
            f"The special tokens of {path} take the ids {', '.join(map(str, specials.values()))}, "
            "of which one is taken by a rank or by another: give each its own."
        )
    return specials
