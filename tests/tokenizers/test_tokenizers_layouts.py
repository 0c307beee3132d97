"""The files of other programs: what is written is theirs to the byte, or refused."""

import json
from pathlib import Path

import pytest
import transformers
from case_counts import count_cases
from hard_texts import HARD, POEM

import tokenizers as library
from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.byte_map import BYTE_ORDER
from hornbook.tokenizers.files.layouts import LAYOUTS
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.patterns import PATTERNS

END = ("<|endoftext|>",)


@pytest.fixture(scope="module")
def gpt2(texts: list[str]) -> ByteBPE:
    return ByteBPE.train([*texts, POEM], 500, "gpt2", END)


@pytest.mark.tokenizers("formats written", "byte-bpe")
def test_gpt2s_pair_opens_everywhere(gpt2: ByteBPE, tmp_path: Path) -> None:
    gpt2.save(tmp_path, layout="gpt2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merges.txt", "vocab.json"]
    again = load_tokenizer(tmp_path)
    assert again.fingerprint == gpt2.fingerprint
    assert again.definition() == gpt2.definition()
    files = [str(tmp_path / name) for name in ("vocab.json", "merges.txt")]
    others = (
        library.ByteLevelBPETokenizer.from_file(*files),
        transformers.GPT2Tokenizer.from_pretrained(tmp_path),
    )
    for text in [*HARD, "".join(HARD)]:
        ids = gpt2.encode(text).tolist()
        assert others[0].encode(text).ids == ids
        assert others[1].encode(text, split_special_tokens=True) == ids
        count_cases()


def test_gpt2s_pair_has_gpt2s_form(tmp_path: Path) -> None:
    """The beginnings of GPT-2's published files: escaped letters, one line, a version, pairs."""
    tokens = {byte: number for number, byte in enumerate(BYTE_ORDER)}
    tokens |= {b" t": 256, b" a": 257, b"he": 258}
    merges = [(b" ", b"t"), (b" ", b"a"), (b"h", b"e")]
    ByteBPE(tokens, merges, PATTERNS["gpt2"], {END[0]: 259}).save(tmp_path, layout="gpt2")
    vocabulary = (tmp_path / "vocab.json").read_text(encoding="ascii")
    assert vocabulary.startswith('{"!": 0, "\\"": 1, "#": 2, ')
    assert vocabulary.endswith('"\\u0120t": 256, "\\u0120a": 257, "he": 258, "<|endoftext|>": 259}')
    assert (tmp_path / "merges.txt").read_text("utf-8") == "#version: 0.2\nĠ t\nĠ a\nh e\n"


def changed(gpt2: ByteBPE, pattern: str = PATTERNS["gpt2"], end: str = END[0], **specials: int):
    names = specials or dict(gpt2.special_tokens)
    return ByteBPE(gpt2.tokens, gpt2.merges, pattern, names, end)


LOSSES = {
    "a cut other than GPT-2's": lambda one: changed(one, PATTERNS["cl100k"]),
    "tokens that no merge makes": lambda one: ByteBPE(
        one.tokens, one.merges[:-1], one.pattern, one.special_tokens
    ),
    "special tokens whose names": lambda one: changed(one, **{"[MASK]": 600}),
    "another end of text": lambda one: changed(one, end="</s>", **{"</s>": 600}),
}


@pytest.mark.tokenizers("formats written", "byte-bpe")
@pytest.mark.parametrize("lost", list(LOSSES))
def test_what_the_pair_cannot_hold_is_refused(gpt2: ByteBPE, tmp_path: Path, lost: str) -> None:
    with pytest.raises(TokenizerError, match=f'two files cannot hold {lost}.*layout="folder"'):
        LOSSES[lost](gpt2).save(tmp_path, layout="gpt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("merges.txt", lambda data: data + b"one\n", "'one' is no pair"),
        ("merges.txt", lambda data: data + b"t q z\n", "'t q z' is no pair"),
        ("merges.txt", lambda data: data + b"\xd0\x96 q\n", "does not fit its vocabulary"),
        ("merges.txt", lambda data: data + b"qz q\n", "does not fit its vocabulary"),
        ("merges.txt", lambda data: data + data[14:], "in another order"),
        ("merges.txt", lambda data: data[: data.rindex(b"\n", 0, -1) + 1], "no merge makes"),
        ("merges.txt", lambda data: data[:-1], "last line does not end"),
        ("merges.txt", lambda data: b"", "no merge makes|last line does not end"),
        ("vocab.json", lambda data: data.replace(b'"th": ', b'"xq": '), "does not fit"),
        ("vocab.json", lambda data: data.replace(b'"!": 0', b'"!": 7'), "two tokens one id"),
        ("vocab.json", lambda data: data.replace(b'"!": 0', b'"!": null'), "does not fit"),
        ("vocab.json", lambda data: data.replace(b'"!": 0', b'"!": "0"'), "does not fit"),
        ("vocab.json", lambda data: data.replace(b'"!": 0', b'"!": 0.5'), "does not fit"),
        ("vocab.json", lambda data: b"[1]", "no JSON object"),
        ("vocab.json", lambda data: data.replace(b'"!": 0, ', b'"!": 0, "\\ud800": 900, '), "."),
    ],
)  # fmt: skip
def test_a_damaged_pair_is_named(gpt2: ByteBPE, tmp_path: Path, name, change, said) -> None:
    gpt2.save(tmp_path, layout="gpt2")
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(change(data))
    assert change(data) != data
    with pytest.raises(TokenizerError, match=said) as error:
        load_tokenizer(tmp_path)
    assert name in str(error.value)


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize("name", ["vocab.json", "merges.txt"])
def test_half_a_pair_is_named(gpt2: ByteBPE, tmp_path: Path, name: str) -> None:
    gpt2.save(tmp_path, layout="gpt2")
    (other,) = {"vocab.json", "merges.txt"} - {name}
    (tmp_path / other).unlink()
    with pytest.raises(TokenizerError, match=f"{other} cannot be read"):
        load_tokenizer(tmp_path / name)


def test_a_layout_that_a_kind_has_not_names_those_it_has(small: ByteBPE, tmp_path: Path) -> None:
    with pytest.raises(
        TokenizerError,
        match=r"byte-bpe .* 'tiktokn': it can in folder, gpt2, tiktoken; did you mean \"tiktoken\"",
    ):
        small.save(tmp_path, layout="tiktokn")
    for layout in LAYOUTS:
        with pytest.raises(TokenizerError, match=r"it can in folder$"):
            ByteTokenizer().save(tmp_path, layout=layout)
    with pytest.raises(TokenizerError, match="layout 'wordpiece'"):
        small.save(tmp_path, layout="wordpiece")


def test_every_layout_has_a_kind_that_writes_and_opens_it(tmp_path: Path, texts: list[str]) -> None:
    from hornbook.tokenizers import train_tokenizer

    kinds = {
        "gpt2": ("byte-bpe", {"pattern": "gpt2"}),
        "tiktoken": ("byte-bpe", {}),
        "wordpiece": ("wordpiece", {"lowercase": True, "special_tokens": "bert"}),
        "sentencepiece": ("sentencepiece-bpe", {}),
    }
    assert kinds.keys() == LAYOUTS.keys()
    for layout, (kind, options) in kinds.items():
        trained = train_tokenizer(kind, texts, 500, **options)
        trained.save(tmp_path / layout, layout=layout)
        assert not (tmp_path / layout / "tokenizer.json").exists()
        again = load_tokenizer(tmp_path / layout)
        assert again.kind == kind
        for text in texts[:3]:
            assert again.encode(text).tolist() == trained.encode(text).tolist()


def test_json_with_a_lone_surrogate_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": "\ud800"}))
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)
