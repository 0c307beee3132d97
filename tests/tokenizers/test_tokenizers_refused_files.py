"""Files that others cut otherwise, or that contradict themselves, are refused and not guessed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from case_counts import count_cases
from hard_texts import HARD, PROSE

import tokenizers as library
from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer, train_tokenizer
from hornbook.tokenizers.files.definition import bpe_definition
from hornbook.tokenizers.files.sentencepiece_model import Piece, PieceType, read_model, with_pieces
from hornbook.tokenizers.files.tiktoken_ranks import open_ranks
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from tokenizers import models, pre_tokenizers

TEXT = [PROSE, "The Quick brown fox, naïve café; it's 12345.\n" * 20]


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture(scope="module")
def cased() -> Any:
    trained = library.CharBPETokenizer()
    trained.train_from_iterator(TEXT, vocab_size=200, show_progress=False)
    return trained


@pytest.mark.tokenizers("formats read", "bpe")
def test_two_files_with_capitals_keep_them(cased: Any, tmp_path: Path) -> None:
    cased.save_model(str(tmp_path))
    mine = load_tokenizer(tmp_path)
    for text in [*TEXT, *HARD]:
        assert mine.encode(text).tolist() == cased.encode(text).ids
        count_cases()


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"do_lower_case": True}, "the quick"),
        ({"do_lower_case": False}, "The Quick"),
        ({"tokenizer_class": "OpenAIGPTTokenizer"}, "the quick"),
    ],
)
def test_the_configuration_says_the_case(cased: Any, tmp_path: Path, config, shown: str) -> None:
    cased.save_model(str(tmp_path))
    write(tmp_path / "tokenizer_config.json", config)
    assert load_tokenizer(tmp_path).normalize("The Quick") == shown


FILES: dict[str, Callable[[Path], Any]] = {
    "gpt2": lambda folder: train_tokenizer(
        "byte-bpe", TEXT, 270, pattern="gpt2", special_tokens="gpt2"
    ).save(folder, layout="gpt2"),
    "bert": lambda folder: train_tokenizer("wordpiece", TEXT, 80, special_tokens="bert").save(
        folder, layout="wordpiece"
    ),
    "model": lambda folder: train_tokenizer(
        "sentencepiece-bpe", TEXT, 330, special_tokens="llama"
    ).save(folder, layout="sentencepiece"),
}
CONFIGS = [
    ("gpt2", {"tokenizer_class": "Qwen2Tokenizer"}, "Qwen2Tokenizer"),
    ("gpt2", {"add_prefix_space": True}, "add_prefix_space True"),
    ("gpt2", {"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": False}, ""),
    ("bert", {"tokenizer_class": "BertJapaneseTokenizer"}, "BertJapaneseTokenizer"),
    ("bert", {"word_tokenizer_type": "mecab"}, "word_tokenizer_type 'mecab'"),
    ("bert", {"do_basic_tokenize": False}, "do_basic_tokenize False"),
    ("bert", {"never_split": ["a"]}, "never_split"),
    ("bert", {"tokenizer_class": "BertTokenizer", "never_split": None}, ""),
    ("model", {"tokenizer_class": "XLMRobertaTokenizer"}, "XLMRobertaTokenizer"),
    ("model", {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": True}, ""),
]


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize(("files", "config", "said"), CONFIGS)
def test_another_cut_beside_is_refused(files: str, config, said: str, tmp_path: Path) -> None:
    FILES[files](tmp_path)
    fingerprint = load_tokenizer(tmp_path).fingerprint
    write(tmp_path / "tokenizer_config.json", config)
    if not said:
        assert load_tokenizer(tmp_path).fingerprint == fingerprint
        return
    with pytest.raises(TokenizerError, match=said):
        load_tokenizer(tmp_path)


def words() -> dict[str, Any]:
    made = library.Tokenizer(models.WordLevel({"a": 0, "b": 1, "<unk>": 2}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_tokens(["ZZZ"])
    return json.loads(made.to_str())


@pytest.mark.tokenizers("bad input", "pipeline")
def test_added_tokens_that_the_library_renumbers_are_refused(tmp_path: Path) -> None:
    definition = words()
    write(tmp_path / "tokenizer.json", definition)
    assert load_tokenizer(tmp_path).encode("a ZZZ").tolist() == [0, 3]
    definition["added_tokens"][-1]["id"] = 20
    write(tmp_path / "tokenizer.json", definition)
    with pytest.raises(TokenizerError, match=r"'ZZZ' with the id 20, which .* reads as 3"):
        load_tokenizer(tmp_path)


@pytest.mark.tokenizers("bad input", "pipeline")
def test_a_piece_listed_twice_is_refused(tmp_path: Path) -> None:
    rows = [("<unk>", 0.0), ("a", -1.0), ("b", -2.0), ("a", -3.0)]
    write(
        tmp_path / "tokenizer.json", json.loads(library.Tokenizer(models.Unigram(rows, 0)).to_str())
    )
    with pytest.raises(TokenizerError, match="one of them two"):
        load_tokenizer(tmp_path)


@pytest.mark.tokenizers("bad input", "byte-bpe")
@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json"])
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, name: str) -> None:
    small = train_tokenizer("byte-bpe", TEXT, 270, pattern="gpt2", special_tokens="gpt2")
    small.save(tmp_path, layout="folder" if name == "tokenizer.json" else "gpt2")
    path = tmp_path / name
    text = path.read_text(encoding="utf-8")
    twice = text.replace('"!":', '"#": 5000, "!":', 1)
    assert twice != text
    path.write_text(twice, encoding="utf-8")
    with pytest.raises(TokenizerError, match=f"{name} .*the key '#' stands twice"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("text", ['{"a": ' + "9" * 5000 + "}", "{}"])
def test_odd_json_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "vocab.json").write_text(text)
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(TokenizerError, match=str(tmp_path)):
        load_tokenizer(tmp_path)


@pytest.mark.tokenizers("bad input", "character")
@pytest.mark.parametrize("number", [256, 65, -5, 10**12])
def test_ids_that_collide_or_exceed_are_refused(tmp_path: Path, number: int) -> None:
    train_tokenizer("character", TEXT, 290, special_tokens="gpt2").save(tmp_path)
    path = tmp_path / "tokenizer.json"
    definition = json.loads(path.read_text(encoding="utf-8"))
    definition["added_tokens"][0]["id"] = number
    definition["model"]["vocab"]["<|endoftext|>"] = number
    write(path, definition)
    with pytest.raises(TokenizerError, match="two tokens one id, or an id below 0"):
        load_tokenizer(tmp_path)


@pytest.mark.tokenizers("formats read", "byte-bpe")
@pytest.mark.parametrize("pattern", [r"^\w|\w+|\W+", r"the$|\w|\W", r"\d*", r"\p{L}+|", r"the\Z|."])
def test_a_foreign_cut_is_the_librarys(small: ByteBPE, tmp_path: Path, pattern: str, capfd) -> None:
    definition = bpe_definition(small.tokens, small.merges, pattern, {})
    write(tmp_path / "tokenizer.json", definition)
    mine, other = load_tokenizer(tmp_path), library.Tokenizer.from_str(json.dumps(definition))
    assert mine.kind == "byte-bpe"
    for text in [*HARD, "x the\nthe brown\r\n the", "the quick\nthe\n", "12 34\n"]:
        assert mine.encode(text).tolist() == other.encode(text).ids
        assert mine.decode(mine.encode(text)) == text
        count_cases()
    assert "panicked" not in capfd.readouterr().err


def test_ranks_below_their_parts_under_a_foreign_cut(small: ByteBPE) -> None:
    tokens = {bytes([byte]): byte for byte in range(256)} | {b"abc": 256, b"ab": 257}
    mine = ByteBPE(tokens, [(b"a", b"b")], r"\w+", {})
    assert mine.encode("abc xabc ab").tolist() == [256, 32, 120, 256, 32, 257]


@pytest.mark.parametrize("pattern", ["^a|.", "a$|.", r"\Aa|.", r"(?m)a|."])
def test_ranks_are_not_cut_by_anchors(small: ByteBPE, tmp_path: Path, pattern: str) -> None:
    small.save_ranks(tmp_path / "x.tiktoken")
    assert open_ranks(tmp_path / "x.tiktoken", r"[^\r\n]+|\\|\^").encode("a^").size
    with pytest.raises(TokenizerError, match="has an anchor"):
        open_ranks(tmp_path / "x.tiktoken", pattern)


@pytest.mark.tokenizers("bad input", "sentencepiece-bpe")
def test_odd_pieces_are_refused(tmp_path: Path) -> None:
    FILES["model"](tmp_path)
    path = tmp_path / "tokenizer.model"
    data = path.read_bytes()
    pieces = list(read_model(data, "x").pieces)
    odd = [
        with_pieces(data, [*pieces, Piece("zzq", float("nan"), PieceType.NORMAL)]),
        with_pieces(data, [*pieces, Piece("<0xZZ>", 0.0, PieceType.BYTE)]),
        data + b"\x0a\x05\x15\0\0\0\0",  # a piece without text
        data + b"\x12\x02\x18\x07",  # model type 7
    ]
    for changed in odd:
        path.write_bytes(changed)
        with pytest.raises(TokenizerError, match=r"tokenizer\.model"):
            load_tokenizer(tmp_path)


@pytest.mark.tokenizers("bad input", "byte-bpe")
def test_two_files_in_another_order_are_not_called_damaged(tmp_path: Path) -> None:
    FILES["gpt2"](tmp_path)
    path = tmp_path / "merges.txt"
    version, first, second, *rest = path.read_text(encoding="utf-8").split("\n")
    path.write_text("\n".join([version, second, first, *rest]), encoding="utf-8")
    with pytest.raises(TokenizerError, match="another order than its ids, which Hornbook") as error:
        load_tokenizer(tmp_path)
    assert "damaged" not in str(error.value)


def test_an_anchored_cut_of_our_own_comes_back(tmp_path: Path) -> None:
    mine = train_tokenizer("byte-bpe", TEXT, 270, pattern=r"^\w|\w+|\W+", special_tokens="gpt2")
    for layout in ("tiktoken", "folder"):
        mine.save(tmp_path / layout, layout=layout)
        again = load_tokenizer(tmp_path / layout)
        assert again.encode("x the\nthe\n the").tolist() == mine.encode("x the\nthe\n the").tolist()
        assert again.fingerprint == mine.fingerprint
