"""One tokenizer from near: what it is, its special tokens, its tokens in order, their lengths."""

from collections.abc import Iterator

import numpy as np

from hornbook.reporting.terminal import Table
from hornbook.reporting.tokens import visible
from hornbook.tokenizers.comparison import longest_tokens, ordinary_ids
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.special import PARTS
from hornbook.tokenizers.tokenizer import Tokenizer

BAR = 40
"""Characters of the histogram's longest bar."""

LONGEST_ROW = 12
"""Tokens of so many bytes and more share a row of the histogram."""

NAMED_SPECIALS = 20
"""More special tokens than this are counted, not listed (T5 has a hundred sentinels)."""


def inspected(tokenizer: Tokenizer, count: int = 10) -> Iterator[Table | str]:
    """The tables of a tokenizer; `count` tokens in each list."""
    yield Table("", ("what", "value"), tuple(_facts(tokenizer)))
    if tokenizer.special_tokens:
        yield _specials(tokenizer)
    yield _tokens(tokenizer, count)
    longest = " ".join(
        visible(tokenizer.token_bytes(number)) for number in longest_tokens(tokenizer, count)
    )
    yield f"longest: {longest}"
    yield _lengths(tokenizer)


def _facts(tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    ordinary = len(ordinary_ids(tokenizer))
    yield "kind", tokenizer.kind
    yield "ids", f"{tokenizer.vocab_size:,}"
    yield "ordinary tokens", f"{ordinary:,}"
    yield "special tokens", f"{len(tokenizer.special_tokens):,}"
    gaps = tokenizer.vocab_size - ordinary - len(tokenizer.special_tokens)
    if gaps:
        yield "ids without a token", f"{gaps:,}"
    yield "lossless", "yes" if tokenizer.lossless else "no"
    unknown = tokenizer.unknown
    yield "unknown text", "none" if unknown is None else f"id {unknown}"
    if tokenizer.edge_space:
        yield "adds a space", f"{tokenizer.edge_space} every text"
    pattern = getattr(tokenizer, "pattern", "")
    if pattern:
        yield "pattern", str(pattern)
    yield "fingerprint", tokenizer.fingerprint


def _specials(tokenizer: Tokenizer) -> Table:
    """Special tokens with the parts that they play."""
    names = tokenizer.special_tokens
    parts: dict[str, list[str]] = {name: [] for name in names}
    for part in PARTS:
        if name := tokenizer.name_of(part):
            parts[name].append(part)
    if (
        tokenizer.end_of_text_name in names
        and "end_of_text" not in parts[tokenizer.end_of_text_name]
    ):
        parts[tokenizer.end_of_text_name].append("end_of_text")
    rows = tuple((str(names[name]), name, ", ".join(own)) for name, own in parts.items())
    some = f", the first {NAMED_SPECIALS} of {len(rows)}" if len(rows) > NAMED_SPECIALS else ""
    return Table(f"Special tokens{some}", ("id", "name", "part"), rows[:NAMED_SPECIALS], (0,))


def _tokens(tokenizer: Tokenizer, count: int) -> Table:
    """The first ids whose tokens have several bytes, and the last, with what was merged."""
    ids = ordinary_ids(tokenizer)
    several = ids[tokenizer.byte_lengths[ids] > 1]
    shown = [*several[:count], *several[max(count, len(several) - count) :]]
    tokens = [tokenizer.token_bytes(int(number)) for number in shown]
    merges = tokenizer.merges if isinstance(tokenizer, ByteBPE) else ()
    made = {left + right: f"{visible(left)} + {visible(right)}" for left, right in merges}
    rows = tuple(
        (str(number), visible(token), *([made.get(token, "")] if made else []))
        for number, token in zip(shown, tokens, strict=True)
    )
    return Table("Tokens", ("id", "token", *(["merged from"] if made else [])), rows, (0,))


def _lengths(tokenizer: Tokenizer) -> Table:
    """How many ordinary tokens have how many bytes."""
    lengths = tokenizer.byte_lengths[ordinary_ids(tokenizer)]
    counts = np.bincount(np.minimum(lengths, LONGEST_ROW), minlength=LONGEST_ROW + 1)
    most = max(1, int(counts.max()))
    rows = tuple(
        (
            f"{length}" + ("+" if length == LONGEST_ROW else ""),
            f"{counts[length]:,}",
            "█" * round(BAR * int(counts[length]) / most),
        )
        for length in range(1, LONGEST_ROW + 1)
    )
    return Table("Lengths", ("bytes", "tokens", ""), rows, (0, 1))
