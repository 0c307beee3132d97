"""What a tokenizer makes of text it was not trained on: how short, how whole, how fast.

    bytes per token       UTF-8 bytes of the text / tokens; more is shorter, and says nothing of
                          what is lost: a kind with an unknown token is short where it is blind
    fertility             tokens / words; a word is what stands between whitespace, or one
                          character in scripts without spaces (Rust et al. 2021, arXiv:2012.15613,
                          section 3.1)
    single-byte share     tokens that stand for one byte: what no merge has reached
    unknown share         tokens that are the unknown token
    round-trip failures   pieces x with decode(encode(x)) != normalize(x)

Speed is bytes of text a second of CPU, all threads together, by the quickest of a few rounds.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from hornbook.errors import TokenizerError
from hornbook.tokenizers.byte_map import BYTE_ORDER
from hornbook.tokenizers.held_out import Group
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.tokenizer import Tokenizer

TIMED_BYTES = 500_000
ROUNDS = 3
LONGEST = 5
"""How many of the longest tokens are told."""

AROUND = 20
"""Characters of a failed round trip that are shown from where it fails."""

_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, kana and Han: a character counts as a word."""


@dataclass(frozen=True)
class GroupScore:
    """Counts of one tokenizer on one group of held-out text."""

    source: str
    language: str
    bytes: int
    words: int
    tokens: int
    single_bytes: int
    unknown: int

    @property
    def group(self) -> str:
        """What the rows of tables are called."""
        return str(Group(self.source, self.language))

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes that a token stands for, on average."""
        return self.bytes / max(1, self.tokens)

    @property
    def fertility(self) -> float:
        """Tokens a word."""
        return self.tokens / max(1, self.words)

    @property
    def single_byte_share(self) -> float:
        """Share of the tokens that stand for one byte."""
        return self.single_bytes / max(1, self.tokens)

    @property
    def unknown_share(self) -> float:
        """Share of the tokens that are the unknown one."""
        return self.unknown / max(1, self.tokens)

    def figures(self) -> dict[str, str | float]:
        """The row as data: counts, and what they come to."""
        return {
            **vars(self),
            "bytes_per_token": self.bytes_per_token,
            "fertility": self.fertility,
            "single_byte_share": self.single_byte_share,
            "unknown_share": self.unknown_share,
        }


@dataclass(frozen=True)
class Measured:
    """One tokenizer on all held-out text.

    longest: the longest tokens of the vocabulary. unused: ordinary tokens that the text has not
    used, of `ordinary`. failures: pieces that do not come back; first_failure: where the first one
    differs, "" if none does. megabytes_per_second: 10^6 bytes a second of CPU.
    """

    name: str
    kind: str
    vocab_size: int
    lossless: bool
    fingerprint: str
    groups: tuple[GroupScore, ...]
    longest: tuple[bytes, ...]
    ordinary: int
    unused: int
    pieces: int
    failures: int
    first_failure: str
    megabytes_per_second: float

    @property
    def unused_share(self) -> float:
        """Share of the ordinary tokens that the text has not used."""
        return self.unused / max(1, self.ordinary)

    def figures(self) -> dict[str, object]:
        """All of it as JSON has it; bytes that form no character as \\xNN."""
        return {
            **vars(self),
            "longest": [token.decode("utf-8", "backslashreplace") for token in self.longest],
            "unused_share": self.unused_share,
            "groups": [group.figures() for group in self.groups],
        }


def measure(name: str, tokenizer: Tokenizer, held_out: Mapping[Group, Sequence[str]]) -> Measured:
    """Everything of one tokenizer on texts by their group.

    Raises TokenizerError where there is no text.
    """
    if not any(held_out.values()):
        raise TokenizerError("There is no text to measure a tokenizer on: give some.")
    used = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    groups, failures = [], []
    for group, pieces in held_out.items():
        encoded = tokenizer.encode_batch(pieces)
        used += (counts := _counted(encoded, tokenizer.vocab_size))
        groups.append(_score(group, pieces, counts, tokenizer))
        for piece, ids in zip(pieces, encoded, strict=True):
            failures += [fault] if (fault := _round_trip_fault(tokenizer, piece, ids)) else []
    ordinary = ordinary_ids(tokenizer)
    return Measured(
        name=name,
        kind=tokenizer.kind,
        vocab_size=tokenizer.vocab_size,
        lossless=tokenizer.lossless,
        fingerprint=tokenizer.fingerprint,
        groups=tuple(groups),
        longest=tuple(tokenizer.token_bytes(number) for number in longest_tokens(tokenizer)),
        ordinary=len(ordinary),
        unused=int((used[ordinary] == 0).sum()),
        pieces=sum(map(len, held_out.values())),
        failures=len(failures),
        first_failure=failures[0] if failures else "",
        megabytes_per_second=_speed(tokenizer, [p for part in held_out.values() for p in part]),
    )


def ordinary_ids(tokenizer: Tokenizer) -> Int64[ndarray, " ordinary"]:
    """Ids that are no special token, rising; gaps of the numbering are left out."""
    return np.flatnonzero(tokenizer.byte_lengths)


def longest_tokens(tokenizer: Tokenizer, count: int = LONGEST) -> list[int]:
    """Ids of the longest ordinary tokens by bytes, the longest first, then the smaller id."""
    ids = ordinary_ids(tokenizer)
    order = np.argsort(-tokenizer.byte_lengths[ids], kind="stable")
    return [int(number) for number in ids[order[:count]]]


def nested(tokenizer: Tokenizer, vocab_size: int) -> ByteBPE:
    """The byte-level BPE of fewer ids that the same training would have stopped at.

    Merges are learned one after another, so the first ones are the smaller vocabulary; special
    tokens come last again, in their order. vocab_size counts them.

    Raises TokenizerError for another kind, and for a size it cannot have.
    """
    if not isinstance(tokenizer, ByteBPE):
        raise TokenizerError(
            f"A tokenizer of kind {tokenizer.kind} has no smaller one inside: train it at each "
            "size, or take byte-bpe."
        )
    specials = list(tokenizer.special_tokens)
    smallest = len(BYTE_ORDER) + len(specials)
    if not smallest <= vocab_size <= tokenizer.vocab_size:
        raise TokenizerError(
            f"A vocabulary of {vocab_size} is not inside one of {tokenizer.vocab_size}: take "
            f"{smallest} to {tokenizer.vocab_size}."
        )
    by_id = sorted(tokenizer.tokens, key=tokenizer.tokens.__getitem__)[: vocab_size - len(specials)]
    tokens = {token: number for number, token in enumerate(by_id)}
    merges = [pair for pair in tokenizer.merges if pair[0] + pair[1] in tokens]
    ids = {name: len(tokens) + number for number, name in enumerate(specials)}
    return ByteBPE(tokens, merges, tokenizer.pattern, ids, tokenizer.end_of_text_name)


def count_words(text: str) -> int:
    """Words of a text as fertility counts them."""
    spaced, characters = _WITHOUT_SPACES.subn(" ", text)
    return characters + len(spaced.split())


def _score(
    group: Group,
    pieces: Sequence[str],
    counts: Int64[ndarray, " vocab_size"],
    tokenizer: Tokenizer,
) -> GroupScore:
    return GroupScore(
        source=group.source,
        language=group.language,
        bytes=sum(len(piece.encode("utf-8")) for piece in pieces),
        words=sum(map(count_words, pieces)),
        tokens=int(counts.sum()),
        single_bytes=int(counts[tokenizer.byte_lengths == 1].sum()),
        unknown=0 if tokenizer.unknown is None else int(counts[tokenizer.unknown]),
    )


def _counted(
    encoded: Sequence[Int64[ndarray, " tokens"]], vocab_size: int
) -> Int64[ndarray, " vocab_size"]:
    """How often each id stands in the rows."""
    empty = np.zeros(0, dtype=np.int64)
    return np.bincount(np.concatenate([empty, *encoded]), minlength=vocab_size)


def _round_trip_fault(tokenizer: Tokenizer, piece: str, ids: Int64[ndarray, " tokens"]) -> str:
    """Where a piece that does not come back differs; "" where it does come back."""
    expected, got = tokenizer.normalize(piece), tokenizer.decode(ids)
    if got == expected:
        return ""
    pairs = enumerate(zip(expected, got, strict=False))
    place = next((n for n, (a, b) in pairs if a != b), min(len(expected), len(got)))
    there = slice(place, place + AROUND)
    return f"{expected[there]!r} came back as {got[there]!r}"


def _speed(tokenizer: Tokenizer, pieces: Sequence[str]) -> float:
    """10^6 bytes of text a second of CPU time, one piece after another."""
    timed, size = [], 0
    for piece in pieces:
        timed.append(piece)
        size += len(piece.encode("utf-8"))
        if size >= TIMED_BYTES:
            break
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for piece in timed:
            tokenizer.encode(piece)
        seconds.append(time.process_time() - started)
    return size / 1e6 / max(min(seconds), 1e-9)
