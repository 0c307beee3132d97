"""WordPiece: BERT's ids by three other programs, its vocab.txt, training that never changes."""

import json
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import transformers
from case_counts import count_cases
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kind_table import LINES, SAMPLES, TEXTS, damage_is_named, equals, sample_lines
from kind_table import trained as trained_kind
from transformers.models.bert.tokenization_bert_legacy import BasicTokenizer
from word_oracles import basic_words, learn, longest_match

from hornbook.errors import TokenizerError
from hornbook.tokenizers import load_tokenizer, train_tokenizer
from hornbook.tokenizers.kinds import word_merges
from hornbook.tokenizers.kinds.wordpiece import WordPiece, open_vocabulary
from hornbook.tokenizers.special import SPECIAL_SETS
from tokenizers import BertWordPieceTokenizer, decoders

BERT = SPECIAL_SETS["bert"]
OLD = [
    character
    for character in map(chr, range(0xFFFF))
    if unicodedata.ucd_3_2_0.category(character) not in ("Cn", "Cs")  # tables differ on newer
]
PIECES = st.sampled_from(["the", " ", "action", "[SEP]", "##s", "don't", "中文", "한국", "e\u0301"])
MIXED = st.lists(st.one_of(PIECES, st.text(st.sampled_from(OLD), max_size=5)), max_size=10).map(
    "".join
)
both = pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])


def trained(lowercase: bool = True) -> WordPiece:
    found: WordPiece = trained_kind("wordpiece", lowercase=lowercase)
    return found


def vocabulary(tokenizer: WordPiece) -> dict[str, int]:
    return dict(tokenizer.definition()["model"]["vocab"])


def one_by_one(lowercase: bool, text: str) -> list[int]:
    ids = vocabulary(trained(lowercase))
    words = basic_words(text, lowercase)
    return [number for word in words for number in longest_match(word, ids)]


@pytest.mark.tokenizers("encode", "wordpiece")
@both
@settings(deadline=None, max_examples=80)
@given(text=MIXED)
@example(text="Don't  stop_it, 12_34 中文abc é e\u0301\t\n\x00 a\u200bb ☃x x☃ İ ΑΣ")
def test_ids_equal_a_loop(lowercase: bool, text: str) -> None:
    assert trained(lowercase).encode(text).tolist() == one_by_one(lowercase, text)
    assert trained(lowercase).normalize(text) == " ".join(basic_words(text, lowercase))
    count_cases()


@pytest.mark.tokenizers("library", "wordpiece")
@pytest.mark.tokenizers("encode", "wordpiece")
@both
def test_ids_equal_the_published_programs(lowercase: bool, tmp_path: Path) -> None:
    tokenizer = trained(lowercase)
    path = tmp_path / "vocab.txt"
    tokenizer.save_vocabulary(path)
    library = BertWordPieceTokenizer.from_file(str(path), lowercase=lowercase)
    library._tokenizer.encode_special_tokens = True
    bert = transformers.BertTokenizer(vocab=str(path), do_lower_case=lowercase)
    bert.backend_tokenizer.decoder = decoders.WordPiece(cleanup=False)
    for other in (
        lambda text: library.encode(text, add_special_tokens=False).ids,
        lambda text: bert.encode(text, add_special_tokens=False, split_special_tokens=True),
    ):
        equals(tokenizer, other, LINES)
    for text in LINES:
        ids = tokenizer.encode(text).tolist()
        spans = library.encode(text, add_special_tokens=False).offsets
        assert tokenizer.offsets(text)[1].tolist() == [list(span) for span in spans]
        assert bert.decode(ids) == tokenizer.decode(ids)


@pytest.mark.tokenizers("encode", "wordpiece")
def test_words_equal_googles_code() -> None:
    """Its code, kept in transformers; where the two part, the golden tests below say."""
    google = BasicTokenizer(do_lower_case=True)
    for text in LINES:
        text = "".join(c for c in text if unicodedata.category(c) not in ("Cn", "Co"))
        assert trained().normalize(text) == " ".join(google.tokenize(text))
    count_cases(len(LINES))


@pytest.mark.tokenizers("encode", "wordpiece")
@pytest.mark.parametrize("name", SAMPLES)
def test_books_are_the_same(name: str) -> None:
    equals(trained(), lambda text: one_by_one(True, text), sample_lines(name))


GOLDEN = {
    "a hundred letters are a word": ("a" * 100, ["a" * 100]),
    "Hangul becomes jamo": ("한", ["\u1112\u1161\u11ab"]),
    "private use goes": ("a\ue000b", ["ab"]),
    "control, format and U+FFFD go": ("a\x00\x07\u200d\ufeff\ufffdb", ["ab"]),
    "ideographs stand alone": ("a中b㐀\U00020000", ["a", "中", "b", "㐀", "\U00020000"]),
    "U+2B820 is no ideograph": ("a\U0002b820b", ["a\U0002b820b"]),
    "U+2B91F is no ideograph": ("a\U0002b91fb", ["a\U0002b91fb"]),
    "U+2B920 is one": ("a\U0002b920b", ["a", "\U0002b920", "b"]),
    "kana are letters": ("aかb", ["aかb"]),
    "no rule for a final sigma": ("ΑΣ", ["ασ"]),
    "accents go with the case": ("Éé e\u0301 İ", ["ee", "e", "i"]),
    "ASCII signs are punctuation": ("a$b^c`d", ["a", "$", "b", "^", "c", "`", "d"]),
    "other symbols are not": ("a€b×c", ["a€b×c"]),
    "a special name is signs and letters": ("[SEP]", ["[", "sep", "]"]),
    "whitespace of all sorts": ("a\u3000b\u2028c\xa0d\te", ["a", "b", "c", "d", "e"]),
}


@pytest.mark.tokenizers("encode", "wordpiece")
@pytest.mark.parametrize("rule", list(GOLDEN))
def test_golden_words(rule: str) -> None:
    text, words = GOLDEN[rule]
    assert trained().normalize(text) == " ".join(words)
    count_cases()


@pytest.mark.tokenizers("encode", "wordpiece")
def test_a_word_is_unknown_as_a_whole_and_beyond_a_hundred_characters() -> None:
    tokenizer = trained()
    unknown = tokenizer.unknown
    assert unknown not in tokenizer.encode("a" * 100)
    assert tokenizer.encode("a" * 101).tolist() == [unknown]
    assert tokenizer.encode("the parser☃ the").tolist() == [
        *tokenizer.encode("the"),
        unknown,
        *tokenizer.encode("the"),
    ]
    assert tokenizer.decode(tokenizer.encode("the ☃ parser")) == "the [UNK] parser"
    count_cases(3)


def test_strip_accents_follows_the_case() -> None:
    assert trained(False).normalize("É ΑΣ") == "É ΑΣ"
    assert trained(True).normalize("É") == "e"


@pytest.mark.tokenizers("offsets", "wordpiece")
@settings(deadline=None, max_examples=40)
@given(text=st.lists(PIECES, max_size=8).map(" ".join))
def test_offsets_cut_the_text_into_its_pieces(text: str) -> None:
    tokenizer = trained(False)
    ids, spans = tokenizer.offsets(text)
    assert ids.tolist() == one_by_one(False, text)
    for number, (start, end) in zip(ids.tolist(), spans.tolist(), strict=True):
        if number != tokenizer.unknown:
            assert tokenizer.token_bytes(number).decode().strip() == text[start:end]
    count_cases()


@pytest.mark.tokenizers("train", "wordpiece")
@both
def test_training_equals_the_plain_trainer(
    lowercase: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_merges, "COVERAGE", 1.0)
    texts = [TEXTS[0][:12_000], *TEXTS[1:]]
    words = Counter(word for text in texts for word in basic_words(text, lowercase))
    expected = learn(words, 400, prefix="##")
    found = WordPiece.train(texts, 405, BERT, lowercase)
    assert list(vocabulary(found)) == [*BERT, *expected]
    count_cases(len(texts))


def test_special_tokens_come_first() -> None:
    assert trained().special_tokens == {name: number for number, name in enumerate(BERT)}
    assert trained().end_of_text == 3
    chat = WordPiece.train(TEXTS, 500)
    assert list(chat.special_tokens.items())[-1] == ("[UNK]", 4)
    assert chat.decode([3, *chat.encode("the parser"), 3]) == "<|end|> the parser <|end|>"


@pytest.mark.tokenizers("formats read", "wordpiece")
@pytest.mark.tokenizers("formats written", "wordpiece")
@both
def test_berts_vocabulary_opens(lowercase: bool, tmp_path: Path) -> None:
    tokenizer = trained(lowercase)
    tokenizer.save_vocabulary(tmp_path / "vocab.txt")
    for path in (tmp_path, tmp_path / "vocab.txt"):
        assert load_tokenizer(path).fingerprint == tokenizer.fingerprint
    lines = (tmp_path / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert lines[:-1] == list(vocabulary(tokenizer))
    assert lines[-1] == ""
    theirs = transformers.BertTokenizer(vocab=str(tmp_path / "vocab.txt"))
    assert theirs.get_vocab() == vocabulary(tokenizer)
    count_cases(tokenizer.vocab_size)


@pytest.mark.tokenizers("bad input", "wordpiece")
def test_what_a_vocabulary_cannot_hold_is_not_saved_as_one(tmp_path: Path) -> None:
    chat = WordPiece.train(TEXTS, 500)
    cased = WordPiece.train([text.lower() for text in TEXTS], 500, BERT)
    for tokenizer in (chat, cased):
        with pytest.raises(TokenizerError, match=r"vocab\.txt cannot hold .* save"):
            tokenizer.save_vocabulary(tmp_path / "vocab.txt")
    assert not list(tmp_path.iterdir())
    count_cases(2)


@pytest.mark.tokenizers("formats read", "wordpiece")
def test_the_configuration_beside_decides_the_casing(tmp_path: Path) -> None:
    trained().save_vocabulary(tmp_path / "vocab.txt")
    config = tmp_path / "tokenizer_config.json"
    config.write_text('{"do_lower_case": false}')
    assert open_vocabulary(tmp_path / "vocab.txt").normalize("É中x") == "É 中 x"
    config.write_text('{"do_lower_case": false, "strip_accents": true}')
    assert open_vocabulary(tmp_path / "vocab.txt").normalize("É中x") == "E 中 x"
    config.write_text('{"tokenize_chinese_chars": false}')
    assert open_vocabulary(tmp_path / "vocab.txt").normalize("É中x") == "e中x"
    config.write_text('{"do_lower_case": null}')
    assert open_vocabulary(tmp_path / "vocab.txt").fingerprint == trained().fingerprint
    count_cases(4)


@pytest.mark.tokenizers("formats read", "wordpiece")
def test_lines_end_at_a_newline_only(tmp_path: Path) -> None:
    odd = ["a\u2028b", "\x85", "c\rd", "\x1c", "\u3000"]
    path = tmp_path / "vocab.txt"
    path.write_bytes("".join(f"{piece}\n" for piece in [*BERT, *odd]).encode())
    assert vocabulary(open_vocabulary(path)) == {p: i for i, p in enumerate([*BERT, *odd])}
    count_cases()


LISTS = {
    "twice": (b"[PAD]\n[UNK]\na\nb\na\n", "line 5 repeats 'a' of line 3"),
    "empty line": (b"[PAD]\n[UNK]\n\na\n", "line 3 is empty"),
    "no unknown": (b"[PAD]\na\nb\n", r"has no \[UNK\]"),
    "other line ends": (b"[PAD]\r\n[UNK]\r\na\r\n", r"has no \[UNK\]"),
    "torn": (b"[PAD]\n[UNK]\na\n##a\n##b", "does not end with a newline"),
    "empty": (b"", "does not end with a newline"),
    "not UTF-8": (b"[PAD]\n[UNK]\na\n\xff\xfe\n", "not UTF-8"),
    "only special tokens": (b"[PAD]\n[UNK]\n", "damaged"),
}


@pytest.mark.tokenizers("bad input", "wordpiece")
@pytest.mark.parametrize("damage", list(LISTS))
def test_a_damaged_vocabulary_is_named(tmp_path: Path, damage: str) -> None:
    data, said = LISTS[damage]
    (tmp_path / "vocab.txt").write_bytes(data)
    with pytest.raises(TokenizerError, match=said) as error:
        load_tokenizer(tmp_path)
    assert str(tmp_path / "vocab.txt") in str(error.value)
    count_cases()


@pytest.mark.tokenizers("bad input", "wordpiece")
@pytest.mark.parametrize("config", ["[]", "{", '{"do_lower_case": "yes"}'])
def test_a_damaged_configuration_is_named(tmp_path: Path, config: str) -> None:
    trained().save_vocabulary(tmp_path / "vocab.txt")
    (tmp_path / "tokenizer_config.json").write_text(config)
    with pytest.raises(TokenizerError, match=str(tmp_path)):
        open_vocabulary(tmp_path / "vocab.txt")
    with pytest.raises(TokenizerError, match="cannot be read"):
        open_vocabulary(tmp_path / "none" / "vocab.txt")
    count_cases(2)


DAMAGE = {
    "one id twice": ('"[PAD]": 0', '"[PAD]": 1'),
    "lost piece": ('"!": ', '"#!": 1'),
    "another model": ('"type": "WordPiece",\n  "unk_token"', '"type": "BPE",\n  "unk_token"'),
    "no cut": ('"pre_tokenizer"', '"pre"'),
    "stray special token": ('"id": 0', '"id": 9'),
    "text for the limit": ('"max_input_chars_per_word": 100', '"max_input_chars_per_word": "x"'),
}


@pytest.mark.tokenizers("bad input", "wordpiece")
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    old, new = (part.encode() for part in DAMAGE[damage])
    damage_is_named(trained(), tmp_path, lambda data: data.replace(old, new))


@pytest.mark.tokenizers("bad input", "wordpiece")
def test_text_without_words_is_refused() -> None:
    with pytest.raises(TokenizerError, match="There is no word in the text"):
        train_tokenizer("wordpiece", [" \n"], 300)
    count_cases()


@pytest.mark.tokenizers("adversarial", "wordpiece")
def test_a_million_letters() -> None:
    assert trained().encode("a" * 1_000_000).tolist() == [trained().unknown]
    text = ("a" * 100 + " ") * 10_000
    assert trained().encode(text).tolist() == trained().encode("a" * 100).tolist() * 10_000
    count_cases(2)


@pytest.mark.slow
@pytest.mark.tokenizers("adversarial", "wordpiece")
@pytest.mark.parametrize("unit", [" ", "\n", "!", "中", "\u0301", "☃"])
def test_a_million_bytes(unit: str) -> None:
    text = unit * (1_000_000 // len(unit.encode()))
    assert trained().encode(text).tolist() == one_by_one(True, text)
    count_cases()


def test_the_definition_is_plain_json() -> None:
    assert json.loads(json.dumps(trained().definition())) == trained().definition()
