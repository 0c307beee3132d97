"""`hornbook tokenizer`: train, encode, decode, inspect, compare."""

import inspect
import json
import os
import textwrap
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from hornbook.cli.main import hornbook as group
from hornbook.errors import TokenizerError, UserError
from hornbook.reporting.svg import PAPER
from hornbook.reporting.tokenizers_compared import compared_figure, short_names
from hornbook.reporting.tokens import BACKGROUNDS, shown_tokens, visible
from hornbook.tokenizers import TOKENIZERS, load_tokenizer
from hornbook.tokenizers.comparison import measure
from hornbook.tokenizers.held_out import Group
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE

POEM = "床前明月光，疑是地上霜。举头望明月，低头思故乡。\n"


def call(*words, **rest):
    return CliRunner().invoke(group, ["-q", *map(str, words)], **rest)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Two sources: English code, and Chinese."""
    folder = tmp_path_factory.mktemp("tokenizer-texts")
    (folder / "code").mkdir()
    (folder / "code" / "inspect.txt").write_text(inspect.getsource(inspect), encoding="utf-8")
    (folder / "code" / "wrap.txt").write_text(inspect.getsource(textwrap), encoding="utf-8")
    (folder / "poems").mkdir()
    for number in range(12):
        (folder / "poems" / f"{number}.txt").write_text(POEM * (number + 1), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def place(texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizers") / "small"
    done = call("tokenizer", "train", "byte-bpe", texts / "code", "--vocab-size", 512,
                "--output", path)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert f"{path}: byte-bpe of 512 ids" in done.output
    assert "bytes/token" in done.output
    return path


def test_training_leaves_out_what_compare_measures(place, texts):
    """The folder's tokenizer is the one that compare trains on the same text."""
    done = call("tokenizer", "compare", place, "byte-bpe:512", "--text", texts / "code", "--json")
    assert done.exit_code == 0, done.output
    first, second = json.loads(done.output)["tokenizers"]
    assert first["fingerprint"] == second["fingerprint"]
    whole = ByteBPE.train([path.read_text() for path in (texts / "code").iterdir()], 512)
    assert whole.fingerprint != first["fingerprint"]


def test_options_of_training_reach_the_kind(texts, tmp_path):
    path = tmp_path / "gpt2"
    done = call("tokenizer", "train", "byte-bpe", texts / "code", "--vocab-size", 300, "--pattern",
                "gpt2", "--special-tokens", "gpt2", "--output", path)  # fmt: skip
    assert done.exit_code == 0, done.output
    made = load_tokenizer(path)
    assert list(made.special_tokens) == ["<|endoftext|>"]
    assert made.pattern.startswith("'s|'t")


def test_what_training_refuses_is_said_in_this_verbs_words(texts, tmp_path):
    done = call("tokenizer", "train", "byte-bpe", texts / "code", "--vocab-size", 3,
                "--output", tmp_path / "small")  # fmt: skip
    assert isinstance(done.exception, TokenizerError)
    assert "set --vocab-size to 260 or more" in str(done.exception)
    assert not (tmp_path / "small").exists()


def test_the_byte_tokenizer_needs_no_text(tmp_path):
    done = call(
        "tokenizer", "train", "byte", "--special-tokens", "bert", "--output", tmp_path / "b"
    )
    assert done.exit_code == 0, done.output
    assert load_tokenizer(tmp_path / "b").vocab_size == 261


@pytest.mark.parametrize("text", ["", "a  b\r\n\tü\x00 床 é \ufeff", "<|endoftext|>", "--x"])
def test_what_is_encoded_and_decoded_comes_back_to_the_byte(place, text):
    ids = call("tokenizer", "encode", place, input=text.encode()).output
    assert list(map(int, ids.split())) == load_tokenizer(place).encode(text).tolist()
    back = call("tokenizer", "decode", place, input=ids)
    assert back.exit_code == 0, back.output
    assert back.stdout_bytes == text.encode()
    again = call("tokenizer", "encode", place, "--", text)
    assert again.output == ids


def test_a_file_is_encoded_and_ids_are_taken_as_arguments(place, tmp_path):
    (tmp_path / "x").write_bytes(b"def \r\n")
    ids = call("tokenizer", "encode", place, "--file", tmp_path / "x").output.split()
    assert call("tokenizer", "decode", place, *ids).stdout_bytes == b"def \r\n"
    assert call("tokenizer", "decode", place, ",".join(ids)).stdout_bytes == b"def \r\n"


def test_counts_go_beside_the_ids(place):
    done = CliRunner().invoke(group, ["tokenizer", "encode", str(place), "def read(self):  床"])
    tokens = len(done.stdout.split())
    assert done.stderr == f"{tokens} tokens, 20 bytes, {20 / tokens:.2f} bytes/token\n"
    assert CliRunner().invoke(group, ["tokenizer", "encode", str(place), ""]).stderr == (
        "0 tokens, 0 bytes\n"
    )


def test_special_tokens_are_made_only_where_that_is_asked_for(place):
    text, end = "a<|endoftext|>b", load_tokenizer(place).end_of_text
    plain = call("tokenizer", "encode", place, text).output.split()
    asked = call("tokenizer", "encode", place, text, "--with-special-tokens").output.split()
    assert str(end) not in plain
    assert asked[1] == str(end)
    shown = call("tokenizer", "encode", place, text, "--with-special-tokens", "--tokens").output
    assert shown == "a│⟦<|endoftext|>⟧│b\n"


def test_tokens_are_shown_with_separators_where_there_is_no_colour(place):
    shown = call("tokenizer", "encode", place, "a b\n\t床").output
    assert "\x1b" not in shown
    shown = call("tokenizer", "encode", place, "--tokens", "a  b\n床").output
    assert shown == "a│·│·b│⏎\n<E5>│<BA>│<8A>\n"


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (b" the", "·the"),
        (b"\n\n", "⏎⏎"),
        (b"\t\r\x00", "→<0D><00>"),
        ("床".encode(), "床"),
        (b"\xe4", "<E4>"),
        (b"\xbd\xa0a\xff", "<BD><A0>a<FF>"),
        ("\u2028\ufeff\x85".encode(), "<E2><80><A8><EF><BB><BF><C2><85>"),
        (b"<E4>", "<E4>"),
        ("\u3000\xa0".encode(), "<E3><80><80><C2><A0>"),
        ("\u2003\u1680\u202f".encode(), "<E2><80><83><E1><9A><80><E2><80><AF>"),
        ("\xad\u2060\u202e\u3164".encode(), "<C2><AD><E2><81><A0><E2><80><AE><E3><85><A4>"),
    ],
)
def test_a_token_is_one_line_of_signs(token, shown):
    assert visible(token) == shown


def test_no_character_without_ink_stays_hidden():
    blank = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    assert len(blank) > 20
    assert not [shown for one in blank if (shown := visible(one.encode())).isspace() or not shown]


def test_colours_take_turns_and_special_tokens_have_their_own(place):
    tokenizer = load_tokenizer(place)
    ids = tokenizer.encode_with_special_tokens("a b<|end|>").tolist()
    shown = shown_tokens(tokenizer, ids, colour=True)
    first, second = (f"\x1b[38;5;255m\x1b[48;5;{colour}m" for colour in BACKGROUNDS)
    assert first + "a" in shown
    assert second + "·b" in shown
    assert "\x1b[38;5;255m\x1b[48;5;90m\x1b[1m<|end|>" in shown
    assert "│" not in shown


def test_a_terminal_has_colour_unless_it_wants_none(place):
    """The real program on a terminal of its own."""
    import pty
    import subprocess
    import sys

    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        ours, theirs = pty.openpty()
        words = [sys.executable, "-m", "hornbook", "tokenizer", "encode", str(place), "a b"]
        environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        subprocess.run([*words, "--tokens"], stdout=theirs, stderr=subprocess.DEVNULL, check=True,
                       env={**environment, **more})  # fmt: skip
        os.close(theirs)
        assert (b"\x1b[48;5;236m" in os.read(ours, 10_000)) == coloured
        os.close(ours)


def test_a_tokenizer_is_told_whole(place):
    shown = call("tokenizer", "inspect", place, "-n", 3)
    assert shown.exit_code == 0, shown.output
    made = load_tokenizer(place)
    rows = [line.split() for line in shown.output.splitlines()]
    merged = f"{visible(made.merges[-1][0])} + {visible(made.merges[-1][1])}".split()
    for words in (["kind", "byte-bpe"], ["ids", "512"], ["lossless", "yes"],
                  ["fingerprint", made.fingerprint], ["508", "<|endoftext|>", "end_of_text"],
                  ["511", "<|end|>", "end_of_turn"], ["256", "··", "·", "+", "·"],
                  ["507", visible(made.token_bytes(507)), *merged]):  # fmt: skip
        assert words in rows, words
    lengths = [int(row[1]) for row in rows if len(row) == 3 and set(row[2]) == {"█"}]
    assert lengths[0] == 256
    assert ["pattern", made.pattern.split()[0]] == next(r for r in rows if "pattern" in r)[:2]
    numbers = {int(row[0]) for row in rows if row[3:4] == ["+"]}
    assert {256, 257, 258, 505, 506, 507} <= numbers


def test_compare_tells_each_source_and_draws_it(place, texts, tmp_path):
    picture = tmp_path / "x.svg"
    done = call("tokenizer", "compare", place, "byte", "byte-bpe", "--sizes", "300,512", "--text",
                texts / "code", "--text", texts / "poems", "--plot", picture)  # fmt: skip
    assert done.exit_code == 0, done.output
    tables = done.output.split("bytes held out")
    assert len(tables) == 3  # the tokenizers, then a table a source
    names = [f"{place}:300", f"{place}:512", "byte", "byte-bpe:300", "byte-bpe:512"]
    for table in tables:
        assert [name for name in names if f" {name} " in table] == names
    drawn = picture.read_text(encoding="utf-8")
    ElementTree.fromstring(drawn)
    for word in ("bytes per token", "vocabulary size", "code, byte-bpe", "poems, byte", ">512<"):
        assert word in drawn, word
    assert "code, small" in drawn, "a tokenizer that is opened has a line of its own"


def test_a_line_joins_the_sizes_of_one_training_or_place_alone():
    here, *there = (ByteBPE.train([POEM * 9], size) for size in (300, 280, 290))
    pieces = {Group("poems", ""): [POEM]}
    names = ("byte-bpe:300", "a/gpt2:280", "b/gpt2:290")
    measured = [
        measure(name, made, pieces) for name, made in zip(names, (here, *there), strict=True)
    ]
    measured.append(measure("byte-bpe:290", there[1], pieces))
    figure = compared_figure(measured)(PAPER)
    lines = {line.get_label(): list(line.get_xdata()) for line in figure.axes[0].get_lines()}
    assert lines == {
        "poems, byte-bpe": [290, 300],
        "poems, a/gpt2": [280],
        "poems, b/gpt2": [290],
    }


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["/x/y/gpt2", "byte-bpe"], ["gpt2", "byte-bpe"]),
        (["/x/gpt2/tokenizer.json", "/x/qwen/tokenizer.json"],
         ["gpt2/tokenizer.json", "qwen/tokenizer.json"]),
        (["a/b", "b"], ["a/b", "b"]),
        ([".", "/"], [".", "/"]),
    ],
)  # fmt: skip
def test_legends_have_as_much_of_a_path_as_tells_it_apart(names, shown):
    assert list(short_names(names).values()) == shown


def test_compare_as_json_is_all_there_is(texts):
    done = call("tokenizer", "compare", "byte", "byte-bpe", "--sizes", "300,400", "--text",
                texts / "code", "--text", texts / "poems", "--json")  # fmt: skip
    found = json.loads(done.output)
    assert found["losses"] == []
    sizes = {one["name"]: one for one in found["tokenizers"]}
    assert list(sizes) == ["byte", "byte-bpe:300", "byte-bpe:400"]
    for one in sizes.values():
        assert [score["source"] for score in one["groups"]] == ["code", "poems"]
        assert one["failures"] == 0
    code = [sizes[name]["groups"][0]["bytes_per_token"] for name in sizes]
    assert code == sorted(code)
    assert code[0] == 1.0
    assert sizes["byte"]["groups"][1]["fertility"] > 2  # bytes of a character


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_every_kind_is_trained_used_and_told(kind, texts, tmp_path):
    size = [] if kind == "byte" else ["--vocab-size", 350 if kind == "character" else 400]
    path = tmp_path / "made"
    done = call("tokenizer", "train", kind, texts / "code", *size, "--output", path)
    assert done.exit_code == 0, (done.output, done.exception)
    made = load_tokenizer(path)
    assert made.kind == kind
    told = call("tokenizer", "inspect", path)
    assert told.exit_code == 0, (told.output, told.exception)
    assert made.fingerprint in told.output
    done = call("tokenizer", "encode", path, "def read", "--tokens")
    assert done.exit_code == 0, (done.output, done.exception)
    done = call("tokenizer", "compare", path, "--text", texts / "code", "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    (one,) = json.loads(done.output)["tokenizers"]
    assert 0.9 < one["groups"][0]["bytes_per_token"] < 8
    assert not (made.lossless and one["failures"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "byte-bpe", "--output", "x"), "Name the text to learn from"),
        (("train", "nonsense", "--output", "x"), "is not one of"),
        (("train", "byte", "--output", "{place}"), "exists; name a new folder"),
        (("train", "byte", "--pattern", "gpt2", "--output", "x"), "byte does not read --pattern"),
        (("train", "byte-bpe", "nowhere", "--output", "x"), "nowhere"),
        (("train", "byte-bpe", "{texts}", "--vocab-size", "99", "--output", "x"), "260 or more"),
        (("encode", "nowhere", "text"), "No tokenizer at nowhere"),
        (("encode", "{place}", "text", "--file", "x"), "not both"),
        (
            ("encode", "{place}", "--file", "nowhere.txt"),
            "nowhere.txt cannot be read (No such file",
        ),
        (("encode", "{place}", "--file", "{texts}"), "cannot be read (Is a directory)"),
        (("decode", "{place}", "1", "two"), "'two' is no id"),
        (("decode", "{place}", "512"), "Id 512 is not in this vocabulary of 512"),
        (("decode", "{place}", "9" * 30), "is no id"),
        (("inspect", "nowhere"), "No tokenizer at nowhere"),
        (("compare", "byte-bpe", "--text", "{texts}"), "has no size; write byte-bpe:4096"),
        (("compare", "byte-bpe:x", "--text", "{texts}"), "no size after the colon"),
        (("compare", "byte", "byte", "--text", "{texts}"), "byte is named twice"),
        (("compare", "byte-bpe:0", "--text", "{texts}"), "byte-bpe:0 asks for 0 ids"),
        (("compare", "bpe", "--sizes", "300,5", "--text", "{texts}"), "--sizes asks for 5 ids"),
        (("compare", "word:1000001", "--text", "{texts}"), "a tokenizer has 8 to 1,000,000."),
        (("compare", "{place}", "--sizes", "0", "--text", "{texts}"), "--sizes asks for 0 ids"),
        (("compare", "byte", "--sizes", "9" * 5000, "--text", "{texts}"), "sizes read 512,1024"),
        (
            ("compare", "{place}", "--sizes", "1000", "--text", "{texts}"),
            "is not inside one of 512",
        ),
        (("compare", "byte", "--sizes", "few", "--text", "{texts}"), "sizes read 512,1024"),
        (("compare", "byte", "--text", "nowhere"), "nowhere"),
        (("compare", "byte", "--text", "{texts}", "--plot", "x.pdf"), "end in .png or .svg"),
        (
            ("compare", "{place}", "--text", "{texts}", "--loss"),
            "needs tokenizers that are trained",
        ),
        (("compare", "byte", "--text", "{texts}", "--loss", "--tflop", "1e-9"), "less than one"),
        (("compare", "byte", "--text", "{texts}", "--loss", "--tflop", "nan"), "is nan"),
    ],
)
def test_mistakes_are_one_clear_message(words, message, place, texts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {"{place}": place, "{texts}": texts / "code"}
    done = call("tokenizer", *(places.get(word, word) for word in words))
    assert done.exit_code in (1, 2)  # 1: an error of ours, which only the program itself prints
    if done.exit_code == 1:
        assert isinstance(done.exception, UserError)  # which it leaves with 2
        assert "\n" not in str(done.exception)
    assert message in done.output + str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_text_that_is_no_utf8_is_said(place):
    done = call("tokenizer", "encode", place, input=b"abc\xff")
    assert "Standard input is not UTF-8 text (invalid start byte at byte 3)" in str(done.exception)


def test_every_contestant_that_cannot_be_is_said_at_once(texts, tmp_path):
    done = call("tokenizer", "compare", "byte", "word:9000", "bpe:9", tmp_path / "nothing",
                "--text", texts / "poems")  # fmt: skip
    said = str(done.exception).splitlines()
    assert [line.partition(":")[0] for line in said[:2]] == ["word", "bpe"]
    assert len(said) == 3
    assert "No tokenizer at" in said[2]
