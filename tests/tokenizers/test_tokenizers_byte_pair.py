"""The short version is right by definition; the fast one gives the same merges and ids."""

from collections import Counter

import pytest
import regex
from hard_texts import HARD
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.errors import TokenizerError
from hornbook.tokenizers.byte_map import BYTE_ORDER
from hornbook.tokenizers.kinds import byte_pair
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.patterns import PATTERNS


def words_of(texts: list[str], pattern: str) -> Counter[bytes]:
    return Counter(
        piece.encode() for text in texts for piece in regex.findall(PATTERNS[pattern], text)
    )


def slow_encode(word: bytes, ids: dict[bytes, int]) -> list[int]:
    """Look at all pairs each time and join the one with the lowest id, leftmost first."""
    parts = [word[i : i + 1] for i in range(len(word))]
    while True:
        joined = [
            (ids[parts[i] + parts[i + 1]], i)
            for i in range(len(parts) - 1)
            if parts[i] + parts[i + 1] in ids
        ]
        if not joined:
            return [ids[part] for part in parts]
        _, i = min(joined)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


@pytest.mark.parametrize("pattern", list(PATTERNS))
def test_merges_equal_the_short_version(texts: list[str], pattern: str) -> None:
    fast = ByteBPE.train(texts, 600, pattern=pattern)
    tokens, merges = byte_pair.train(words_of(texts, pattern), 596)
    assert sorted(fast.tokens, key=fast.tokens.__getitem__) == tokens
    assert list(fast.merges) == [(tokens[left], tokens[right]) for left, right in merges]


def test_ids_equal_the_short_version(tokenizer: ByteBPE, texts: list[str]) -> None:
    for text in [*HARD, *texts]:
        ids = [
            number
            for piece in regex.findall(tokenizer.pattern, text)
            for number in byte_pair.encode(piece.encode(), tokenizer.tokens)
        ]
        assert tokenizer.encode(text).tolist() == ids


@settings(deadline=None, max_examples=60)
@given(
    words=st.dictionaries(
        st.text("ab", min_size=1, max_size=12).map(str.encode), st.integers(1, 9), min_size=1
    ),
    probe=st.text("abc", max_size=40),
)
def test_heap_and_linked_list_equal_a_search_over_all_pairs(
    words: dict[bytes, int], probe: str
) -> None:
    tokens, _ = byte_pair.train(words, 280)
    ids = {token: number for number, token in enumerate(tokens)}
    assert byte_pair.encode(probe.encode(), ids) == slow_encode(probe.encode(), ids)


@settings(deadline=None, max_examples=60)
@given(words=st.lists(st.text("aab ", min_size=1, max_size=20), min_size=1, max_size=20))
def test_ties_and_overlaps_are_trained_as_by_the_library(words: list[str]) -> None:
    counts = words_of(words, "cl100k")
    tokens, _ = byte_pair.train(counts, 10_000)
    fast = ByteBPE.train(words, len(tokens) + 4)
    assert sorted(fast.tokens, key=fast.tokens.__getitem__) == tokens


def test_training_stops_where_no_pair_repeats() -> None:
    tokens, merges = byte_pair.train({b"abab": 1, b"xyz": 1}, 1000)
    assert tokens[256:] == [b"ab"]
    assert len(merges) == 1
    fast = ByteBPE.train(["abab", "xyz"], 261)
    assert fast.merges == ((b"a", b"b"),)
    with pytest.raises(TokenizerError, match="the text supports 261"):
        ByteBPE.train(["abab", "xyz"], 262)


def test_encoding_stays_near_linear() -> None:
    """Counted in looks at the vocabulary, not in seconds."""

    class Counted(dict[bytes, int]):
        looks = 0

        def get(self, token: bytes, default: int | None = None) -> int | None:
            self.looks += 1
            return super().get(token, default)

    tokens, _ = byte_pair.train({b"a" * 64: 2}, 262)
    looks = []
    for length in (4_000, 64_000):
        ids = Counted({token: number for number, token in enumerate(tokens)})
        byte_pair.encode(b"a" * length, ids)
        looks.append(ids.looks)
    short, long = looks
    assert short > 1_000
    assert long < 20 * short  # 16 times the text


def test_byte_order_is_that_of_gpt2() -> None:
    assert BYTE_ORDER[:3] == (b"!", b'"', b"#")
    assert BYTE_ORDER[188:190] == (b"\x00", b"\x01")
    assert BYTE_ORDER[-1] == b"\xad"
    assert len(set(BYTE_ORDER)) == 256
