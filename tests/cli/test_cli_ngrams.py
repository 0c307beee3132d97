"""`hornbook ngrams`, and the other verbs' doors of n-grams."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

import hornbook
from hornbook.cli.main import hornbook as group
from hornbook.errors import SpecError
from hornbook.models.ngrams import ESTIMATORS, NORMALISED
from hornbook.models.ngrams.model import NGram


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    directory = tmp_path_factory.mktemp("ngrams") / "run"
    return hornbook.run("demo", directory, settings, until="baseline").directory


def call(*words):
    return CliRunner().invoke(group, ["-q", *map(str, words)])


def rows_of(output):
    """The table's rows by their first cell."""
    body = output.split("──\n", 1)[1].split("\nnote")[0]
    cells = [line.split() for line in body.splitlines() if line.strip()]
    return {row[0]: row[1:] for row in cells if len(row) > 3}


def test_every_order_is_a_row_and_a_point(run, tmp_path):
    done = call("ngrams", run, "--orders", "1-2,4", "--plot", tmp_path / "x.svg")
    assert done.exit_code == 0, done.output
    rows = rows_of(done.output)
    assert list(rows) == ["1", "2", "4"]
    picture = (tmp_path / "x.svg").read_text(encoding="utf-8")
    for word in ("held out", "counted text", "bits per byte"):
        assert word in picture
    assert str(tmp_path / "x.svg") in done.output
    assert not (run / "ngrams.png").exists()


def test_the_baselines_order_has_the_baselines_figures(run):
    done = call("ngrams", run, "--orders", "1,3")
    assert done.exit_code == 0, done.output
    assert (run / "ngrams.png").read_bytes().startswith(b"\x89PNG")
    assert done.output.splitlines()[-1] == str(run / "ngrams.png")
    results = json.loads((run / "baseline" / "results.json").read_text(encoding="utf-8"))
    rows = rows_of(done.output)
    assert float(rows["3"][-1]) == pytest.approx(results["bits_per_byte"]["all"], abs=5e-4)
    assert float(rows["1"][-1]) == pytest.approx(results["unigram"]["all"], abs=5e-4)
    assert int(rows["3"][0].replace(",", "")) == sum(results["ngrams"])
    assert float(rows["3"][2]) < float(rows["3"][3])  # text that was counted is known better
    assert "note: " in done.output


def test_estimators_are_compared_at_one_order(run):
    done = call("ngrams", run, "--estimator", "all")
    assert done.exit_code == 0, done.output
    rows = rows_of(done.output)
    assert tuple(rows) == NORMALISED
    assert "order 3" in done.output
    own = call("ngrams", run, "--orders", "3", "--estimator", "katz", "--plot", run / "k.png")
    assert rows_of(own.output)["3"][2:] == rows["katz"][2:]
    assert len({row[-1] for row in rows.values()}) == len(NORMALISED)
    two = rows_of(call("ngrams", run, "--estimator", "all", "--orders", 2).output)
    assert two["katz"][0] != rows["katz"][0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--orders", "0"), "orders read 1-8 or 1,2,5, from 1 to 12"),
        (("--orders", "5-2"), "orders read"),
        (("--orders", "x"), "orders read"),
        (("--orders", "13"), "orders read"),
        (("--estimator", "good"), "'good' is not one of"),
        (("--estimator", "stupid_backoff"), "'stupid_backoff' is not one of"),
        (("--estimator", "all", "--orders", "1-3"), "at one order"),
        (("--plot", "x.pdf"), "let it end in .png or .svg"),
        (("--plot", "nowhere/x.png"), "folder of nowhere/x.png does not exist"),
    ],
)
def test_mistakes_are_one_clear_message(run, words, message):
    done = call("ngrams", run, *words)
    assert done.exit_code == 2
    assert message in done.output


def test_what_is_no_run_is_said(tmp_path):
    done = call("ngrams", tmp_path)
    assert done.exit_code == 1
    assert "is no run" in str(done.exception)


def test_the_baseline_goes_on_with_a_text(run):
    done = call("generate", run, "--stage", "baseline", "--max-tokens", 20, "The import ")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("The import ")
    model = hornbook.load(run, stage="baseline")
    assert done.output == "The import " + model.generate("The import ", 20, temperature=0.8) + "\n"


def test_the_baseline_is_exported_as_an_arpa_file(run, tmp_path):
    done = call("export", run, "--stage", "baseline", "--to", "arpa", tmp_path / "new" / "x.arpa")
    assert done.exit_code == 0, done.output
    file = tmp_path / "new" / "x.arpa"
    assert str(file) in done.output
    own, read = hornbook.load(run, stage="baseline"), hornbook.load(file)
    read.tokenizer = own.tokenizer
    text = "Return the name of an object."
    assert read.bits_per_byte(text) == pytest.approx(own.bits_per_byte(text), rel=1e-6)
    kenlm = pytest.importorskip("kenlm")
    config = kenlm.Config()
    config.show_progress = False
    theirs = kenlm.LanguageModel(str(file), config)
    words = " ".join(read.words[token] for token in own.tokenizer.encode(text))
    bits = -theirs.score(words, bos=True, eos=False) * math.log2(10)
    assert own.bits_per_byte(text) == pytest.approx(bits / len(text), rel=1e-4)
    again = call("export", run, "--stage", "baseline", "--to", "arpa", file)
    assert again.exit_code == 2
    assert "name a new folder or file" in again.output


def test_layouts_that_a_model_does_not_have_are_said(run, tmp_path):
    counted = call("export", run, "--stage", "baseline", tmp_path / "hf")
    assert "An n-gram model has no layout 'hf'" in str(counted.exception)
    folder = tmp_path / "network"
    hornbook.build("gpt2", n_layers=1, d_model=16, vocab_size=9, max_length=4).save(folder)
    network = call("export", folder, "--to", "arpa", tmp_path / "x.arpa")
    assert "A network has no layout 'arpa'" in str(network.exception)
    own = call("export", run, "--stage", "baseline", "--to", "safetensors", tmp_path / "own")
    assert own.exit_code == 0
    kept = NGram.load(tmp_path / "own" / "ngram.safetensors")
    np.testing.assert_array_equal(
        kept.scores([1, 2]), hornbook.load(run, stage="baseline").network.scores([1, 2])
    )


def test_the_family_is_listed_shown_and_not_built():
    assert call("list", "counted").output.split() == ["counted", "ngram"]
    shown = call("show", "ngram", "order=3", "vocab_size=100").output
    assert "1e+06 entries" in shown
    for estimator in ESTIMATORS:
        assert estimator in shown
    assert "did you mean 'order'" in str(call("show", "ngram", "oder=3").exception)
    assert "no published sizes" in str(call("show", "ngram/5").exception)
    with pytest.raises(SpecError, match=r"ngram is counted, not built: the stage \[baseline\]"):
        hornbook.build("ngram")
    refused = call("check", "demo", "model.family=ngram")
    assert 'model.family = "ngram" (override): is counted, not built' in str(refused.exception)
    assert "has vectors, not logits" in str(
        call("check", "demo", "model.family=word2vec").exception
    )
