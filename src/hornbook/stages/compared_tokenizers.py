"""Tokenizers by what people call them: a folder, file or run that holds one, or a kind to train.

runs/demo, tokenizer.json     opened
byte-bpe:4096                 trained here, on the training side of the text
byte-bpe with sizes           one for each size; of byte-level BPE the largest holds the others
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hornbook.errors import InputError, TokenizerError
from hornbook.runs.progress import Progress
from hornbook.tokenizers import TOKENIZERS, load_tokenizer, train_tokenizer
from hornbook.tokenizers.comparison import nested
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.options import SIZES, TokenizerOptions
from hornbook.tokenizers.special import SPECIAL_SETS
from hornbook.tokenizers.tokenizer import Tokenizer

NESTED = "byte-bpe"
"""The kind of which one training serves every smaller size."""


@dataclass(frozen=True)
class Asked:
    """One tokenizer that is asked for: a place to open, or a kind to train; then its size.

    size: ids; 0 is all that the opened one has.
    """

    name: str
    place: str = ""
    kind: str = ""
    size: int = 0


def asked_for(names: Sequence[str], sizes: Sequence[int] = ()) -> tuple[Asked, ...]:
    """What the words of a command line ask for.

    Raises InputError for a kind without a size, a size that none can have, or two tokenizers of one
    name.
    """
    for size in sizes:
        _require_size("--sizes", size)
    found = [asked for name in names for asked in _asked(name, sorted(set(sizes)))]
    shown = [asked.name for asked in found]
    twice = [name for name in shown if shown.count(name) > 1]
    if twice:
        raise InputError(f"{twice[0]} is named twice; name each tokenizer once.")
    return tuple(found)


def _asked(name: str, sizes: Sequence[int]) -> Iterator[Asked]:
    kind, _, size = name.partition(":")
    if kind not in TOKENIZERS:
        yield from (Asked(f"{name}:{each}", name, "", each) for each in sizes)
        if not sizes:
            yield Asked(name, name)
    elif kind == "byte":
        yield Asked("byte", "", kind, size_of_bytes())
    elif size or sizes:
        if size and not re.fullmatch(r"[0-9]{1,18}", size):
            raise InputError(f"{name} has no size after the colon; write {kind}:4096.")
        if size:
            _require_size(name, int(size))
        for each in [int(size)] if size else sizes:
            yield Asked(f"{kind}:{each}", "", kind, each)
    else:
        raise InputError(
            f"{name} is a kind of tokenizer, to be trained here, and has no size; write "
            f"{name}:4096, or give --sizes."
        )


def _require_size(words: str, size: int) -> None:
    if size not in SIZES:
        raise InputError(
            f"{words} asks for {size:,} ids; a tokenizer has {SIZES[0]} to {SIZES[-1]:,}."
        )


def size_of_bytes(special_tokens: str = "chat") -> int:
    """Ids of the byte tokenizer with a set of special tokens: it has one size."""
    return 256 + len(SPECIAL_SETS[special_tokens])


def tokenizers_for(
    asked: Sequence[Asked], training: Sequence[str], progress: Progress
) -> list[tuple[Asked, Tokenizer]]:
    """Open or train all, in the order asked for.

    Raises TokenizerError, with a line for each that cannot be opened, trained or made smaller;
    InputError where one is to be trained and there is no text for it.
    """
    known: dict[str, Tokenizer] = {}
    largest = max((one.size for one in asked if one.kind == NESTED), default=0)
    found: list[tuple[Asked, Tokenizer]] = []
    faults: dict[str, None] = {}
    failed: set[str] = set()  # several sizes may need the same one, which is tried once
    for one in asked:
        size = largest if one.kind == NESTED else one.size
        key = one.place or f"{one.kind}:{size}"
        if key in failed:
            continue
        try:
            if key not in known:
                known[key] = _made(one, key, size, training, progress)
            whole = known[key]
            smaller = one.size not in (0, whole.vocab_size)
            found.append(
                (one, nested(whole, one.size) if smaller and _nests(one, whole) else whole)
            )
        except TokenizerError as error:
            faults[str(error)] = None
            failed |= {key} - known.keys()
    if faults:
        raise TokenizerError("\n".join(faults))
    return found


def _made(
    one: Asked, key: str, size: int, training: Sequence[str], progress: Progress
) -> Tokenizer:
    if one.place:
        return load_tokenizer(Path(one.place).expanduser())
    progress.say(f"learning {key}")
    return _trained(one.kind, size, training)


def _nests(one: Asked, whole: Tokenizer) -> bool:
    return bool(one.place) or isinstance(whole, ByteBPE)


def _trained(kind: str, size: int, training: Sequence[str]) -> Tokenizer:
    if not training:
        raise InputError(
            f"There is no text to train {kind} on once a tenth is held out; give more text."
        )
    options = TokenizerOptions(kind=kind, vocab_size=size)
    try:
        return train_tokenizer(kind, training, size, **options.of_kind())
    except TokenizerError as error:
        raise TokenizerError(f"{kind}:{size}: {error}") from None
