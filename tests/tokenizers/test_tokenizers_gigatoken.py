"""The faster way gives the ids of the slower one, notices when it does not, and forgets in time."""

import copy
import pickle
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from case_counts import count_cases
from hard_texts import HARD, POEM, PROSE
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.errors import TokenizerError
from hornbook.tokenizers.kinds import gigatoken_engine
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.gigatoken_engine import TRIALS, GigatokenEngine
from hornbook.tokenizers.kinds.patterns import PATTERNS

pytest.importorskip("gigatoken")

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SURROUNDINGS = ("a{}b", "1{}2", " {} ", "{0}{0}", "'{}", "\n{}", "{}\u0301x")


def engine_of(tokenizer: ByteBPE) -> GigatokenEngine:
    return GigatokenEngine(tokenizer.tokens, tokenizer.merges, tokenizer.pattern, tokenizer.encode)


def differing(tokenizer: ByteBPE, texts: list[str]) -> list[str]:
    """The texts whose ids are not tiktoken's."""
    count_cases(len(texts))
    found = engine_of(tokenizer).encode_batch(texts)
    pairs = zip(texts, found, strict=True)
    return [text for text, ids in pairs if not np.array_equal(ids, tokenizer.encode(text))]


@pytest.mark.tokenizers("encode", "byte-bpe")
def test_ids_are_those_of_tiktoken(tokenizer: ByteBPE, texts: list[str]) -> None:
    assert differing(tokenizer, [*texts, *HARD, POEM, PROSE, ""]) == []


@settings(deadline=None, max_examples=50)
@given(texts=st.lists(UNICODE, max_size=5))
def test_ids_are_those_of_tiktoken_on_any_text(small: ByteBPE, texts: list[str]) -> None:
    assert differing(small, texts) == []


@pytest.mark.slow
@pytest.mark.tokenizers("encode", "byte-bpe")
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_ids_are_those_of_tiktoken_on_every_code_point(tokenizer: ByteBPE, around: str) -> None:
    code_points = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    written = [around.format(character) for character in code_points]
    texts = ["".join(written[start : start + 4000]) for start in range(0, len(written), 4000)]
    assert differing(tokenizer, texts) == []


def test_names_of_special_tokens_are_text(small: ByteBPE) -> None:
    (ids,) = engine_of(small).encode_batch(["a<|endoftext|>b"])
    assert not set(ids.tolist()) & set(small.special_tokens.values())


def test_another_cut_stops_the_work(small: ByteBPE) -> None:
    gpt2 = ByteBPE.train([PROSE * 20], 300, pattern="gpt2")
    with pytest.raises(TokenizerError, match="gigatoken cuts a text otherwise"):
        GigatokenEngine(gpt2.tokens, gpt2.merges, gpt2.pattern, small.encode)


def test_a_cut_that_goes_wrong_later_stops_the_work(small: ByteBPE) -> None:
    engine = engine_of(small)
    engine._encode = lambda text: small.encode(text)[:-1]
    with pytest.raises(TokenizerError, match="gigatoken cuts a text otherwise"):
        engine.encode_batch([PROSE])


@pytest.mark.parametrize("wrong", TRIALS[1:], ids=range(1, len(TRIALS)))
def test_each_trial_is_made_before_any_text(small: ByteBPE, wrong: str) -> None:
    def encode(text: str) -> np.ndarray:
        ids = small.encode(text)
        return ids[:-1] if text == wrong else ids

    with pytest.raises(TokenizerError, match="gigatoken cuts a text otherwise"):
        GigatokenEngine(small.tokens, small.merges, small.pattern, encode)


@pytest.mark.parametrize("name", PATTERNS)
def test_trials_tell_the_cuts_apart(name: str) -> None:
    """By tokens that reach as far as the widest pattern lets them."""
    wide = ByteBPE.train(TRIALS * 20, 480, pattern="gpt2")
    of = {
        pattern: ByteBPE(wide.tokens, wide.merges, cut, wide.special_tokens)
        for pattern, cut in PATTERNS.items()
    }
    ids = {pattern: [one.encode(text).tolist() for text in TRIALS] for pattern, one in of.items()}
    assert all(ids[other] != ids[name] for other in PATTERNS if other != name)


def test_an_unknown_pattern_is_refused(small: ByteBPE) -> None:
    with pytest.raises(TokenizerError, match="gigatoken does not know this tokenizer"):
        GigatokenEngine(small.tokens, small.merges, r"\p{L}+|\P{L}", small.encode)


def test_each_thread_has_its_own_engine(small: ByteBPE, texts: list[str]) -> None:
    engine = engine_of(small)
    found: list[list[np.ndarray]] = []
    threads = [
        threading.Thread(target=lambda: found.append(engine.encode_batch(texts))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [small.encode(text).tolist() for text in texts]
    assert [[ids.tolist() for ids in one] for one in found] == [expected] * 4


def test_what_an_engine_remembers_is_bounded(
    small: ByteBPE, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gigatoken

    made: list[str] = []

    def from_json(definition: str) -> object:
        made.append(definition)
        return original(definition)

    original = gigatoken.Tokenizer.from_json
    monkeypatch.setattr(gigatoken, "Tokenizer", SimpleNamespace(from_json=from_json))
    monkeypatch.setattr(gigatoken_engine, "FORGET_AFTER_BYTES", 1000)
    engine = engine_of(small)
    for _ in range(10):
        engine.encode_batch(["x" * 300])
    assert len(made) == 4  # at the start, and at every fourth batch of 300 bytes after it


def test_much_text_goes_through_it_and_little_does_not(
    texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = ByteBPE.train(texts, 500)
    little, much = [*HARD], [*HARD] * 60
    asked: list[int] = []
    original = GigatokenEngine.encode_batch
    monkeypatch.setattr(
        GigatokenEngine,
        "encode_batch",
        lambda engine, found: asked.append(len(found)) or original(engine, found),
    )
    for batch in (little, much):
        expected = [tokenizer.encode(text).tolist() for text in batch]
        assert [ids.tolist() for ids in tokenizer.encode_batch(batch)] == expected
    assert asked == [len(much)]


def test_what_it_may_not_know_goes_the_slower_way(small: ByteBPE) -> None:
    of_own = ByteBPE(small.tokens, small.merges, r"\s+|\S+", small.special_tokens)
    gap = {token: number + (number > 300) for token, number in small.tokens.items()}
    with_gap = ByteBPE(gap, small.merges, small.pattern, {"<|endoftext|>": 600})
    text = PROSE * 1000
    for tokenizer in (of_own, with_gap):
        assert tokenizer._gigatoken is None
        assert tokenizer.encode_batch([text])[0].tolist() == tokenizer.encode(text).tolist()


def test_a_lone_surrogate_is_the_same_error(small: ByteBPE) -> None:
    with pytest.raises(TokenizerError, match="lone surrogate"):
        small.encode_batch(["x" * 70_000, "\ud800"])


def test_a_tokenizer_that_used_it_crosses_processes(texts: list[str]) -> None:
    used = ByteBPE.train(texts, 500)
    much = [PROSE * 1000]
    ids = used.encode_batch(much)[0].tolist()
    assert "_gigatoken" in vars(used)
    for again in (pickle.loads(pickle.dumps(used)), copy.deepcopy(used)):
        assert again.fingerprint == used.fingerprint
        assert again.encode_batch(much)[0].tolist() == ids
