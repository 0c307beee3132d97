"""tiktoken's file of ranks: one line a token, its bytes in base64 and its rank, which is its id.

The file holds neither the cut nor the special tokens. `save_ranks` writes them into a file beside
it (`mine.tiktoken.json` for `mine.tiktoken`), and `open_ranks` reads them there; for anyone else's
file the caller says them, or a `tokenizer_config.json` beside it. They are never guessed: another
cut gives other ids, and no error.

A rank file has no merges: any two neighbours that join to a token may be joined, lowest rank first.
For the files that list merges they are recovered (`recipes.py`).

Source: tiktoken, `load.py` (format) and `_educational.py` (the rule).
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from operator import index
from pathlib import Path
from typing import Any

from hornbook.errors import TokenizerError
from hornbook.runs.atomic import write_text
from hornbook.tokenizers.byte_map import BYTE_ORDER
from hornbook.tokenizers.files.definition import LARGEST_ID
from hornbook.tokenizers.files.json_file import read_json
from hornbook.tokenizers.files.recipes import recover_merges
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.patterns import PATTERNS
from hornbook.tokenizers.special import part_name

FACTS = ".tiktoken.json"
"""How the name of the file beside ends that holds what the ranks lack."""
ANCHOR = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[AZzG]|\$|(?<!\[)\^|\(\?[a-z]*m)")
"""What holds at other places in tiktoken's engine than in the `tokenizers` library's."""
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

    What is not given is read in the files beside; special tokens that nobody names are none. Gaps
    between ranks stay ids without a token.

    Raises TokenizerError where nobody says the pattern, or a line, rank, byte or special token is
    damaged, doubled or missing.
    """
    path = Path(path)
    tokens, digest = _read_ranks(path)
    facts = _facts_beside(path, digest)
    cut = _cut(path, pattern, facts)
    named = special_tokens if special_tokens is not None else facts.get("special_tokens", ())
    specials = _numbered(named, tokens, path)
    end = end_of_text_name
    if end is None:
        end = str(facts.get("eos_token", part_name("end_of_text", specials)))
    return ByteBPE(tokens, recover_merges(tokens), PATTERNS.get(cut, cut), specials, end)


def _cut(path: Path, pattern: str | None, facts: Mapping[str, Any]) -> str:
    """The regular expression that somebody says, or the name of one."""
    cut = pattern or facts.get("pattern")
    if not isinstance(cut, str):
        raise TokenizerError(
            f"{path} does not say how its text is cut: open it with pattern= one of "
            f"{', '.join(PATTERNS)}, or a regular expression, and special_tokens=, or write "
            f'"pattern" and "special_tokens" into a {CONFIG} beside it.'
        )
    foreign = pattern is not None or "sha256" not in facts
    if foreign and not {cut} & {*PATTERNS, *PATTERNS.values()} and ANCHOR.search(cut):
        raise TokenizerError(
            f"The pattern {cut!r} for {path} has an anchor (^, $, \\A, \\Z, \\z, \\G or (?m)), "
            "which tiktoken reads otherwise than the engine that cuts here: give one without."
        )
    return cut


def save_ranks(tokenizer: ByteBPE, path: str | Path) -> None:
    """Write the rank file, and what it lacks into the file of its name and `.json` beside it.

    Always exact: ranks are what `ByteBPE` encodes by.
    """
    path = Path(path)
    by_rank = sorted(tokenizer.tokens.items(), key=lambda item: item[1])
    ranks = "".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in by_rank)
    facts = {
        "sha256": sha256(ranks.encode()).hexdigest(),
        "pattern": tokenizer.pattern,
        "special_tokens": dict(tokenizer.special_tokens),
        "eos_token": tokenizer.end_of_text_name,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, ranks)
    beside = path.with_name(path.stem + FACTS)
    write_text(beside, json.dumps(facts, ensure_ascii=False, indent=1) + "\n")


def _read_ranks(path: Path) -> tuple[dict[bytes, int], str]:
    """Bytes to rank, and the file's SHA-256; every line is held to be one new token and rank."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TokenizerError(f"{path} cannot be read: {error.strerror}.") from None
    tokens: dict[bytes, int] = {}
    taken: set[int] = set()
    for number, line in enumerate(data.split(b"\n"), 1):
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
    return tokens, sha256(data).hexdigest()


def _damaged(path: Path, number: int, how: str) -> TokenizerError:
    return TokenizerError(f"{path} is damaged: line {number} {how}; fetch or save it again.")


def _facts_beside(path: Path, digest: str) -> Mapping[str, Any]:
    """What the files beside say of the ranks: those saved with them, else a configuration.

    digest: of the rank file; one that was saved with others is another's, or torn.
    """
    beside = path.with_name(path.stem + FACTS)
    if not beside.is_file():
        config = path.with_name(CONFIG)
        return read_json(config) if config.is_file() else {}
    facts = read_json(beside)
    if facts.get("sha256") != digest:
        raise TokenizerError(
            f"{beside} was saved with other ranks than {path.name} holds: one of them is torn or "
            "another's; save both again."
        )
    missing = [name for name in ("pattern", "special_tokens", "eos_token") if name not in facts]
    if missing:
        raise TokenizerError(f"{beside} is damaged: it has no {missing[0]}; save it again.")
    return facts


def _numbered(
    named: Mapping[str, int] | Sequence[str], tokens: Mapping[bytes, int], path: Path
) -> dict[str, int]:
    """Special tokens with their ids, which no rank may have."""
    try:
        if isinstance(named, Mapping):
            specials = {name: index(number) for name, number in named.items()}
        else:
            first = 1 + max(tokens.values())
            specials = {str(name): first + place for place, name in enumerate(named)}
    except TypeError:
        raise TokenizerError(
            f"The special tokens of {path} are no table of ids, and no list of names: {named!r}."
        ) from None
    ids = [*tokens.values(), *specials.values()]
    if len(set(ids)) < len(ids) or not all(0 <= number <= LARGEST_ID for number in ids):
        raise TokenizerError(
            f"The special tokens of {path} take the ids {', '.join(map(str, specials.values()))}, "
            "of which one is taken by a rank or by another: give each its own."
        )
    return specials
