"""Special tokens: from text only where allowed, found as tiktoken finds them, named by part."""

import pytest
import tiktoken
from case_counts import count_cases
from hard_texts import HARD
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hornbook.errors import TokenizerError
from hornbook.tokenizers import TOKENIZERS, train_tokenizer
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.special import PARTS, SPECIAL_SETS, part_name, with_unknown
from hornbook.tokenizers.tokenizer import Tokenizer

NAMES = ("<|a|>", "<<|a|>>", "|>|", "[M]", "a[M", " s ", "\n\n", ".*", "好<")
"""Names within names, overlapping, made of spaces, of a regular expression's signs."""

TEXT = st.lists(
    st.one_of(
        st.sampled_from([*NAMES, *(name[:-1] for name in NAMES), *(name[1:] for name in NAMES)]),
        st.sampled_from(["the ", " ", "a", "<", "|", ">", "[", "M]", "\n", "好"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def named(small: ByteBPE) -> ByteBPE:
    ids = {name: 700 + number for number, name in enumerate(NAMES)}
    return ByteBPE(small.tokens, small.merges, small.pattern, ids)


@pytest.fixture(scope="module")
def original(named: ByteBPE) -> tiktoken.Encoding:
    return tiktoken.Encoding(
        "original",
        pat_str=named.pattern,
        mergeable_ranks=named.tokens,
        special_tokens=dict(named.special_tokens),
    )


@settings(deadline=None, max_examples=300)
@given(text=TEXT, allowed=st.sets(st.sampled_from(NAMES)))
@example(text="x<<|a|>>|", allowed={"<|a|>", "|>|"})
@example(text="<<|a|>>", allowed=set(NAMES))
@example(text="a[M]", allowed={"[M]", "a[M"})
@pytest.mark.tokenizers("encode", "byte-bpe")
def test_allowed_names_are_found_as_tiktoken_finds_them(named, original, text, allowed) -> None:
    ids = named.encode_with_special_tokens(text, allowed).tolist()
    assert ids == original.encode(text, allowed_special=allowed, disallowed_special=())
    assert named.decode(ids) == text
    count_cases()


@settings(deadline=None, max_examples=100)
@given(text=TEXT)
@pytest.mark.tokenizers("encode", "byte-bpe")
def test_all_are_allowed_where_none_is_named(named, original, text: str) -> None:
    ids = named.encode_with_special_tokens(text)
    assert ids.tolist() == original.encode(text, allowed_special="all")
    assert ids.dtype == "int64"
    assert named.encode_with_special_tokens(text, []).tolist() == named.encode(text).tolist()
    count_cases()


def test_the_longest_of_two_names_that_begin_alike_is_taken(small: ByteBPE) -> None:
    names = {"<s>": 600, "<s>x": 601, "<s>xy": 602}
    tokenizer = ByteBPE(small.tokens, small.merges, small.pattern, names)
    x = small.encode("x").tolist()
    assert tokenizer.encode_with_special_tokens("<s>xy<s>x<s>").tolist() == [602, 601, 600]
    allowed = ["<s>", "<s>x"]
    y = small.encode("y").tolist()
    assert tokenizer.encode_with_special_tokens("<s>xy", allowed).tolist() == [601, *y]
    assert tokenizer.encode_with_special_tokens("<s>xy", ["<s>"]).tolist()[0] == 600
    assert tokenizer.encode_with_special_tokens("<s>x", ["<s>"]).tolist() == [600, *x]


def test_an_unknown_name_is_refused_with_those_there_are(small: ByteBPE) -> None:
    with pytest.raises(TokenizerError, match=r"'<\|usr\|>' is no special .* <\|endoftext\|>, <\|u"):
        small.encode_with_special_tokens("a", ["<|user|>", "<|usr|>"])
    bare = ByteBPE(small.tokens, small.merges, small.pattern, {})
    with pytest.raises(TokenizerError, match="which has none"):
        bare.encode_with_special_tokens("a", ["<s>"])
    assert bare.encode_with_special_tokens("<s>").tolist() == bare.encode("<s>").tolist()


@pytest.fixture(scope="module")
def every_set() -> list[Tokenizer]:
    """Bytes and byte pairs with each set of special tokens."""
    made: list[Tokenizer] = []
    for names in SPECIAL_SETS.values():
        made.append(ByteTokenizer.train(vocab_size=256 + len(names), special_tokens=names))
        text = [" ".join(names) * 3, *names]  # merges may make all of a name but the whole
        reached = 256 + len(names) + 8
        made.append(ByteBPE.train(text * 3, reached, special_tokens=names))
    return made


ALL_NAMES = sorted({name for names in SPECIAL_SETS.values() for name in names})
FUZZ = st.lists(
    st.one_of(
        st.sampled_from(ALL_NAMES),
        st.sampled_from(ALL_NAMES).map(lambda name: name[1:]),
        st.sampled_from(HARD[:12]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    ),
    max_size=8,
).map("".join)


@settings(deadline=None, max_examples=150)
@given(text=FUZZ)
@pytest.mark.tokenizers("adversarial", "byte-bpe")
def test_no_text_encodes_to_a_special_token(every_set: list[Tokenizer], text: str) -> None:
    for tokenizer in every_set:
        ids = tokenizer.encode(text)
        assert not set(ids.tolist()) & set(tokenizer.special_tokens.values())
        assert tokenizer.decode(ids) == text
    count_cases(len(every_set))


@pytest.mark.parametrize("kind", ["byte-bpe", "byte"])
@pytest.mark.tokenizers("adversarial")
def test_names_in_text_stay_text_for_a_chat(kind: str) -> None:
    text = ["<|user|>hi<|end|><|endoftext|>"]
    tokenizer = train_tokenizer(kind, text * 3, 260)
    ids = tokenizer.encode(text[0])
    assert ids.max() < 256
    allowed = tokenizer.encode_with_special_tokens(text[0], ["<|end|>"])
    assert allowed.tolist().count(tokenizer.special_tokens["<|end|>"]) == 1
    assert (allowed >= 256).sum() == 1
    count_cases()


DOES = {
    "chat": ["end_of_text", "user", "assistant", "end_of_turn"],
    "gpt2": ["end_of_text"],
    "gpt1": ["end_of_text", "start", "delimiter", "extract"],
    "bert": ["end_of_text", "begin_of_text", "unknown", "padding", "mask", "class", "separator"],
    "llama": ["end_of_text", "begin_of_text", "unknown", "separator"],
    "t5": ["end_of_text", "unknown", "padding", "separator"],
    "glm": [
        "end_of_text", "mask", "generation_mask", "sentence_mask", "start_of_piece",
        "end_of_piece", "user", "assistant", "end_of_turn",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", list(SPECIAL_SETS))
def test_a_set_plays_its_papers_parts(name: str) -> None:
    names = SPECIAL_SETS[name]
    tokenizer = ByteTokenizer.train(vocab_size=256 + len(names), special_tokens=names)
    assert len(set(names)) == len(names)
    for part in PARTS:
        if part in DOES[name]:
            assert tokenizer.special_id(part) == 256 + names.index(part_name(part, names))
        else:
            with pytest.raises(TokenizerError, match=f"no special token for '{part}'"):
                tokenizer.special_id(part)
    assert tokenizer.end_of_text == tokenizer.special_id("end_of_text")
    unknown = tokenizer.special_id("unknown") if "unknown" in DOES[name] else None
    assert tokenizer.unknown == unknown


def test_sentinels_count_down() -> None:
    names = SPECIAL_SETS["t5"]
    tokenizer = ByteTokenizer.train(vocab_size=256 + len(names), special_tokens=names)
    assert tokenizer.special_tokens["<extra_id_0>"] == tokenizer.vocab_size - 1
    assert tokenizer.special_tokens["<extra_id_99>"] == tokenizer.vocab_size - 100


def test_a_name_for_unknown_text_is_added_once() -> None:
    assert with_unknown(("<s>",)) == ("<s>", "<unk>")
    assert with_unknown(("[UNK]", "a"), "<unk>") == ("[UNK]", "a")


@pytest.mark.tokenizers("bad input")
@pytest.mark.parametrize(
    ("names", "said"), [(["<a>", "<b>", "<a>"], "named twice"), (["\ud800x"], "lone surrogate")]
)
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_names_that_cannot_be_are_refused_before_training(kind, names, said) -> None:
    def texts():
        raise AssertionError("read")
        yield ""

    with pytest.raises(TokenizerError, match=said):
        train_tokenizer(kind, texts(), 500, special_tokens=names)


def test_a_name_that_is_no_text_is_refused_wherever_it_comes_from() -> None:
    with pytest.raises(TokenizerError, match="lone surrogate"):
        ByteTokenizer({"\ud800x": 256})
