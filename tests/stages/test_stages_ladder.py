"""The ladder: rungs on one text at one price, results that can be read again, and no work twice."""

import json
import math
import shutil

import pytest

from hornbook.errors import InputError
from hornbook.evaluation.baseline import ALL
from hornbook.models.count import flops_per_token, parameters
from hornbook.models.families import spec_for
from hornbook.runs.directory import RunDirectory
from hornbook.runs.signals import StopSignal
from hornbook.stages import ladder
from hornbook.stages.ladder import Rung, climb, read_ladder
from hornbook.stages.run import read_recipe
from hornbook.tokenizers import load_tokenizer

SMALL = {
    "RNN": Rung("rnn", {"n_layers": 1, "d_model": 16}, 3e-3),
    "GPT-2": Rung("gpt2", {"n_layers": 1, "d_model": 16, "n_heads": 2}, 3e-3),
}
BUDGET = 6e8


@pytest.fixture(scope="module")
def few():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder, "RUNGS", SMALL)
        yield


@pytest.fixture(scope="module")
def climbed(few, tmp_path_factory, settings):
    directory = tmp_path_factory.mktemp("ladders") / "small"
    return directory, climb("demo", directory, settings, budget=BUDGET, seeds=2)


def made(directory):
    """When each rung's pre-training was finished."""
    return {
        place.name: RunDirectory(place).manifest().stages["pretraining"].finished
        for place in sorted((directory / "rungs").iterdir())
    }


def test_rungs_stand_in_order_with_a_result_a_seed(climbed):
    _, rungs = climbed
    assert [rung.name for rung in rungs] == [
        "unigram", "2-gram", "3-gram", "4-gram", "5-gram", "RNN", "GPT-2"
    ]  # fmt: skip
    assert [len(rung.bits_per_byte[ALL]) for rung in rungs] == [1] * 5 + [2, 2]
    for rung in rungs[5:]:
        first, second = rung.bits_per_byte[ALL]
        assert first != second  # seeds differ


def test_learnt_rungs_spend_the_budget_but_less_than_one_update_of_it(climbed, settings):
    directory, rungs = climbed
    vocab_size = load_tokenizer(directory / "base" / "tokenizer").vocab_size
    recipe = read_recipe("demo", settings)
    length = recipe["pretraining"].sequence_length
    for rung in rungs[5:]:
        own = SMALL[rung.name]
        spec = spec_for(own.family, vocab_size=vocab_size, max_length=length, **own.dimensions)
        update = flops_per_token(spec, length) * length * recipe["pretraining"].batch_size
        assert BUDGET - update < rung.flops <= BUDGET
        assert rung.parameters == parameters(spec)["total"]


def test_counted_rungs_are_the_baselines_own(climbed):
    directory, rungs = climbed
    text = (directory / "base" / "baseline" / "results.json").read_text(encoding="utf-8")
    models = json.loads(text)["models"]
    by_name = {rung.name: rung for rung in rungs}
    for name in models:
        for source, figures in models[name].items():
            assert by_name[name].bits_per_byte[source] == [figures["bits_per_byte"]]


def test_all_is_the_sources_weighted_by_their_bytes(climbed):
    """Of a counted rung `all` is scored as one text; learnt rungs must weigh sources alike."""
    directory, rungs = climbed
    text = (directory / "base" / "baseline" / "results.json").read_text(encoding="utf-8")
    figures = json.loads(text)["models"]["unigram"]
    sources = [source for source in figures if source != ALL]
    for rung in rungs:
        for seed, value in enumerate(rung.bits_per_byte[ALL]):
            bits = sum(rung.bits_per_byte[s][seed] * figures[s]["bytes"] for s in sources)
            assert value == pytest.approx(bits / figures[ALL]["bytes"], rel=1e-9)


def test_climbing_again_trains_nothing_and_another_seed_only_itself(climbed, settings, few):
    directory, rungs = climbed
    before = made(directory)
    assert climb("demo", directory, settings, budget=BUDGET, seeds=2) == rungs
    assert read_ladder(directory) == rungs
    assert made(directory) == before
    more = climb("demo", directory, settings, budget=BUDGET, seeds=3)
    assert [len(rung.bits_per_byte[ALL]) for rung in more] == [1] * 5 + [3, 3]
    assert before.items() < made(directory).items()


@pytest.mark.slow
def test_a_ladder_that_was_stopped_ends_the_same(climbed, settings, few, tmp_path, monkeypatch):
    """The third training fails; what was climbed until then is there, and is not climbed again."""
    _, rungs = climbed
    right, begun = ladder.run, []

    def run(recipe, place, **rest):
        begun.append(place)
        if len(begun) == 4:  # the base, two rungs, and then
            raise KeyboardInterrupt
        return right(recipe, place, **rest)

    monkeypatch.setattr(ladder, "run", run)
    with pytest.raises(KeyboardInterrupt):
        climb("demo", tmp_path / "again", settings, budget=BUDGET, seeds=2)
    assert [len(rung.bits_per_byte[ALL]) for rung in read_ladder(tmp_path / "again")] == [1] * 7
    first = made(tmp_path / "again")
    again = climb("demo", tmp_path / "again", settings, budget=BUDGET, seeds=2)
    assert first.items() < made(tmp_path / "again").items()
    assert [rung.bits_per_byte for rung in again] == [rung.bits_per_byte for rung in rungs]


def test_every_rung_of_the_real_ladder_fits_its_recipe():
    recipe = read_recipe("ladder")
    for rung in ladder.RUNGS.values():
        own = ladder.rung_recipe(recipe, rung, "runs/base", 7, 5e12, 4096)
        spec = own["model"].spec(4096)
        assert spec.family == rung.family
        assert own["run"].seed == 7
        assert own["pretraining"].steps > 100
        assert set(own.borrowed) == {"corpus", "tokenizer", "store", "baseline"}


def test_n_grams_are_counted_again_where_their_options_changed(climbed, settings, few, tmp_path):
    directory, rungs = climbed
    shutil.copytree(directory / "base", tmp_path / "base")
    base, stop = RunDirectory(tmp_path / "base"), StopSignal()
    (tmp_path / "counted.json").write_bytes((directory / "counted.json").read_bytes())
    kept = ladder._counted(read_recipe("demo", settings), base, tmp_path, stop)
    assert kept == rungs[:5]
    for key, value in (("baseline.estimator", "katz"), ("pretraining.sequence_length", 32)):
        other = ladder._counted(read_recipe("demo", {**settings, key: value}), base, tmp_path, stop)
        assert [o.bits_per_byte for o in other] != [rung.bits_per_byte for rung in rungs[:5]], key
    (tmp_path / "counted.json").write_text("{torn", encoding="utf-8")
    again = ladder._counted(read_recipe("demo", settings), base, tmp_path, stop)
    assert [own.bits_per_byte for own in again] == [rung.bits_per_byte for rung in rungs[:5]]


@pytest.mark.parametrize("budget", [float("nan"), float("inf")])
def test_a_budget_that_is_no_number_is_refused(budget, tmp_path):
    with pytest.raises(InputError, match=r"The budget is (nan|inf); give a number"):
        climb("demo", tmp_path, budget=budget)


def test_a_budget_below_one_update_is_said_before_anything_is_made(tmp_path):
    with pytest.raises(InputError, match="less than one update"):
        climb("ladder", tmp_path / "none", budget=1e6)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("seeds", [0, 11])
def test_too_many_or_no_seeds_are_refused(seeds, tmp_path):
    with pytest.raises(InputError, match=f"seeds is {seeds}; give 1 to 10"):
        climb("demo", tmp_path, seeds=seeds)


def test_a_budget_below_one_update_is_refused():
    with pytest.raises(InputError, match="less than one update of rnn"):
        ladder.rung_recipe(read_recipe("ladder"), ladder.RUNGS["RNN"], "base", 1, 1e6, 4096)


def test_a_folder_without_a_ladder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"holds no ladder \(ladder.json\)"):
        read_ladder(tmp_path)


def test_one_seed_has_no_interval(climbed):
    _, rungs = climbed
    learnt = rungs[-1]
    one = type(learnt)(**{**vars(learnt), "bits_per_byte": {ALL: [2.0]}})
    assert one.interval()[0] == 2.0
    assert math.isnan(one.interval()[1])
