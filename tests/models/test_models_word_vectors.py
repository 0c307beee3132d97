"""Word vectors: nearest words, analogies, and files that other programs read."""

import numpy as np
import pytest

from hornbook.errors import InputError
from hornbook.models.vectors.text_format import escaped, load_text, save_text, unescaped
from hornbook.models.vectors.words import WordVectors

HARD = (
    " the", "the", "\n\n", "a b", "\t", "\\", "\\x20", "床前", "é", "\u00a0", "\u2028",
    "\udce5\udc8a", "\x00", "<|endoftext|>", "1.5", "\\n", "😀", "x\r",
)  # fmt: skip


def some(words, width=7, seed=0) -> WordVectors:
    drawn = np.random.default_rng(seed).normal(size=(len(words), width))
    return WordVectors(tuple(words), drawn.astype(np.float32))


def grid() -> WordVectors:
    """Kinds by places: the vector of kind k at place p is a_k + b_p, of unequal lengths."""
    generator = np.random.default_rng(0)
    kinds, places = generator.normal(size=(4, 12)), generator.normal(size=(5, 12))
    words = [f"{kind}{place}" for kind in "abcd" for place in range(5)]
    rows = [kinds["abcd".index(word[0])] + places[int(word[1])] for word in words]
    return WordVectors(tuple(words), np.array(rows, dtype=np.float32))


def test_analogies_of_a_grid_are_found():
    """a0 is to a3 as c0 is to c3, for every rectangle of kinds and places."""
    found = grid()
    hits, asked = 0, 0
    for first, second in (("a", "b"), ("a", "c"), ("d", "b")):
        for one, other in ((0, 1), (3, 2), (4, 0)):
            near = found.analogy(f"{first}{one}", f"{first}{other}", f"{second}{one}", 3)
            hits += near[0][0] == f"{second}{other}"
            asked += 1
    assert hits == asked


def test_an_analogy_is_cosadd_and_leaves_out_the_three():
    found = some([f"w{n}" for n in range(30)])
    unit = {
        word: row / np.sqrt((row.astype(np.float64) ** 2).sum())
        for word, row in zip(found.words, found.vectors, strict=True)
    }
    aim = unit["w4"] - unit["w3"] + unit["w5"]
    cosines = {word: float(row @ aim / np.linalg.norm(aim)) for word, row in unit.items()}
    expected = sorted(set(cosines) - {"w3", "w4", "w5"}, key=cosines.get, reverse=True)
    near = found.analogy("w3", "w4", "w5", n=100)
    assert [word for word, _ in near] == expected
    assert [cosine for _, cosine in near] == pytest.approx([cosines[w] for w in expected], abs=1e-6)
    assert max(cosines, key=cosines.get) in {"w4", "w5"}, "else leaving out shows nothing"


def test_nearest_is_by_angle_not_by_length():
    rows = np.array([[1, 0], [100, 100], [0.1, 0.01], [-1, 0], [0, 0]], dtype=np.float32)
    found = WordVectors(("a", "b", "c", "d", "zero"), rows)
    assert [word for word, _ in found.nearest("a", 10)] == ["c", "b", "zero", "d"]
    assert [word for word, _ in found.nearest(np.array([3.0, 3.0]), 2)] == ["b", "c"]
    assert found.similarity("a", "b") == pytest.approx(0.5**0.5)
    assert found.nearest("zero", 1)[0][1] == 0
    np.testing.assert_array_equal(found.vector("b"), rows[1])


@pytest.mark.column("round trip", "word2vec")
def test_a_file_gives_back_every_word_and_every_bit(tmp_path):
    found = some(HARD)
    found.vectors[0, :3] = [0.0, 1e-38, -3.4e38]
    save_text(found, tmp_path / "v.txt")
    again = load_text(tmp_path / "v.txt")
    assert again.words == HARD
    np.testing.assert_array_equal(again.vectors, found.vectors)
    lines = (tmp_path / "v.txt").read_bytes().split(b"\n")
    assert lines[0] == b"18 7"
    assert len(lines) == 20
    assert all(len(line.decode("utf-8").split()) == 8 for line in lines[1:-1])
    assert lines[1].startswith(rb"\x20the 0.0 1e-38 ")


@pytest.mark.parametrize("word", HARD)
def test_a_word_in_a_file_holds_no_white_space_and_comes_back(word):
    name = escaped(word)
    assert len(name.decode("utf-8").split()) == 1
    assert unescaped(name) == word


@pytest.mark.parametrize("word", ["the", "床前", "é", "don't", "<|endoftext|>", "😀", "1.5"])
def test_ordinary_words_stand_as_they_are(word):
    assert escaped(word) == word.encode("utf-8")


@pytest.mark.column("round trip", "word2vec")
def test_files_of_word2vec_and_of_gensim_are_read(tmp_path):
    """The C code ends lines with a space, gensim does not; neither escapes."""
    path = tmp_path / "v.txt"
    path.write_bytes("3 2\n</s> 0.25 -1 \nC:\\new 1e-3 2 \n床 .5 3\n".encode())
    found = load_text(path)
    assert found.words == ("</s>", "C:\\new", "床")
    assert found.vectors.tolist() == np.float32([[0.25, -1], [1e-3, 2], [0.5, 3]]).tolist()
    path.write_bytes(b"2 1\n\\ 1\n\\\\ 2\n")
    with pytest.raises(InputError, match="escapes=False"):
        load_text(path)
    assert load_text(path, escapes=False).words == ("\\", "\\\\")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with ''; its first line reads WORDS NUMBERS"),
        (b"the 1 2\n", "begins with 'the 1 2'"),
        (b"1 -2\na 1 2\n", "begins with '1 -2'"),
        (b"0 2\n", "0 words of 2 numbers"),
        (b"2 2\na 1 2\n", "holds 1 words, but its first line says 2"),
        (b"1 2\na 1 2\nb 1 2\n", "holds 2 words, but its first line says 1"),
        (b"2 2\na 1 2\nb 1\n", "line 3: 1 numbers after the word, not 2"),
        (b"1 2\na 1 2 3\n", "line 2: 3 numbers after the word, not 2"),
        (b"1 2\na 1 2x\n", "line 2: could not convert"),
        (b"1 2\na 1 nan\n", "line 2: a number is not finite"),
        (b"2 1\na 1\na 2\n", "line 3: the word 'a' stands on line 2 already"),
        (b"1 1\n 1\n", "line 2: there is no word"),
        (b"1 99999999999999999999\na 1\n", "99999999999999999999 numbers each, and line 2 has 3"),
    ],
)
def test_a_broken_file_is_one_clear_message(data, message, tmp_path):
    path = tmp_path / "broken.txt"
    path.write_bytes(data)
    with pytest.raises(InputError) as raised:
        load_text(path)
    assert message in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bad_input_is_said_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"missing\.txt cannot be read"):
        load_text(tmp_path / "missing.txt")
    with pytest.raises(InputError, match="There are no words"):
        some([])
    with pytest.raises(InputError, match="'a' has two vectors"):
        some(["a", "b", "a"])
    with pytest.raises(InputError, match="2 words have 1 vectors"):
        WordVectors(("a", "b"), np.zeros((1, 2), dtype=np.float32))
    with pytest.raises(InputError, match="a word is empty"):
        some(["a", ""])
    found = some([" king", "queen"])
    with pytest.raises(InputError, match="'king' has no vector among 2; near it: ' king'"):
        found.nearest("king")
    with pytest.raises(InputError, match="nothing is near it"):
        found.similarity("queen", "zzz")
    with pytest.raises(InputError, match=r"shape \[3\]; these are of 7"):
        found.nearest(np.zeros(3))
