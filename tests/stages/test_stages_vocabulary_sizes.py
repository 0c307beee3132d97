"""A small model of every vocabulary: one price, one held-out text, and no work twice."""

import json

import pytest

from hornbook.corpus.documents import strings
from hornbook.corpus.read import open_documents
from hornbook.errors import InputError
from hornbook.evaluation.baseline import ALL
from hornbook.models.count import flops_per_token, parameters
from hornbook.models.families import spec_for
from hornbook.runs.directory import RunDirectory
from hornbook.runs.manifest import Manifest, write_manifest
from hornbook.runs.progress import Progress
from hornbook.runs.signals import StopSignal
from hornbook.stages import vocabulary_sizes
from hornbook.stages.compared_tokenizers import asked_for
from hornbook.stages.ladder import Rung
from hornbook.stages.tokenizer_texts import split_of
from hornbook.stages.vocabulary_sizes import losses_of_sizes
from hornbook.tokenizers import load_tokenizer
from hornbook.tokenizers.held_out import PIECE_CHARACTERS
from hornbook.tokenizers.sample import cut

SMALL = Rung("llama", {"n_layers": 1, "d_model": 16, "n_heads": 2}, 3e-3)
BUDGET = 3e8
NAMES = ("byte", "byte-bpe:512")


@pytest.fixture(scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary_sizes, "SMALL", SMALL)
        yield


def losses(names, paths, directory, settings, **rest):
    overrides = {key: value for key, value in settings.items() if not key.startswith("model.")}
    found = losses_of_sizes(
        asked_for(names), [str(path) for path in paths], directory, overrides,
        **{"budget": BUDGET, "progress": Progress(quiet=True), "stop": StopSignal(), **rest},
    )  # fmt: skip
    return list(found)


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory, settings, text_folder):
    directory = tmp_path_factory.mktemp("sizes") / "sizes"
    return directory, losses(NAMES, [text_folder], directory, settings)


def test_every_vocabulary_has_the_price_but_less_than_one_update_of_it(trained, settings):
    _, found = trained
    assert [loss.name for loss in found] == [*NAMES]
    assert [loss.vocab_size for loss in found] == [260, 512]
    length = settings["pretraining.sequence_length"]
    for loss in found:
        spec = spec_for("llama", vocab_size=loss.vocab_size, max_length=length, **SMALL.dimensions)
        update = flops_per_token(spec, length) * length * settings["pretraining.batch_size"]
        assert BUDGET - update < loss.flops <= BUDGET
        assert loss.parameters == parameters(spec)["total"]
        assert loss.tokens == loss.steps * length * settings["pretraining.batch_size"]


def test_a_larger_vocabulary_reads_fewer_tokens_and_more_bytes(trained):
    directory, found = trained
    assert found[0].tokens > found[-1].tokens
    assert found[0].bytes < found[1].bytes
    assert found[0].bytes == pytest.approx(found[0].tokens, rel=0.01)  # but for ends of documents
    for loss in found:
        place = directory / "sizes" / loss.name.replace(":", "-") / "tokenizer"
        tokenizer = load_tokenizer(place)
        assert (tokenizer.kind, tokenizer.vocab_size) == (loss.kind, loss.vocab_size)


def test_results_are_the_runs_own_and_stand_in_a_file(trained):
    directory, found = trained
    stored = json.loads((directory / "sizes.json").read_text(encoding="utf-8"))
    assert stored == [vars(loss) for loss in found]
    for loss in found:
        assert 1 < loss.bits_per_byte[ALL] < 9
        run = RunDirectory(directory / "sizes" / loss.name.replace(":", "-"))
        assert run.manifest().borrowed.keys() == {"corpus"}


def test_again_trains_nothing_and_another_size_only_itself(trained, small, settings, text_folder):
    directory, found = trained

    def finished():
        places = sorted((directory / "sizes").iterdir())
        return {p.name: RunDirectory(p).manifest().stages["pretraining"].finished for p in places}

    before = finished()
    again = losses([*NAMES, "byte-bpe:400"], [text_folder], directory, settings)
    assert again[:2] == found
    assert {name: finished()[name] for name in before} == before
    assert set(finished()) - set(before) == {"byte-bpe-400"}


@pytest.mark.slow
def test_a_run_lends_its_corpus(trained, small, settings, tmp_path):
    directory, found = trained
    (lent,) = losses(NAMES[1:], [directory / "base"], tmp_path / "lent", settings)
    assert not (tmp_path / "lent" / "base").exists()
    assert lent.bits_per_byte == found[1].bits_per_byte


def test_a_runs_own_split_is_kept(trained):
    base = trained[0] / "base"
    split = split_of([str(base)], 10**9, progress=Progress(quiet=True), stop=StopSignal())
    for side, pieces in (
        ("train", split.training),
        ("validation", [piece for group in split.held_out.values() for piece in group]),
    ):
        texts = [
            text
            for batch in open_documents(base / "corpus", side)
            for text in strings(batch, "text")
        ]
        assert set(pieces) == {piece for text in texts for piece in cut(text, PIECE_CHARACTERS)}


def test_a_run_without_a_corpus_is_said(tmp_path):
    write_manifest(tmp_path / "manifest.json", Manifest())
    with pytest.raises(InputError, match="has not finished its corpus"):
        split_of([str(tmp_path)], 10**9, progress=Progress(quiet=True), stop=StopSignal())


@pytest.mark.parametrize(
    ("names", "extra", "rest", "message"),
    [
        (["some/folder"], (), {}, "name kinds with sizes"),
        (NAMES, (), {"budget": 1e3}, "less than one update with 260 ids"),
        (NAMES, (), {"budget": float("inf")}, "The budget is inf"),
        (NAMES, ("text",), {}, "base is a run: its corpus is taken whole"),
    ],
)
def test_what_cannot_be_is_said_first(trained, settings, tmp_path, names, extra, rest, message):
    directory, _ = trained
    with pytest.raises(InputError, match=message):
        losses(names, [directory / "base", *extra], tmp_path / "none", settings, **rest)
    assert not (tmp_path / "none").exists()
