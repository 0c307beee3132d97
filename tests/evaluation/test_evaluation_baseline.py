import json
import math

import numpy as np
import pytest

from hornbook.errors import InputError, Interrupted
from hornbook.evaluation.baseline import build_baseline, token_shares
from hornbook.evaluation.options import BaselineOptions
from hornbook.models.ngrams import NORMALISED
from hornbook.models.ngrams.counts import count_ngrams
from hornbook.models.ngrams.estimate import estimate
from hornbook.models.ngrams.model import NGram
from hornbook.runs.events import EventLog, read_events
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal

VOCAB, LENGTH, ROWS = 12, 9, 5
BYTES = np.arange(VOCAB) % 4  # some ids stand for no text at all, as specials do


class Array:
    document_starts = np.array([0], dtype=np.uint64)

    def __init__(self, tokens):
        self._tokens = np.asarray(tokens, dtype=np.int64)
        self.tokens = len(self._tokens)

    def read(self, start, count):
        return self._tokens[start : start + count]

    def gather(self, starts, width):
        return self._tokens[np.asarray(starts)[:, None] + np.arange(width)]


def text(seed, length):
    """A Markov chain, so that order helps."""
    random = np.random.default_rng(seed)
    tokens = [0]
    for _ in range(length - 1):
        tokens.append(int((tokens[-1] * 5 + random.integers(1, 4)) % VOCAB))
    return np.array(tokens)


@pytest.fixture
def splits():
    return {
        "train": {"code": Array(text(1, 3000)), "docs": Array(text(2, 700))},
        "validation": {"code": Array(text(3, 400)), "docs": Array(text(4, 80)), "tiny": Array([1])},
    }


def build(splits, directory, stop=None, **options):
    return build_baseline(
        BaselineOptions(**options),
        splits,
        directory,
        sequence_length=LENGTH,
        rows=ROWS,
        byte_lengths=BYTES,
        events=EventLog(directory / "events.jsonl").bind("baseline", "0" * 32),
        progress=Progress(quiet=True),
        stop=stop or StopSignal(),
    )


def test_the_figures_are_the_definition_on_the_networks_targets(splits, tmp_path):
    summary = build(splits, tmp_path, order=3)
    for order, found in ((3, summary["bits_per_byte"]), (1, summary["unigram"])):
        pieces = [array.read(0, array.tokens) for array in splits["train"].values()]
        model = estimate(count_ngrams(pieces, VOCAB, order))
        nats, read = {}, {}
        for source in ("code", "docs"):
            array = splits["validation"][source]
            rows = (array.tokens - 1) // LENGTH
            nats[source] = read[source] = 0.0
            for i in range(min(ROWS, rows)):
                first = (2 * i + 1) * rows // (2 * min(ROWS, rows)) * LENGTH
                row = array.read(first, LENGTH + 1)
                for t in range(1, LENGTH + 1):
                    nats[source] -= math.log(model.probabilities(row[:t])[row[t]])
                    read[source] += int(BYTES[row[t]])
            assert found[source] == pytest.approx(nats[source] / math.log(2) / read[source])
        all_bits = sum(nats.values()) / math.log(2) / sum(read.values())
        assert found["all"] == pytest.approx(all_bits)
        assert list(found) == ["code", "docs", "all"]  # "tiny" has no whole row
    assert summary["bits_per_byte"]["all"] < 0.8 * summary["unigram"]["all"]
    assert summary["tokens"] == {"code": 3000, "docs": 700}
    assert summary["order"] == 3


def test_model_and_results_are_files_of_the_same_bytes_each_time(splits, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        build(splits, tmp_path / name)
    for file in ("ngram.safetensors", "results.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    results = json.loads((tmp_path / "a" / "results.json").read_text(encoding="utf-8"))
    assert list(results["models"]) == ["unigram", "5-gram"]
    figures = results["models"]["5-gram"]["docs"]
    assert figures["bits_per_byte"] == results["bits_per_byte"]["docs"]
    assert figures["targets"] == 5 * LENGTH
    assert NGram.load(tmp_path / "a" / "ngram.safetensors").order == 5


def test_events_hold_every_score_and_every_departure(splits, tmp_path):
    summary = build(splits, tmp_path, order=2)
    scores = read_events(tmp_path / "events.jsonl", kind="evaluation").to_pylist()
    decisions = read_events(tmp_path / "events.jsonl", kind="decision")
    for name, model in (("bits_per_byte", "bits_per_byte"), ("unigram_bits_per_byte", "unigram")):
        assert {row["source"]: row[name] for row in scores} == summary[model]
    assert decisions["what"].to_pylist()[0] == "discounts of order 1"
    assert "give none above 0" in decisions["why"].to_pylist()[0]


@pytest.mark.parametrize("estimator", NORMALISED)
def test_the_estimator_is_a_choice_and_its_settings_reach_it(estimator, splits, tmp_path):
    summary = build(splits, tmp_path, order=2, estimator=estimator, add_k=0.125)
    counts = count_ngrams([array._tokens for array in splits["train"].values()], VOCAB, 2)
    model = estimate(counts, estimator, **({"add_k": 0.125} if estimator == "add_k" else {}))
    saved = NGram.load(tmp_path / "ngram.safetensors")
    assert (saved.estimator, summary["order"]) == (estimator, 2)
    for context in range(VOCAB):
        expected = model.probabilities([context])
        np.testing.assert_array_equal(saved.probabilities([context]), expected)


def test_an_estimator_without_probabilities_for_all_is_no_baseline():
    for estimator in ("maximum_likelihood", "stupid_backoff"):
        with pytest.raises(ValueError, match='must be one of "modified_kneser_ney"'):
            BaselineOptions(estimator=estimator)


def test_order_one_is_the_unigram_alone(splits, tmp_path):
    summary = build(splits, tmp_path, order=1)
    assert summary["bits_per_byte"] == summary["unigram"]


def test_more_tokens_than_allowed_are_shared_out_by_size(splits, tmp_path):
    assert token_shares(splits["train"], 370) == {"code": 300, "docs": 70}
    assert token_shares(splits["train"], 10**9) == {"code": 3000, "docs": 700}
    assert build(splits, tmp_path, maximum_tokens=370)["tokens"] == {"code": 300, "docs": 70}


def test_trouble_is_said_and_a_stop_is_heard(splits, tmp_path):
    with pytest.raises(InputError, match="one row of 9 needs 10"):
        build(splits | {"validation": {"tiny": Array([1, 2])}}, tmp_path)
    with pytest.raises(InputError, match="no tokens to count"):
        build(splits | {"train": {"code": Array([])}}, tmp_path)
    stop = StopSignal()
    stop._number = 15
    with pytest.raises(Interrupted):
        build(splits, tmp_path, stop=stop)
    assert not (tmp_path / "results.json").exists()
