"""Texts without end: the same ids as any text has, and nothing that tiktoken's engine chokes on."""

import json
import pickle
import re
from collections.abc import Callable

import numpy as np
import pytest
import tiktoken
from case_counts import count_cases
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tokenizers as library
from hornbook.tokenizers.byte_map import BYTE_ORDER
from hornbook.tokenizers.kinds import byte_bpe, endless
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.patterns import PATTERNS

BLANK = st.sampled_from(["  ", "\n\n", "\n", "\r\n", "\t", "\x85", "\u3000", " \n ", "\u2028", " "])
RUN = st.lists(BLANK, min_size=1, max_size=9).map("".join)
WORD = st.sampled_from(
    ["a", "IT'S", "'s", "12345", "!?", "！", "'", "好", "e\u0301", "\x1c", "\u0301"]
)
TEXT = st.lists(st.one_of(RUN, WORD), max_size=9).map("".join)
EVERY = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]


def as_library(tokenizer: ByteBPE) -> Callable[[str], list[int]]:
    other = library.Tokenizer.from_str(json.dumps(tokenizer.definition()))
    other.encode_special_tokens = True
    return lambda text: list(other.encode(text, add_special_tokens=False).ids)


@pytest.fixture(scope="module", params=list(PATTERNS))
def spaced(request: pytest.FixtureRequest) -> tuple[ByteBPE, Callable[[str], list[int]]]:
    """Merges of whitespace and signs, so that a cut in the wrong place changes the ids."""
    text = (
        "  \n\n\n \n\t\t\u3000\u3000!\n!!\n\n  a\n\n\r\n\r\n" * 5
        + " " * 60
        + "\n" * 60
        + "x\ny\n" * 3
    )
    trained = ByteBPE.train([text, text[::-1]], 290, PATTERNS[request.param])
    return trained, as_library(trained)


@settings(deadline=None, max_examples=150)
@given(text=TEXT, bound=st.integers(1, 4))
@example(text="!\n \n  a", bound=2)
@example(text="  \n  ", bound=1)
@example(text="a \n\n!\n\n", bound=2)
@pytest.mark.tokenizers("adversarial", "byte-bpe")
def test_a_cut_run_has_the_same_ids(spaced, text: str, bound: int) -> None:
    tokenizer, other = spaced
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endless, "_RUN", re.compile(f"[{endless.WHITESPACE}]{{{bound},}}"))
        patch.setattr(byte_bpe, "may_hold_endless_space", lambda text: True)
        ids = tokenizer._encode_long(text).tolist()
    assert ids == tokenizer._fast.encode_ordinary(text)
    assert ids == other(text)
    count_cases()


@settings(deadline=None, max_examples=100)
@given(text=TEXT, lines_apart=st.booleans())
def test_no_run_beyond_the_bound_meets_the_engine(text: str, lines_apart: bool) -> None:
    bound = 3
    long_run = re.compile(f"[{endless.WHITESPACE}]{{{bound},}}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endless, "_RUN", long_run)
        parts = list(endless.cut_endless_space(text, lines_apart))
    assert "".join(part for part, _ in parts) == text
    for part, whole in parts:
        left = long_run.search(part.rstrip("\r\n"))  # line ends after a sign are no run of \s+
        assert whole or not left, parts


@pytest.mark.parametrize(
    "text",
    [" " * 150_000 + "x", "a" + "\n" * 120_000, "!" + "\n \n" * 50_000 + "1", "\u3000" * 100_000],
    ids=["spaces", "newlines", "mixed", "ideographic"],
)
@pytest.mark.tokenizers("adversarial", "byte-bpe")
def test_endless_runs_are_cut_before_the_engine(spaced, text: str, monkeypatch) -> None:
    tokenizer, other = spaced
    seen = []
    run = ByteBPE._run
    monkeypatch.setattr(
        ByteBPE,
        "_run",
        staticmethod(lambda engine, part: (seen.append((engine, part)), run(engine, part))[1]),
    )
    ids = tokenizer.encode(text)
    assert ids.tolist() == other(text)
    to_the_engine = [part for engine, part in seen if engine is tokenizer._fast]
    assert max(map(len, to_the_engine)) < 3 * endless.LONGEST_RUN
    count_cases()


@pytest.mark.parametrize("more", [-1, 0, 1, 60_000])
@pytest.mark.parametrize("before", ["", "a", "b" * (endless.LONGEST_RUN - 1)])
def test_no_long_run_goes_unseen(before: str, more: int) -> None:
    seen = endless.may_hold_endless_space(before + " " * (2 * endless.LONGEST_RUN + more) + "c")
    assert seen or more < 0
    assert not endless.may_hold_endless_space("a " * 200_000)


def test_whitespace_is_the_engines() -> None:
    ranks = {byte: number for number, byte in enumerate(BYTE_ORDER)}
    blank = tiktoken.Encoding("blank", pat_str=r"\s", mergeable_ranks=ranks, special_tokens={})
    mine = re.compile(f"[{endless.WHITESPACE}]")
    ours = "".join(mine.findall("".join(EVERY)))
    theirs = bytes(ranks_to_bytes(blank.encode_ordinary("".join(EVERY)))).decode()
    assert ours == theirs
    assert len(ours) == 25


def ranks_to_bytes(ids: list[int]) -> list[int]:
    return [BYTE_ORDER[number][0] for number in ids]


@pytest.mark.parametrize("pattern", ["", r"\p{L}+", r"\s+|\S+", "a|bc", r"\s+(?!\S)|\S+ ?", "x*"])
@pytest.mark.tokenizers("encode", "byte-bpe")
def test_any_pattern_gives_the_librarys_ids(small: ByteBPE, pattern: str, capfd) -> None:
    """A pattern of anyone's own may leave text out, cut nothing, or match the empty string."""
    mine = ByteBPE(small.tokens, small.merges, pattern, small.special_tokens)
    other = as_library(mine)
    texts = ["", "the cat, a bc  xx the\n", "the " * 30 + " " * 60_000 + "1", "好 bca the-the\n\n "]
    for text in texts:
        ids = mine.encode(text)
        assert ids.tolist() == other(text)
        assert mine.decode(ids) == text
    count_cases(len(texts))
    assert "panicked" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["encode_to_numpy", "encode_ordinary"])
def test_an_engine_that_gives_up_is_survived(small: ByteBPE, name: str, monkeypatch, capfd) -> None:
    """One of tiktoken's doors raises ValueError, the other a panic, which is no Exception."""
    text = "the " + " " * 1_100_000 + "x"

    def run(engine: tiktoken.Encoding, part: str) -> np.ndarray:
        return np.array(getattr(engine, name)(part), dtype=np.int64)

    with pytest.raises(BaseException, match=r"backtracking|StackOverflow") as given_up:
        run(small._fast, text)
    assert isinstance(given_up.value, ValueError) == (name == "encode_to_numpy")
    monkeypatch.setattr(ByteBPE, "_run", staticmethod(run))
    monkeypatch.setattr(byte_bpe, "may_hold_endless_space", lambda text: False)
    monkeypatch.setattr(ByteBPE, "_encode_exact", lambda self, part: [part == text])
    assert small.encode(text) == [True]


def test_a_tokenizer_that_met_endless_text_crosses_processes(small: ByteBPE) -> None:
    again = ByteBPE(small.tokens, small.merges, small.pattern, small.special_tokens)
    text = "!" + " " * 100_001
    ids = again.encode(text)
    again._encode_exact("a")
    assert pickle.loads(pickle.dumps(again)).encode(text).tolist() == ids.tolist()


def test_an_interruption_is_no_panic(small: ByteBPE, monkeypatch) -> None:
    def interrupted(engine: tiktoken.Encoding, text: str) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(ByteBPE, "_run", staticmethod(interrupted))
    with pytest.raises(KeyboardInterrupt):
        small.encode("a")
