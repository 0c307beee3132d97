"""tiktoken's files of ranks: read, written, and damaged ones named."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiktoken
from case_counts import count_cases
from hard_texts import HARD, POEM, PROSE
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiktoken.load import load_tiktoken_bpe

import hornbook
import tokenizers as library
from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.byte_map import BYTE_ORDER
from hornbook.tokenizers.files.recipes import beyond_merges, recover_merges
from hornbook.tokenizers.files.tiktoken_ranks import open_ranks
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.patterns import PATTERNS
from hornbook.tokenizers.special import CHAT

BYTES = {byte: number for number, byte in enumerate(BYTE_ORDER)}
TEXTS = [*HARD, PROSE, POEM * 20, "".join(HARD)]


@pytest.fixture(scope="module", autouse=True)
def _no_cache() -> Iterator[None]:
    """tiktoken keeps copies of files by their path, even of local ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", "")
        yield


def line(token: bytes, rank: int) -> bytes:
    return base64.b64encode(token) + b" %d\n" % rank


def dump(ranks: dict[bytes, int], path: Path) -> None:
    """As tiktoken's `dump_tiktoken_bpe`, which needs a package for network files."""
    by_rank = sorted(ranks.items(), key=lambda item: item[1])
    path.write_bytes(b"".join(line(token, rank) for token, rank in by_rank))


def as_tiktoken(path: Path, pattern: str) -> tiktoken.Encoding:
    ranks = load_tiktoken_bpe(str(path))
    return tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


@pytest.mark.tokenizers("formats read", "byte-bpe")
def test_tiktokens_own_file_opens(tokenizer: ByteBPE, tmp_path: Path) -> None:
    path = tmp_path / "any.tiktoken"
    dump(tokenizer.tokens, path)
    mine = open_ranks(path, tokenizer.pattern, CHAT)
    other = as_tiktoken(path, tokenizer.pattern)
    for text in TEXTS:
        assert mine.encode(text).tolist() == other.encode_ordinary(text)
        assert mine.decode_bytes(mine.encode(text)) == text.encode()
        count_cases()
    assert mine.merges == tokenizer.merges
    assert mine.fingerprint == tokenizer.fingerprint


@pytest.mark.tokenizers("formats written", "byte-bpe")
def test_a_written_file_is_tiktokens_and_opens_again(tokenizer: ByteBPE, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "mine", layout="tiktoken")
    path = tmp_path / "mine" / "tokenizer.tiktoken"
    dump(tokenizer.tokens, tmp_path / "theirs")
    assert path.read_bytes() == (tmp_path / "theirs").read_bytes()
    for again in (load_tokenizer(path), load_tokenizer(path.parent)):
        assert again.fingerprint == tokenizer.fingerprint
        assert again.definition() == tokenizer.definition()
    other = as_tiktoken(path, tokenizer.pattern)
    for text in TEXTS:
        assert tokenizer.encode(text).tolist() == other.encode_ordinary(text)
        count_cases()


@pytest.mark.tokenizers("bad input", "byte-bpe")
def test_ranks_without_a_cut_are_refused(small: ByteBPE, tmp_path: Path) -> None:
    """Another cut gives other ids, and no error: it is said, or nothing opens."""
    path = tmp_path / "bare.tiktoken"
    dump(small.tokens, path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "another program\'s"}')
    with pytest.raises(TokenizerError, match=r"pattern= one of gpt2, cl100k, digits.*config\.json"):
        load_tokenizer(path)
    with pytest.raises(TokenizerError, match="does not say how its text is cut"):
        open_ranks(path, special_tokens=CHAT)


@pytest.mark.tokenizers("formats read", "byte-bpe")
def test_the_caller_or_a_configuration_says_the_cut(small: ByteBPE, tmp_path: Path) -> None:
    path = tmp_path / "bare.tiktoken"
    dump(small.tokens, path)
    bare = hornbook.load_tokenizer(tmp_path, pattern="digits")
    assert (bare.pattern, bare.special_tokens) == (PATTERNS["digits"], {})
    assert bare.end_of_text_name == ""
    named = load_tokenizer(path, "gpt2", {"<eod>": 600, "<pad>": 601})
    assert named.pattern == PATTERNS["gpt2"]
    assert (named.end_of_text, named.vocab_size) == (600, 602)
    said = {"pattern": "gpt2", "special_tokens": ["</s>"]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said))
    beside = load_tokenizer(path)
    assert (beside.pattern, beside.special_tokens) == (PATTERNS["gpt2"], {"</s>": 496})
    assert load_tokenizer(path, pattern="digits").pattern == PATTERNS["digits"]


def test_other_files_take_no_cut(small: ByteBPE, tmp_path: Path) -> None:
    small.save(tmp_path)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json says its own cut"):
        load_tokenizer(tmp_path, pattern="gpt2")


@pytest.mark.parametrize("order", [("tiktoken", "folder"), ("folder", "tiktoken")])
def test_ranks_and_a_folder_lie_beside_each_other(tokenizer, tmp_path: Path, order) -> None:
    for layout in order:
        tokenizer.save(tmp_path, layout=layout)
    for path in (tmp_path, tmp_path / "tokenizer.tiktoken", tmp_path / "tokenizer.json"):
        assert load_tokenizer(path).fingerprint == tokenizer.fingerprint
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["eos_token"]


def test_two_files_of_ranks_lie_beside_each_other(small: ByteBPE, tmp_path: Path) -> None:
    other = ByteBPE(small.tokens, small.merges, PATTERNS["gpt2"], {"</s>": 700}, "</s>")
    small.save_ranks(tmp_path / "a.tiktoken")
    other.save_ranks(tmp_path / "b.tiktoken")
    assert load_tokenizer(tmp_path / "a.tiktoken").fingerprint == small.fingerprint
    assert load_tokenizer(tmp_path / "b.tiktoken").fingerprint == other.fingerprint


def test_no_end_of_text_stays_none(small: ByteBPE, tmp_path: Path) -> None:
    endless = ByteBPE(small.tokens, small.merges, small.pattern, {"</s>": 700}, "")
    endless.save(tmp_path, layout="tiktoken")
    again = load_tokenizer(tmp_path)
    assert again.end_of_text_name == ""
    assert again.fingerprint == endless.fingerprint


WORDS = st.binary(min_size=2, max_size=5).map(lambda data: bytes(b"abc"[byte % 3] for byte in data))


@settings(deadline=None, max_examples=100)
@given(
    words=st.lists(WORDS, unique=True, max_size=12),
    text=st.text("abc ", max_size=40),
    gap=st.integers(0, 3),
)
@example(words=[b"abc", b"ab"], text="abc cabc", gap=0)  # below its own part
@example(words=[b"abcab"], text="abcab abcabc", gap=2)  # beyond merging
@pytest.mark.tokenizers("formats read", "byte-bpe")
def test_any_ranks_give_tiktokens_ids(tmp_path_factory, words, text: str, gap: int) -> None:
    """Ranks in any order, with gaps, and tokens that merging never reaches."""
    ranks = BYTES | {word: 256 + place * (1 + gap) for place, word in enumerate(words)}
    path = tmp_path_factory.getbasetemp() / "any.tiktoken"
    dump(ranks, path)
    mine = open_ranks(path, "gpt2")
    ids = mine.encode(text).tolist()
    assert ids == as_tiktoken(path, PATTERNS["gpt2"]).encode_ordinary(text)
    assert mine.decode(ids) == text
    count_cases()
    if beyond_merges(mine.tokens, mine.merges):
        with pytest.raises(TokenizerError, match="ranks below one of its own parts"):
            mine.definition()
    else:
        other = library.Tokenizer.from_str(json.dumps(mine.definition()))
        assert other.encode(text).ids == ids


def test_recipes_are_those_of_training(tokenizer: ByteBPE) -> None:
    assert tuple(recover_merges(tokenizer.tokens)) == tokenizer.merges


def test_a_token_beyond_merging_is_a_whole_word(tmp_path: Path) -> None:
    path = tmp_path / "x.tiktoken"
    dump({**BYTES, b"th": 256, b" hornbook": 900}, path)
    mine = open_ranks(path, "gpt2")
    assert mine.merges == ((b"t", b"h"),)
    assert mine.encode("th hornbook").tolist() == [256, 900]
    assert mine.encode(" hornbooks").tolist() == [BYTES[bytes([byte])] for byte in b" hornbooks"]
    assert mine.vocab_size == 901
    assert mine.decode([256, 899, 900]) == "th hornbook"
    mine.save(tmp_path / "folder")
    assert load_tokenizer(tmp_path / "folder").fingerprint == mine.fingerprint


def test_a_token_below_its_part_is_refused_by_layouts_with_merges(tmp_path: Path) -> None:
    path = tmp_path / "x.tiktoken"
    dump({**BYTES, b"abc": 256, b"ab": 257}, path)
    mine = open_ranks(path, "gpt2", {"<|endoftext|>": 258})
    assert mine.encode("xabc").tolist() == [BYTES[b"x"], 256]
    with pytest.raises(TokenizerError, match=r"b'abc' ranks below .* layout=\"tiktoken\""):
        mine.save(tmp_path / "folder")
    with pytest.raises(TokenizerError, match="tokens that no merge makes"):
        mine.save(tmp_path / "pair", layout="gpt2")
    mine.save(tmp_path / "ranks", layout="tiktoken")
    assert load_tokenizer(tmp_path / "ranks").encode("xabc").tolist() == [BYTES[b"x"], 256]


DAMAGE = {
    "empty": (lambda data: b"", "256 of the 256 bytes"),
    "no base64": (lambda data: data + b"@@@@ 9999\n", "line 497 is no token in base64"),
    "odd base64": (lambda data: data + b"YWJ 9999\n", "line 497 is no token in base64"),
    "no rank": (lambda data: data + b"YWJj\n", "line 497 is no token in base64 and a rank"),
    "three parts": (lambda data: data + b"YWJj 1 2\n", "line 497 is no token"),
    "rank in words": (lambda data: data + b"YWJj one\n", "line 497 is no token"),
    "rank below 0": (lambda data: data + line(b"zqz", -1), "line 497 gives b'zqz' the rank -1"),
    "rank beyond memory": (lambda data: data + line(b"zqz", 10**12), "the rank 1000000000000"),
    "empty token": (lambda data: data + b"= 9999\n", "line 497"),
    "token twice": (lambda data: data + line(b"th", 9999), "line 497 repeats the token b'th'"),
    "rank twice": (lambda data: data + line(b"zqz", 9), "line 497 repeats .* the rank 9"),
    "lost byte": (lambda data: data.replace(line(b"!", 0), b""), "no token for 1 of the 256"),
    "lost line": (lambda data: data[: data.rindex(b"\n", 0, -1) + 1], "saved with other ranks"),
    "torn rank": (lambda data: data[:-2], r"line 496 repeats .* the rank 49"),
    "binary": (lambda data: b"\x80\x02\xff\x00 " + data, "line 1 is no token"),
}


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_file_is_named(small: ByteBPE, tmp_path: Path, damage: str) -> None:
    small.save(tmp_path, layout="tiktoken")
    path = tmp_path / "tokenizer.tiktoken"
    change, said = DAMAGE[damage]
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(TokenizerError, match=said) as error:
        load_tokenizer(tmp_path)
    assert str(tmp_path) in str(error.value)


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99, 0.999])
def test_a_torn_file_is_named(small: ByteBPE, tmp_path: Path, share: float) -> None:
    small.save(tmp_path, layout="tiktoken")
    path = tmp_path / "tokenizer.tiktoken"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(TokenizerError, match=str(tmp_path)):
        load_tokenizer(tmp_path)


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize(
    "specials", [{"<a>": 5}, {"<a>": 500, "<b>": 500}, {"<a>": -1}, {"<a>": 10**12}]
)
def test_special_ids_that_are_taken_are_refused(small: ByteBPE, tmp_path: Path, specials) -> None:
    path = tmp_path / "x.tiktoken"
    dump(small.tokens, path)
    with pytest.raises(TokenizerError, match=r"special tokens of .*x\.tiktoken take the ids"):
        open_ranks(path, "gpt2", specials)


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize(
    "change",
    [
        lambda facts: b"{",
        lambda facts: json.dumps({"sha256": facts["sha256"]}).encode(),
        lambda facts: json.dumps({**facts, "special_tokens": {"<a>": "x"}}).encode(),
        lambda facts: json.dumps({**facts, "special_tokens": 5}).encode(),
        lambda facts: json.dumps({**facts, "sha256": "0" * 64}).encode(),
        lambda facts: json.dumps({**facts, "pattern": None}).encode(),
    ],
)
def test_damaged_facts_are_named(small: ByteBPE, tmp_path: Path, change) -> None:
    small.save(tmp_path, layout="tiktoken")
    beside = tmp_path / "tokenizer.tiktoken.json"
    beside.write_bytes(change(json.loads(beside.read_text())))
    with pytest.raises(TokenizerError, match=str(tmp_path)):
        load_tokenizer(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"none\.tiktoken cannot be read"):
        open_ranks(tmp_path / "none.tiktoken")
