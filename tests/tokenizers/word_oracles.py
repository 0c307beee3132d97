"""Slow and plain versions of what the word kinds do, to compare them with."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

Pair = tuple[str, str]
IDEOGRAPHS = [
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),  # Google's code starts this range at 2B820
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
]


def is_ideograph(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in IDEOGRAPHS)


def is_punctuation(character: str) -> bool:
    ascii_sign = 33 <= ord(character) < 127 and not character.isalnum()
    return ascii_sign or unicodedata.category(character).startswith("P")


def basic_words(text: str, lowercase: bool) -> list[str]:
    """BERT's basic tokeniser."""
    cleaned = []
    for character in text:
        space = character in " \t\n\r" or unicodedata.category(character) in ("Zs", "Zl", "Zp")
        if space:
            cleaned.append(" ")
        elif character != "\ufffd" and unicodedata.category(character) not in ("Cc", "Cf", "Co"):
            cleaned.append(f" {character} " if is_ideograph(character) else character)
    seen = "".join(cleaned)
    if lowercase:
        apart = unicodedata.normalize("NFD", seen)
        kept = (c for c in apart if unicodedata.category(c) != "Mn")
        seen = "".join(c.lower() for c in kept)  # one by one: no rule for a final sigma
    spaced = "".join(f" {c} " if is_punctuation(c) else c for c in seen)
    return spaced.split()


def longest_match(word: str, ids: Mapping[str, int], limit: int = 100) -> list[int]:
    """WordPiece on one word."""
    if len(word) > limit:
        return [ids["[UNK]"]]
    found, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = (e for e in range(len(word), start, -1) if prefix + word[start:e] in ids)
        end = next(ends, None)
        if end is None:
            return [ids["[UNK]"]]
        found.append(ids[prefix + word[start:end]])
        start = end
    return found


def merged(word: str, ids: Mapping[str, int], ranks: Mapping[Pair, int]) -> list[int]:
    """GPT-1's merges on one word: the best-ranked pair everywhere, until none is left."""
    symbols = [*word[:-1], word[-1] + "</w>"]
    while True:
        pairs = [pair for pair in pairwise(symbols) if pair in ranks]
        if not pairs:
            return [ids.get(symbol, ids["<unk>"]) for symbol in symbols]
        symbols = join(symbols, min(pairs, key=lambda pair: ranks[pair]), lambda a, b: a + b)


def join(symbols: Sequence[str], pair: Pair, written) -> list[str]:
    joined: list[str] = []
    for symbol in symbols:
        if joined and (joined[-1], symbol) == pair and not joined[-1].startswith("\0"):
            joined[-1] = "\0" + written(*pair)  # marked: it takes no part in this round again
        else:
            joined.append(symbol)
    return [symbol.removeprefix("\0") for symbol in joined]


def learn(words: Counter[str], size: int, suffix: str = "", prefix: str = "") -> list[str]:
    """Tokens of byte-pair encoding on words, in the order of their ids; ties to smaller ids."""

    def symbols_of(word: str) -> list[str]:
        symbols = [word[0], *(prefix + c for c in word[1:])]
        symbols[-1] += suffix
        return symbols

    split = {word: symbols_of(word) for word in words}
    used = {symbol for symbols in split.values() for symbol in symbols}
    marked = {s for s in used if (suffix and s.endswith(suffix) and s != suffix[-1:])}
    marked |= {s for s in used if prefix and len(s) > 1}
    tokens = [*sorted(used - marked), *sorted(marked)]
    ids = {token: number for number, token in enumerate(tokens)}
    while len(tokens) < size:
        totals: Counter[Pair] = Counter()
        for word, symbols in split.items():
            for pair in pairwise(symbols):
                totals[pair] += words[word]
        if not totals or max(totals.values()) < 2:
            break
        best = min(totals, key=lambda pair: (-totals[pair], ids[pair[0]], ids[pair[1]]))
        new = best[0] + best[1].removeprefix(prefix)
        for word, symbols in split.items():
            split[word] = join(symbols, best, lambda a, b: a + b.removeprefix(prefix))
        if new not in ids:
            ids[new] = len(tokens)
            tokens.append(new)
    return tokens


def plain_words(text: str, ideograph=re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")) -> list[str]:
    """Runs of letters, digits and marks; each ideograph, and each other sign, by itself."""
    found, run = [], ""
    for character in text:
        alone = ideograph.match(character) or unicodedata.category(character)[0] not in "LNM"
        if not alone:
            run += character
            continue
        found += [run] * bool(run)
        run = ""
        if not character.isspace() or character in "\x1c\x1d\x1e\x1f":
            found.append(character)
    return found + [run] * bool(run)
