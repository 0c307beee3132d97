"""Long texts in parts: the ids of the whole, wherever the parts end, and no engine sees more."""

import itertools
import json
import pickle
import random
import re
from collections.abc import Callable, Sequence
from types import ModuleType

import numpy as np
import pytest
from case_counts import count_cases
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from hornbook.errors import TokenizerError
from hornbook.tokenizers import train_tokenizer
from hornbook.tokenizers.byte_map import BYTE_ORDER
from hornbook.tokenizers.kinds import (
    byte_bpe,
    byte_pair,
    byte_parts,
    endless,
    in_parts,
    word_parts,
    word_pipeline,
    wordpiece,
)
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.library import LibraryTokenizer
from hornbook.tokenizers.kinds.patterns import PATTERNS
from hornbook.tokenizers.kinds.word import WordTokenizer
from hornbook.tokenizers.kinds.word_bpe import WordBPE, from_pair
from hornbook.tokenizers.kinds.word_pipeline import WordPipeline
from hornbook.tokenizers.kinds.wordpiece import WordPiece
from tokenizers import Regex, normalizers, pre_tokenizers

SHORT = {"PART": 48, "TAIL": 12, "SEARCHED": 8, "MAX_CHARACTERS": 10}
SHORTENED: dict[ModuleType, tuple[str, ...]] = {
    byte_bpe: ("PART", "TAIL"),
    byte_parts: ("PART", "TAIL"),
    word_parts: ("PART", "TAIL", "SEARCHED"),
    word_pipeline: ("PART", "TAIL"),
    wordpiece: ("MAX_CHARACTERS",),
}
UNITS = [*"as1!='好Ａﬁéßİ½가각 \n\x00\u200b\u0301\u0338"]
UNITS += ["ab", "I'll", "12", "?!", "\t ", "e\u0301", "👍🏽", "\U0001d165", "\U0001d16d"]
TEXT = st.lists(
    st.tuples(st.sampled_from(UNITS), st.sampled_from([1, 1, 2, 3, 40, 90])), max_size=7
).map(lambda parts: "".join(unit * times for unit, times in parts))


@pytest.fixture(scope="module", params=["gpt2", "cl100k", "digits", ""])
def bytes_in_short_parts(request: pytest.FixtureRequest, texts) -> ByteBPE:
    pairs = ["".join(pair) * 3 for pair in itertools.product(UNITS, UNITS)]
    trained = ByteBPE.train([*texts, *pairs], 400, r"[\s\S]{1,3}")
    pattern = PATTERNS.get(request.param, request.param)
    return ByteBPE(trained.tokens, trained.merges, pattern, trained.special_tokens)


KINDS: dict[str, type[WordPipeline]] = {
    kind.kind: kind for kind in (WordTokenizer, WordBPE, WordPiece)
}


@pytest.fixture(
    scope="module",
    params=[*itertools.product(KINDS, ["cased", "lowercase"])],
    ids="-".join,
)
def words_in_short_parts(request: pytest.FixtureRequest, texts) -> WordPipeline:
    kind, lowercase = KINDS[request.param[0]], request.param[1] == "lowercase"
    every = [texts[1], *(f"{unit * times} " * 2 for unit in UNITS for times in (1, 2))]
    with pytest.raises(TokenizerError, match=r"vocab_size to \d+") as too_large:
        kind.train(every, 5000, lowercase=lowercase)
    supported = re.findall(r"vocab_size to (\d+)", str(too_large.value))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wordpiece, "MAX_CHARACTERS", SHORT["MAX_CHARACTERS"])
        return kind.train(every, int(supported[0]), lowercase=lowercase)


def with_seams(encode: Callable[[], np.ndarray], short: bool = False) -> tuple:
    """What is encoded, the number of parts, and whether all their seams held.

    short: with parts so short that small texts have many.
    """
    seen: list[tuple[int, bool]] = []
    in_real_parts = in_parts.encode_in_parts

    def watched(length, ends, encode):
        ends = list(ends)
        ids = in_real_parts(length, ends, encode)
        seen.append((1 + len(ends), ids is not None))
        return ids

    with pytest.MonkeyPatch.context() as patch:
        for module, names in SHORTENED.items() if short else ():
            for name in names:
                patch.setattr(module, name, SHORT[name])
        for module in (byte_bpe, word_pipeline):
            patch.setattr(module, "encode_in_parts", watched)
        ids = encode()
    held = all(held for _, held in seen)
    return ids, max((parts for parts, _ in seen), default=1), held


@settings(deadline=None, max_examples=200)
@given(text=TEXT)
@example(text="x'" + "s" * 200)
@example(text="!" * 150 + "'s" * 60)
@example(text="1" * 131)
@example(text="a" + "\u0301" * 200 + "a")
@pytest.mark.tokenizers("adversarial", "byte-bpe")
def test_bytes_in_parts_have_the_ids_of_the_whole(bytes_in_short_parts, text: str) -> None:
    tokenizer = bytes_in_short_parts
    whole = tokenizer._run(tokenizer._fast, text)
    ids, parts, held = with_seams(lambda: tokenizer.encode(text), short=True)
    event(f"{'some' if parts > 1 else 'no'} seams, {'held' if held else 'not held'}")
    assert ids.tolist() == whole.tolist()
    count_cases()


@settings(deadline=None, max_examples=200)
@given(text=TEXT)
@example(text="a " * 150)
@example(text="ᄀ" * 96 + "ᅡ" + "ᆨ" * 100)
@example(text="=" * 96 + "\u0338" * 100)
@example(text=("a" * 95 + "e\u0301") * 3)
@example(text="\u0301" * 200)
@example(text="a" + "\U0001d16d" * 5 + "\U0001d165" * 200)  # marks that are put in order, and stay
@example(text="a" * 95 + "\x00" + "a" * 95)
@example(text="好" * 300)
@example(text="가" * 47 + "ᆨ" + "가" * 90)
@example(text="ab" * 4 + " " + "ab" * 100)
def test_words_in_parts_have_the_ids_of_the_whole(words_in_short_parts, text: str) -> None:
    tokenizer = words_in_short_parts
    whole = LibraryTokenizer.encode(tokenizer, text).tolist()
    ids, parts, held = with_seams(lambda: tokenizer.encode(text), short=True)
    event(f"{'some' if parts > 1 else 'no'} seams, {'held' if held else 'not held'}")
    assert ids.tolist() == whole
    in_batch, _, _ = with_seams(lambda: tokenizer.encode_batch(["a", text, "b"])[1], short=True)
    assert in_batch.tolist() == whole


def test_a_first_token_that_comes_out_again_proves_the_rest() -> None:
    """Every way to rank what two letters make up, in whatever order: all words, all seams."""
    every = [bytes(word) for n in (2, 3) for word in itertools.product(b"ab", repeat=n)]
    draw = random.Random(11)
    held = failed = 0
    for _ in range(60):
        chosen = draw.sample(every, 7)
        draw.shuffle(chosen)
        ids = {token: number for number, token in enumerate([*BYTE_ORDER, *chosen])}
        shown = {number: token for token, number in ids.items()}
        for _ in range(40):
            word = bytes(draw.choices(b"ab", k=draw.randint(6, 14)))
            end = draw.randint(3, len(word) - 1)
            before = byte_pair.encode(word[:end], ids)
            for kept in range(1, len(before)):
                start = sum(len(shown[number]) for number in before[:kept])
                after = byte_pair.encode(word[start:], ids)
                if after[0] == before[kept]:
                    held += 1
                    assert before[:kept] + after == byte_pair.encode(word, ids)
                else:
                    failed += 1
    assert held > 1000
    assert failed > 100


ENDLESS = {
    "letters": "a",
    "spaces": " ",
    "newlines": "\n",
    "tabs": "\t",
    "digits": "1",
    "signs": "!",
    "ideographs": "好",
    "marks": "\u0301",
    "emoji": "👍🏽",
    "prose": "It's 12 words, and so on. ",
}
UNPARTED = {("byte-bpe", "digits"), ("byte-bpe", "prose")}
"""Short pieces: there is nothing to part."""


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("kind", ["byte-bpe", "word", "bpe", "wordpiece"])
@pytest.mark.tokenizers("adversarial")
def test_no_engine_sees_an_endless_text_whole(kind: str, name: str, texts) -> None:
    size = 150 if kind == "word" else 500
    every = [*texts, *(unit * 40 for unit in ENDLESS.values())]
    tokenizer = train_tokenizer(kind, every, size)
    text = "Aa " + ENDLESS[name] * (60_000 // len(ENDLESS[name])) + "x y"
    if isinstance(tokenizer, ByteBPE):
        whole = tokenizer._encode_exact(text)
    else:
        whole = LibraryTokenizer.encode(tokenizer, text)
    ids, parts, held = with_seams(lambda: tokenizer.encode(text))
    assert ids.tolist() == whole.tolist()
    assert held
    assert parts == (1 if (kind, name) in UNPARTED else len(text) // in_parts.PART + 1)
    again = pickle.loads(pickle.dumps(tokenizer))
    batch = again.encode_batch([text, "Aa", text, "x", ""])
    assert [ids.tolist() for ids in batch] == [
        whole.tolist(),
        tokenizer.encode("Aa").tolist(),
        whole.tolist(),
        tokenizer.encode("x").tolist(),
        [],
    ]
    count_cases()


def plain(merges: Sequence[tuple[bytes, bytes]], pattern: str) -> ByteBPE:
    """The bytes and these merges."""
    tokens = [*BYTE_ORDER, *(left + right for left, right in merges)]
    ids = {token: number for number, token in enumerate(tokens)}
    return ByteBPE(ids, merges, PATTERNS[pattern], {})


def test_a_seam_that_does_not_hold_is_not_used() -> None:
    """Here pairs form from a word's end, so that one more letter changes every pair before it."""
    letters = [chr(0x100 + number).encode() for number in range(100)]
    pairs = [*itertools.pairwise(letters)]
    tokenizer = plain([*((x[:1], x[1:]) for x in letters), *pairs[::-1]], "gpt2")
    for length in (99, 100):
        text = b"".join(letters[:length]).decode()
        ids, parts, held = with_seams(lambda text=text: tokenizer.encode(text), short=True)
        assert (parts, held) == (2, length % 2 == 0)
        assert ids.tolist() == tokenizer._run(tokenizer._fast, text).tolist()


QUOTES = [(b"'" * n, b"'" * m) for n, m in ((1, 1), (2, 2), (4, 4), (8, 4))]


@pytest.mark.parametrize(
    ("text", "merges"),
    [
        ("1" * 35 + "'ll" + "a" * 80, [(b"l", b"a")]),
        ("1" * 11 + "'" * 37 + "s" + "a" * 80, [*QUOTES, (b"s", b"a")]),
    ],
    ids=["the tail begins in one", "the next part would begin with one"],
)
def test_a_contraction_is_never_parted_or_made(text: str, merges) -> None:
    tokenizer = plain(merges, "gpt2")
    ids, _, _ = with_seams(lambda: tokenizer.encode(text), short=True)
    assert ids.tolist() == tokenizer._run(tokenizer._fast, text).tolist()


def test_a_token_longer_than_what_is_repeated_is_never_parted() -> None:
    merges = [(b"a" * 2**power, b"a" * 2**power) for power in range(11)]
    tokenizer = plain(merges, "cl100k")
    ids = tokenizer.encode("a" * 50_001).tolist()
    assert ids == tokenizer._encode_exact("a" * 50_001).tolist()
    assert ids[:24] == [tokenizer.tokens[b"a" * 2048]] * 24
    beyond = b"b" * 3 * in_parts.PART  # a word by itself is its token, even if no merge makes it
    odd = ByteBPE({**tokenizer.tokens, beyond: 300}, (), PATTERNS["cl100k"], {})
    assert odd.encode(beyond.decode()).tolist() == [300]


@settings(deadline=None, max_examples=100)
@given(text=TEXT, name=st.sampled_from(sorted(PATTERNS)))
@example(text=" " * 200 + "a" * 200, name="gpt2")
@example(text="a b " * 200, name="cl100k")
def test_no_endless_word_reaches_the_trainer(text: str, name: str) -> None:
    """And all other words reach it as they are."""
    pattern, long = PATTERNS[name], 3 * SHORT["PART"]
    cut = pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str

    def parts() -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(endless, "_RUN", re.compile(rf"[{endless.WHITESPACE}]{{{long},}}"))
            return list(byte_bpe._without_endless_words([text], pattern))

    found, _, _ = with_seams(parts, short=True)
    assert "".join(found) == text
    words = [word for part in found for word, _ in cut(part)]
    whole = [word for word, _ in cut(text)]
    assert max(map(len, words), default=0) < long + SHORT["TAIL"]
    if max(map(len, whole), default=0) <= SHORT["TAIL"]:
        assert words == whole


def test_training_on_an_endless_word_learns_what_its_parts_show() -> None:
    endless_word, parts = "ab" * 3 * in_parts.PART, ["ab" * (in_parts.PART // 2)] * 6
    tokens = [ByteBPE.train(texts, 270).tokens for texts in ([endless_word], parts)]
    assert tokens[0] == tokens[1]
    assert b"abababab" in tokens[0]


def test_classes_are_the_engines_and_no_letter_joins_unseen() -> None:
    sample = {
        character: byte_parts.class_of(character) for character in "aé好ªⅣ½٣!_\u0301\x00 \n\u3000"
    }
    letters, numbers, signs = byte_parts.LETTER, byte_parts.NUMBER, byte_parts.SIGN
    assert sample == dict.fromkeys("aé好ª", letters) | dict.fromkeys("Ⅳ½٣", numbers) | (
        dict.fromkeys("!_\u0301\x00", signs) | dict.fromkeys(" \n\u3000", "")
    )
    nfc, nfd = (getattr(normalizers, form)().normalize_str for form in ("NFC", "NFD"))
    parts = word_parts.WordParts(nfc, inside=True)
    apart = [nfd(character) for character in map(chr, range(0x110000)) if character.isprintable()]
    second = {after for text in apart for before, after in itertools.pairwise(text)
              if nfc(before + after) != nfc(before) + nfc(after)}  # fmt: skip
    assert len(second) > 60
    assert [character for character in second if not parts._joins(character)] == []
    assert all(map(parts._joins, "ᅡᆨ"))
    assert not any(map(parts._joins, "a가ᄀ好!"))


OTHERS: list[tuple[str, dict]] = [
    ("normalizer", {"type": "NFC"}),
    ("normalizer", {"type": "NFD"}),
    ("normalizer", {"type": "Replace", "pattern": {"String": "a a"}, "content": "b"}),
    ("pre_tokenizer", {"type": "Whitespace"}),
    ("padding", {"strategy": {"Fixed": 3}, "direction": "Right", "pad_to_multiple_of": None,
                 "pad_id": 0, "pad_type_id": 0, "pad_token": "a"}),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("step", "value"), OTHERS, ids=lambda value: str(value)[:24])
def test_anyone_elses_steps_are_run_on_the_whole(kind: str, step: str, value: dict, texts) -> None:
    own = KINDS[kind].train([*texts, "\u2adc \u0338 = a a"], 220 if kind != "word" else 90)
    assert own._parts is not None
    definition = {**own.definition(), step: value}
    other = KINDS[kind].from_definition(definition)
    assert other._parts is None
    text = "a" + "\u0301" * 500 + "\u0323" * 20_000 + " \u2adc a a" * 100
    assert other.encode(text).tolist() == LibraryTokenizer.encode(other, text).tolist()
    assert KINDS[kind].from_definition(json.loads(json.dumps(own.definition())))._parts is not None


def test_a_token_of_merges_longer_than_what_is_repeated_is_never_parted() -> None:
    powers = [2**power for power in range(12)]
    merges = [("a" * n, "a" * n + end) for n in powers[:-1] for end in ("", "</w>")]
    tokens = [token for n in powers for token in ("a" * n, "a" * n + "</w>")]
    tokenizer = from_pair({t: n for n, t in enumerate(["<unk>", *tokens])}, merges, "these")
    ids, parts, held = with_seams(lambda: tokenizer.encode("a" * 20_000))
    assert (parts, held) == (3, False)
    assert ids.tolist() == LibraryTokenizer.encode(tokenizer, "a" * 20_000).tolist()


def test_a_long_word_in_the_vocabulary_leaves_words_whole(texts) -> None:
    long = "b" * 2 * in_parts.TAIL
    tokenizer = WordTokenizer.train([*texts, f"{long} " * 200], 90)
    assert tokenizer.longest_word == len(long)
    for text, expected in (("a" * 20_000, 1), ("a " * 20_000, 5)):
        ids, parts, _ = with_seams(lambda text=text: tokenizer.encode(text))
        assert parts == expected
        assert ids.tolist() == LibraryTokenizer.encode(tokenizer, text).tolist()


@pytest.mark.parametrize("kind", ["byte-bpe", *KINDS])
@pytest.mark.parametrize("place", [0, in_parts.PART - 1, 3 * in_parts.PART])
def test_a_lone_surrogate_in_a_long_text_is_named(kind: str, place: int, texts) -> None:
    tokenizer = train_tokenizer(kind, texts, 90 if kind == "word" else 400)
    text = "a " * (in_parts.PART // 2) * 3
    for encode in (tokenizer.encode, lambda text: tokenizer.encode_batch(["a", text])):
        with pytest.raises(TokenizerError, match=rf"lone surrogate, U\+D800 at character {place},"):
            encode(text[:place] + "\ud800" + text[place:])
