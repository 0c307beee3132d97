"""The example in miniature: families of one size, exact answers, a second call that only reads."""

import json
import sys

import pytest

import what_attention_buys as example
from hornbook.models.count import flops_per_token, parameters
from hornbook.reporting.svg import PAPER


@pytest.fixture(autouse=True)
def _process_as_it_was(monkeypatch):
    monkeypatch.setattr("hornbook.training.memory.keep_memory", lambda: False)


def options_of(*words):
    return example.arguments().parse_args(map(str, words))


@pytest.mark.parametrize(
    ("equal", "measure"),
    [
        ("parameters", lambda spec: parameters(spec)["total"]),
        ("flops", lambda spec: flops_per_token(spec, 16)),
    ],
)
def test_families_are_of_one_size(equal, measure):
    names = ["seq2seq", "bahdanau", "luong", "transformer"]
    specs = example.sized(names, options_of("--equal", equal), 26)
    sizes = {name: measure(spec) for name, spec in specs.items()}
    assert list(sizes) == names
    assert specs["seq2seq"].d_model == 96
    assert max(sizes.values()) < 1.1 * min(sizes.values()), sizes


class Parrot:
    """Answers right but for strings that hold a q."""

    def generate(self, sources, max_new_tokens):
        assert max_new_tokens == 5, "an answer needs room for its end"
        return [source[::-1].replace("q", "") for source in sources]


def test_an_answer_counts_only_where_all_of_it_is_right():
    pairs = [("abcd", "dcba"), ("q", "q"), ("ab", "ba"), ("xyzq", "qzyx")]
    assert example.exact(Parrot(), pairs) == 0.5


def test_tests_are_of_their_length_and_not_the_training_pairs():
    task = example.reversals(options_of("--steps", 10, "--tests", 30, "--longest", 9))
    assert (task.seen, task.longest) == (9, 20)
    assert all(len(s) == n for n, pairs in task.tests.items() for s, _ in pairs)
    assert max(task.tests) == 18
    assert max(len(source) for source, _ in task.training) == 9
    long = {pair for pair in task.training if len(pair[0]) > 4}
    assert not long & {pair for pairs in task.tests.values() for pair in pairs}
    dates = example.spelled_dates(options_of("--steps", 10, "--tests", 30))
    assert all(n - 5 < len(s) <= n for n, pairs in dates.tests.items() for s, _ in pairs)


def test_it_runs_and_a_second_call_reads(tmp_path, monkeypatch, capsys):
    words = ["--families", "seq2seq", "bahdanau", "--steps", 4, "--batch", 2, "--width", 16]
    words += ["--longest", 3, "--tests", 2, "--directory", tmp_path]
    monkeypatch.setattr(sys, "argv", ["what_attention_buys.py", *map(str, words)])
    example.main()
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.endswith(table + "\n")
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == ["| seq2seq", "| bahdanau"]
    for name in ("accuracy.png", "attention-bahdanau.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "attention-seq2seq.png").exists(), "it looks at nothing"
    events = (tmp_path / "bahdanau" / "events.jsonl").read_text(encoding="utf-8")
    assert example.seconds(tmp_path / "bahdanau") > 0
    example.main()
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == table
    again = (tmp_path / "bahdanau" / "events.jsonl").read_text(encoding="utf-8")
    kinds = [json.loads(line)["kind"] for line in again.removeprefix(events).splitlines()]
    assert kinds == ["decision"], "nothing is trained twice"


def test_the_plot_has_a_line_a_family_and_marks_what_was_not_trained_on():
    results = {
        name: {"exact": {"2": 1.0, "4": share, "6": 0.0}}
        for name, share in (("a", 0.5), ("b", 0.9))
    }
    (axes,) = example.accuracy(results, 4)(PAPER).axes
    drawn = [line.get_ydata() for line in axes.get_lines()]
    assert [list(map(float, ys)) for ys in drawn] == [[1.0, 0.5, 0.0], [1.0, 0.9, 0.0]]
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (4, 6)
