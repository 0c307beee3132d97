"""ARPA files: kenlm reads ours, we read what kenlm reads, and a broken one says where."""

import inspect
import itertools
import math

import numpy as np
import pytest

from hornbook.errors import InputError
from hornbook.models.ngrams import arpa, arpa_reader
from hornbook.models.ngrams.arpa import words_of, write_arpa
from hornbook.models.ngrams.arpa_reader import read_arpa
from hornbook.models.ngrams.counts import count_ngrams
from hornbook.models.ngrams.estimate import estimate
from hornbook.models.vectors.text_format import unescaped
from hornbook.tokenizers.tokenizer import Tokenizer

VOCAB, END = 14, 3
WORDS = tuple("</s>" if token == END else f"w{token}" for token in range(VOCAB))
BACKED_OFF = ("modified_kneser_ney", "kneser_ney", "katz", "stupid_backoff")


def text(seed, length=1500):
    """Documents trailed by END; the last token never occurs."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, VOCAB) ** 1.1
    return rng.choice(VOCAB - 1, size=length, p=weights / weights.sum())


def counted(estimator, order=3):
    return estimate(count_ngrams([text(0)], VOCAB, order), estimator)


def sentences(count=60):
    """Rows without END: half as they stand in the text, half of any tokens."""
    rng, seen, rows = np.random.default_rng(1), text(0), []
    for number in range(count):
        start = rng.integers(0, len(seen) - 9)
        row = seen[start : start + 9] if number % 2 else rng.integers(0, VOCAB, 7)
        rows.append([int(token) for token in row if token != END])
    return rows


def kenlm_reads(path):
    kenlm = pytest.importorskip("kenlm")
    config = kenlm.Config()
    config.show_progress = False
    model = kenlm.LanguageModel(str(path), config)

    def logs(words):
        """log10 p of each word of a sentence, and of its end."""
        return [log for log, _, _ in model.full_scores(" ".join(words), bos=True, eos=True)]

    return logs


def compare_with_kenlm(model, path):
    """Every word of every sentence, and its end, in log10."""
    theirs = kenlm_reads(path)
    for sentence in sentences():
        row = np.array([[END, *sentence, END]])
        found = model.log_scores(row)[0] / math.log(10)
        expected = theirs([WORDS[token] for token in sentence])
        assert found == pytest.approx(expected, rel=1e-4), "log10 p of each word is kenlm's"


def compare_all_contexts(model, again, allowed=range(VOCAB), factor=lambda context: 1.0):
    """Scores of every token after every context that a file can be asked for."""
    for length in range(model.order):
        for tail in itertools.product([t for t in allowed if t != END], repeat=max(0, length - 1)):
            for first in allowed if length else [None]:
                context = [] if first is None else [first, *tail]
                np.testing.assert_allclose(
                    again.scores(context),
                    model.scores(context) / factor(context),
                    rtol=1e-7,
                    err_msg="what was read scores as what was written",
                )


@pytest.mark.column("oracle", "ngram")
@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("estimator", ["modified_kneser_ney", "katz"])
def test_kenlm_gives_our_probabilities(estimator, order, tmp_path):
    model = counted(estimator, order)
    write_arpa(model, tmp_path / "x.arpa", WORDS)
    compare_with_kenlm(model, tmp_path / "x.arpa")


def test_kenlm_gives_stupid_backoffs_scores_as_far_as_a_file_holds_them(tmp_path):
    model = counted("stupid_backoff", 4)
    write_arpa(model, tmp_path / "x.arpa", WORDS)
    read, _ = read_arpa(tmp_path / "x.arpa", WORDS)
    assert not read.is_normalised
    theirs = kenlm_reads(tmp_path / "x.arpa")
    for sentence in sentences():
        expected = np.array(theirs([WORDS[token] for token in sentence]))
        with np.errstate(invalid="ignore"):
            found = read.log_scores(np.array([[END, *sentence, END]]))[0] / math.log(10)
        possible = np.isfinite(found)  # what never occurred has 0, which kenlm reads as 1e-99
        assert found[possible] == pytest.approx(expected[possible], rel=1e-4)
        assert (expected[~possible] < -90).all()


@pytest.mark.column("round trip", "ngram")
@pytest.mark.parametrize("estimator", ["modified_kneser_ney", "kneser_ney", "katz"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_what_is_read_is_what_was_written(estimator, order, tmp_path):
    model = counted(estimator, order)
    write_arpa(model, tmp_path / "x.arpa", WORDS)
    again, words = read_arpa(tmp_path / "x.arpa")
    assert words == WORDS
    assert again.is_normalised
    assert (again.order, again.vocab_size, again.estimator) == (order, VOCAB, "arpa")
    compare_all_contexts(model, again)


def test_ids_are_words_where_there_are_none_and_nothing_is_left_out(tmp_path):
    model = counted("modified_kneser_ney", 3)
    write_arpa(model, tmp_path / "x.arpa")
    again, words = read_arpa(tmp_path / "x.arpa")
    assert words == tuple(map(str, range(VOCAB)))
    assert [len(level.tokens) for level in again.levels[1:]] == [
        len(level.tokens) for level in model.levels[1:]
    ]
    for context in itertools.product(range(VOCAB), repeat=2):
        np.testing.assert_allclose(again.scores(context), model.scores(context), rtol=1e-7)
    kenlm_reads(tmp_path / "x.arpa")


def test_stupid_backoff_loses_one_factor_after_histories_never_seen(tmp_path):
    model = counted("stupid_backoff", 3)
    write_arpa(model, tmp_path / "x.arpa", WORDS)
    again, _ = read_arpa(tmp_path / "x.arpa")
    pairs = {tuple(pair) for pair in itertools.pairwise(text(0).tolist())}

    def given_up(context):
        unseen = len(context) == 2 and (tuple(context) not in pairs or context[1] == END)
        return 0.4 if unseen else 1.0

    compare_all_contexts(model, again, factor=given_up)


def test_a_file_is_written_in_blocks_and_names_its_marks(tmp_path, monkeypatch):
    model = counted("modified_kneser_ney", 4)
    write_arpa(model, tmp_path / "whole.arpa", WORDS)
    monkeypatch.setattr(arpa, "BLOCK", 7)
    write_arpa(model, tmp_path / "blocks.arpa", WORDS)
    assert (tmp_path / "blocks.arpa").read_bytes() == (tmp_path / "whole.arpa").read_bytes()
    monkeypatch.setattr(arpa_reader, "BLOCK", 5)
    again, _ = read_arpa(tmp_path / "blocks.arpa", WORDS)
    compare_with_kenlm(again, tmp_path / "blocks.arpa")
    _require_marks_in_their_places(tmp_path / "whole.arpa")
    singles = dict(_fields(tmp_path / "whole.arpa", 1))
    assert singles["<s>"] == -99
    assert singles["<unk>"] == -99
    end_alone = math.log10(model.scores([])[END])
    assert singles["</s>"] == pytest.approx(end_alone, rel=1e-8)


def _fields(path, order):
    """Words and log10 p of the n-grams of one order."""
    part = path.read_text(encoding="utf-8").split(f"\\{order}-grams:\n")[1].split("\n\n")[0]
    for line in part.splitlines():
        log, gram = line.split("\t")[:2]
        yield gram, float(log)


def _require_marks_in_their_places(path):
    for order in (2, 3, 4):
        for gram, _ in _fields(path, order):
            words = gram.split()
            assert "<s>" not in words[1:], "<s> begins"
            assert "</s>" not in words[:-1], "</s> ends"


def foreign(seed, order=3):
    """An ARPA file of anyone's, as dictionaries: random numbers, pruned, in no order."""
    rng = np.random.default_rng(seed)
    inner = ["a", "b", "é", "<unk>"]
    p, weight, level = {}, {}, [()]
    for m in range(1, order + 1):
        wanted = [
            (*history, word)
            for history in level
            for word in (["<s>"] if m == 1 else []) + [*inner, "</s>"]
            if m == 1 or rng.random() < 0.85
        ]
        for gram in rng.permutation(np.array(wanted, dtype=object).reshape(-1, m)).tolist():
            p[tuple(gram)] = round(-0.3 - 3 * rng.random(), 5)
            weight[tuple(gram)] = round(0.1 - rng.random(), 5) if gram[-1] != "</s>" else 0.0
        level = [gram for gram in p if len(gram) == m and gram[-1] != "</s>"]
    p["<s>",] = 0.0  # as lmplz writes it
    return p, weight


def written(p, weight, order=3, before="# by another program\n", end="\n"):
    lines = [before, "\\data\\"]
    lines += [f"ngram {m}={sum(len(gram) == m for gram in p)}" for m in range(1, order + 1)]
    for m in range(1, order + 1):
        lines += ["", f"\\{m}-grams:"]
        for gram, log in p.items():
            if len(gram) == m:
                backoff = f"\t{weight[gram]}" if weight.get(gram) and m < order else ""
                lines.append(f"{log}\t{' '.join(gram)}{backoff}")
    return end.join([*lines, "", "\\end\\", ""])


def asked(p, weight, history, word):
    """The format's own definition, in log10."""
    if (*history, word) in p:
        return p[*history, word]
    return weight.get(history, 0.0) + asked(p, weight, history[1:], word)


@pytest.mark.column("oracle", "ngram")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_foreign_file_scores_as_its_definition_and_kenlm_say(seed, tmp_path):
    p, weight = foreign(seed)
    (tmp_path / "x.arpa").write_text(written(p, weight), encoding="utf-8")
    model, words = read_arpa(tmp_path / "x.arpa")
    theirs = kenlm_reads(tmp_path / "x.arpa")
    assert set(words) == {"a", "b", "é", "<unk>", "</s>"}
    assert not model.is_normalised  # random numbers do not add up
    inner = [word for word in words if word != "</s>"]
    for sentence in itertools.product(inner, repeat=3):
        row = [words.index(word) for word in ("</s>", *sentence, "</s>")]
        found = model.log_scores(np.array([row]))[0] / math.log(10)
        said = [*sentence, "</s>"]
        expected = [
            asked(p, weight, ("<s>", *sentence)[: place + 1][-2:], word)
            for place, word in enumerate(said)
        ]
        assert found == pytest.approx(expected, rel=1e-9), "the definition of the format"
        assert found == pytest.approx(theirs(list(sentence)), rel=1e-4, abs=1e-6), "kenlm"


SMALL = """\\data\\
ngram 1=5
ngram 2=4

\\1-grams:
-0.5\ta\t-0.3
-0.6\tb
-99\t<s>\t-0.1
-0.4\t</s>
-1.2\t<unk>

\\2-grams:
-0.2\t<s> a
-0.3\ta b
-0.4\tb </s>
-0.1\ta </s>

\\end\\
"""


def test_blanks_line_ends_and_missing_weights_are_read(tmp_path):
    path = tmp_path / "x.arpa"
    plain = None
    for form in (SMALL, SMALL.replace("\n", "\r\n"), "text\n\n" + SMALL.replace("\t", "  ")):
        path.write_bytes(form.encode())
        model, words = read_arpa(path)
        assert words == ("a", "b", "</s>", "<unk>")
        scores = [model.scores([token]) for token in range(4)]
        plain = scores if plain is None else plain
        np.testing.assert_array_equal(scores, plain)
    assert plain[1][0] == pytest.approx(10**-0.5)  # b has no weight: 1
    assert plain[0][0] == pytest.approx(10 ** (-0.5 - 0.3))
    assert plain[2][1] == pytest.approx(10 ** (-0.6 - 0.1))  # after <s>


def test_n_grams_with_a_mark_in_the_middle_are_skipped_and_told(tmp_path):
    broken = SMALL.replace("ngram 2=4", "ngram 2=6")
    broken = broken.replace("-0.3\ta b\n", "-0.3\ta b\n-0.3\t</s> a\n-0.2\tb <s>\n")
    (tmp_path / "x.arpa").write_text(broken, encoding="utf-8")
    (tmp_path / "y.arpa").write_text(SMALL, encoding="utf-8")
    model, _ = read_arpa(tmp_path / "x.arpa")
    assert model.notes == ("arpa: 2 n-grams with a mark in the middle are skipped",)
    for token in range(4):
        other = read_arpa(tmp_path / "y.arpa")[0].scores([token])
        np.testing.assert_array_equal(model.scores([token]), other)


def test_words_may_be_given_in_another_order(tmp_path):
    (tmp_path / "x.arpa").write_text(SMALL, encoding="utf-8")
    model, words = read_arpa(tmp_path / "x.arpa", ["</s>", "<unk>", "never", "b", "a"])
    assert words[3] == "b"
    assert model.scores([4])[3] == pytest.approx(10**-0.3)
    assert model.scores([4])[2] == 0
    with pytest.raises(InputError, match="the word 'a', which is no token of the tokenizer"):
        read_arpa(tmp_path / "x.arpa", ["</s>", "b", "<unk>"])


BROKEN = {
    "no data": ("\\data\\", "", r"has no line \\data\\, so it is no ARPA file"),
    "too many counted": ("ngram 2=4", "ngram 2=5", r"line 17: the 2-grams end after 4, and .* 5"),
    "too few counted": ("ngram 1=5", "ngram 1=4", r"line 11: the 1-grams end after 5, and .* 4"),
    "an order not counted": ("ngram 2=4", "ngram 3=4", "line 3: 'ngram 3=4' should be: ngram 2="),
    "no words": ("ngram 1=5\nngram 2=4", "", "counts no words"),
    "a field too few": ("-0.3\ta b", "-0.3\ta", "line 14: 2 fields; a line has .*, 2 words and"),
    "a field too many": ("-0.3\ta b", "-0.3\ta b -1 c", "line 14: 5 fields"),
    "no number": ("-0.6\tb", "-0,6\tb", "line 7: '-0,6' is not a number"),
    "not a number": ("-0.6\tb", "nan\tb", "line 7: 'nan' is not a number"),
    "no backoff": ("-0.5\ta\t-0.3", "-0.5\ta\tx", "line 6: 'x' is not a number"),
    "positive": ("-0.6\tb", "0.6\tb", "line 7: the log probability 0.6 is above 0"),
    "an unknown word": ("a b", "a c", "line 14: the word 'c' is not among the 1-grams"),
    "a word twice": ("-1.2\t<unk>", "-1.2\ta", "line 10: the word 'a' stands among the 1-grams tw"),
    "an n-gram twice": ("b </s>", "a b", "line 15: this n-gram stands in the file twice"),
    "out of turn": ("\\2-grams:", "\\3-grams:", r"line 12: .2-grams: should stand here, not '.*3"),
    "cut": ("-0.1\ta </s>\n\n\\end\\\n", "", r"line 15: the 2-grams end after 3, and .* says 4"),
    "cut between": ("\\end\\\n", "", r"line 17: .end. should stand here"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_says_where_in_one_line(fault, tmp_path):
    old, new, message = BROKEN[fault]
    assert old in SMALL
    (tmp_path / "x.arpa").write_text(SMALL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_arpa(tmp_path / "x.arpa")
    assert "x.arpa" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_history_that_is_missing_is_named(tmp_path):
    p, weight = foreign(0)
    gram = next(gram for gram in p if len(gram) == 3)
    del p[gram[:2]]
    content = written(p, weight)
    (tmp_path / "x.arpa").write_text(content, encoding="utf-8")
    line = 1 + next(
        n for n, own in enumerate(content.splitlines()) if " ".join(gram) in own.split("\t")
    )
    with pytest.raises(InputError, match=f"line {line}: the history of this n-gram is not in"):
        read_arpa(tmp_path / "x.arpa")
    with pytest.raises(InputError, match="cannot be read"):
        read_arpa(tmp_path / "none.arpa")


def test_what_a_file_cannot_hold_is_not_written(tmp_path):
    path = tmp_path / "x.arpa"
    with pytest.raises(InputError, match="add_k never asks a shorter history"):
        write_arpa(counted("add_k"), path, WORDS)
    with pytest.raises(InputError, match="maximum_likelihood gives no probabilities after a cont"):
        write_arpa(counted("maximum_likelihood"), path, WORDS)
    with pytest.raises(InputError, match="14 tokens, and 13 words"):
        write_arpa(counted("katz"), path, WORDS[:-1])
    with pytest.raises(InputError, match="Two of the words are the same"):
        write_arpa(counted("katz"), path, ("w0",) * VOCAB)
    assert list(tmp_path.iterdir()) == []
    write_arpa(counted("add_k", 1), path, WORDS)
    compare_all_contexts(counted("add_k", 1), read_arpa(path)[0])


class Odd(Tokenizer):
    """Tokens that would break a line, or look like a mark."""

    kind = "odd"
    TOKENS = (b"a b", b"\n", b"\\", b"\xff", b"", b"<s>", b"<unk>", "\u3000é".encode(), b"x", b"x")

    def __init__(self):
        super().__init__(dict(enumerate(self.TOKENS)), {"<|endoftext|>": len(self.TOKENS)})

    def encode(self, text):
        """Never asked here: what is written are the words of its tokens."""
        return np.array([], dtype=np.int64)

    def definition(self):
        return {}

    def identity(self):
        return {}


def test_words_of_tokens_are_told_apart_and_turned_back(tmp_path):
    words = words_of(Odd())
    assert words[:4] == (r"a\x20b", r"\x0a", r"\\", r"\xff")
    assert words[4:] == (
        r"\#4", r"\x3cs>", r"\x3cunk>", r"\xe3\x80\x80é", "x", r"\#9", "</s>",
    )  # fmt: skip
    for token in (0, 1, 2, 3, 5, 6, 7, 8):
        assert (
            unescaped(words[token].encode()).encode("utf-8", "surrogateescape")
            == (Odd.TOKENS[token])
        )
    tokens = np.random.default_rng(0).integers(0, len(words), 400)
    model = estimate(count_ngrams([tokens], len(words), 2), "katz")
    write_arpa(model, tmp_path / "x.arpa", words)
    again, read = read_arpa(tmp_path / "x.arpa")
    assert read == words
    np.testing.assert_allclose(again.scores([7]), model.scores([7]), rtol=1e-7)


def changed(patch, module, name, *pairs):
    """The function of a module with pieces of its source replaced; every piece must be there."""
    source = inspect.getsource(getattr(module, name))
    for old, new in pairs:
        assert old in source, f"{old!r} is gone: plant the bug anew"
        source = source.replace(old, new)
    names = dict(vars(module))
    exec(source, names)
    patch.setattr(module, name, names[name])


WRITING = {
    "ln for log10": ("_logs", ("np.log10(", "np.log(")),
    "weights left out": ("_line", ("if backoff else", "if False else")),
    "weights of another order": (
        "_lines",
        ("levels[order].weights", "levels[order].weights[::-1]"),
    ),
    "<s> without a weight": ("_write_words", ("begins if mark == BEGIN else 0.0", "0.0")),
    "</s> in a history": ("_lines", ("rows[:, 0] == end", "rows[:, 0] == -1")),
}
READING = {
    "e for 10": ("_powers", ("np.power(10.0, logs)", "np.exp(logs)")),
    "<s> scored as a word": ("_first", ("found.get(ids[END], (ZERO, 0.0))[0]", "listed[BEGIN][0]")),
    "<s> without a weight": ("_first", ("listed[BEGIN][1]", "0.0")),
    "weights left out": ("_longer", ("_powers(weights)", "np.ones(len(weights))")),
}


@pytest.mark.column("planted bugs caught", "ngram")
@pytest.mark.parametrize("bug", WRITING)
def test_planted_bugs_of_writing_are_caught(bug, tmp_path, monkeypatch):
    model, (name, *pairs) = counted("modified_kneser_ney", 3), WRITING[bug]
    changed(monkeypatch, arpa, name, *pairs)
    write_arpa(model, tmp_path / "x.arpa", WORDS)
    with pytest.raises(AssertionError, match=r"is kenlm's"):
        compare_with_kenlm(model, tmp_path / "x.arpa")


@pytest.mark.column("planted bugs caught", "ngram")
@pytest.mark.parametrize("bug", READING)
def test_planted_bugs_of_reading_are_caught(bug, tmp_path, monkeypatch):
    model, (name, *pairs) = counted("modified_kneser_ney", 2), READING[bug]
    write_arpa(model, tmp_path / "x.arpa", WORDS)
    changed(monkeypatch, arpa_reader, name, *pairs)
    again, _ = read_arpa(tmp_path / "x.arpa")
    with pytest.raises(AssertionError, match="scores as what was written"):
        compare_all_contexts(model, again)


@pytest.mark.column("planted bugs caught", "ngram")
def test_a_planted_n_gram_across_texts_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(
        arpa,
        "_inside",
        lambda levels, _: [np.zeros(len(level.tokens), bool) for level in levels[1:]],
    )
    write_arpa(counted("modified_kneser_ney", 4), tmp_path / "x.arpa", WORDS)
    with pytest.raises(AssertionError, match="</s> ends"):
        _require_marks_in_their_places(tmp_path / "x.arpa")


def test_a_file_of_marks_alone_is_no_model(tmp_path):
    (tmp_path / "x.arpa").write_bytes(b"\\data\\\nngram 1=1\n\n\\1-grams:\n-99\t<s>\n\n\\end\\\n")
    for words in (None, ["a", "b"]):
        with pytest.raises(InputError, match=r"lists no word in its .1-grams but marks"):
            read_arpa(tmp_path / "x.arpa", words)


def test_words_of_other_programs_are_written_as_they_were_read(tmp_path):
    """Wide blanks, which Chinese files hold, are letters there; so are bytes of other encodings."""
    wide, latin = "\u3000".encode(), b"\xe9"
    (tmp_path / "x.arpa").write_bytes(
        b"\\data\\\nngram 1=3\nngram 2=2\n\n\\1-grams:\n"
        + b"-0.5\t%s\t-0.3\n-0.6\t%s\t-0.1\n-0.4\t</s>\n\n\\2-grams:\n" % (wide, latin)
        + b"-0.2\t%s %s\n-0.1\t%s </s>\n\n\\end\\\n" % (wide, latin, latin)
    )
    model, words = read_arpa(tmp_path / "x.arpa")
    assert {"\u3000", "\udce9"} <= set(words)
    write_arpa(model, tmp_path / "y.arpa", words)
    again, same = read_arpa(tmp_path / "y.arpa")
    assert set(same) >= set(words)
    for context in words:
        expected = model.scores([words.index(context)])
        found = again.scores([same.index(context)])
        assert [found[same.index(w)] for w in words] == pytest.approx(expected.tolist(), rel=1e-6)
