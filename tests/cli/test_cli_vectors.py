"""`hornbook vectors`, from a run's store to the token table of a model."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import hornbook
from hornbook.cli.main import hornbook as group
from hornbook.errors import InputError
from hornbook.handle.vectors import initialise, token_names
from hornbook.models.vectors.text_format import load_text
from hornbook.models.vectors.words import WordVectors


@pytest.fixture(scope="module")
def run(settings, text_folder, tmp_path_factory):
    """A run on some 50 kB, with a token store and no model."""
    folder = tmp_path_factory.mktemp("vectors")
    (folder / "texts").mkdir()
    for path in sorted(text_folder.iterdir())[:8]:
        (folder / "texts" / path.name).write_bytes(path.read_bytes())
    few = settings | {"corpus.sources": [str(folder / "texts")], "tokenizer.vocab_size": 400}
    return hornbook.run("demo", folder / "run", few, until="store").directory


@pytest.fixture(scope="module")
def trained(run):
    path = run.parent / "vectors.txt"
    assert call("train", run, "--output", path, "--d-model", 16, "--epochs", 1).exit_code == 0
    return path


def call(*words):
    return CliRunner().invoke(group, ["-q", "vectors", *map(str, words)])


def test_a_run_gives_a_vector_for_each_frequent_token(run, trained):
    vectors = load_text(trained)
    tokenizer = hornbook.load_tokenizer(run / "tokenizer")
    names = token_names(tokenizer)
    assert set(vectors.words) <= set(names)
    assert "<|endoftext|>" not in vectors.words
    assert len(vectors.words) > 150
    assert vectors.d_model == 16
    again = run.parent / "again.txt"
    call("train", run, "--output", again, "--d-model", 16, "--epochs", 1)
    assert again.read_bytes() == trained.read_bytes()
    call("train", run, "--output", again, "--d-model", 16, "--epochs", 1, "--seed", 1)
    assert again.read_bytes() != trained.read_bytes()


def test_words_are_shown_with_their_cosines(trained):
    vectors = load_text(trained)
    first, second, third = vectors.words[:3]
    shown = call("nearest", trained, first, "-n", 4).output
    expected = [f"{cosine:7.4f}  {word!r}" for word, cosine in vectors.nearest(first, 4)]
    assert shown.splitlines() == expected
    shown = call("analogy", trained, first, second, third, "-n", 2).output
    expected = [f"{c:7.4f}  {w!r}" for w, c in vectors.analogy(first, second, third, 2)]
    assert shown.splitlines() == expected


def test_mistakes_are_one_clear_message(run, trained, tmp_path):
    for words, message in (
        (("nearest", trained, "zzzzzz"), "'zzzzzz' has no vector"),
        (("nearest", tmp_path / "none", "a"), "cannot be read"),
        (("train", run, "--output", tmp_path / "no" / "v.txt"), "does not exist"),
        (("train", tmp_path, "--output", tmp_path / "v.txt"), "is no run"),
        (("train", run, "--output", tmp_path / "v.txt", "--minimum-count", 10**9), "occur"),
    ):
        done = call(*words)
        assert done.exit_code != 0
        assert message in (done.output + str(done.exception))
    assert list(tmp_path.iterdir()) == []


def test_vectors_become_the_token_table_of_a_model(run, trained):
    """Each token's row is its word's vector; the other rows and all other weights stay."""
    tokenizer = hornbook.load_tokenizer(run / "tokenizer")
    vectors = load_text(trained)
    model = hornbook.build("gpt2", tokenizer=tokenizer, d_model=16, n_layers=1, max_length=8)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    matched = initialise(model, vectors, scale=0.5)
    assert matched.taken == len(vectors.words)
    assert matched.left == tokenizer.vocab_size - matched.taken
    after = model.state_dict()
    assert [name for name in after if not torch.equal(after[name], before[name])] == [
        "embedding.tokens.weight"
    ]
    for token in range(tokenizer.vocab_size):
        name = tokenizer.token_bytes(token).decode("utf-8", "surrogateescape")
        row = after["embedding.tokens.weight"][token]
        if name in vectors.words:
            np.testing.assert_array_equal(row.numpy(), 0.5 * vectors.vector(name))
        else:
            assert torch.equal(row, before["embedding.tokens.weight"][token])
    assert not model.network.table[tokenizer.vocab_size :].any()


def test_names_may_be_given_and_what_does_not_fit_is_said():
    vectors = WordVectors(("b", "c", "far"), np.eye(3, 32, dtype=np.float32))
    model = hornbook.build("gpt2", vocab_size=4, d_model=32, n_layers=1, max_length=8)
    assert vars(initialise(model, vectors, ["a", "b", "c", "d"])) == {"taken": 2, "left": 2}
    assert model.network.table[2, 1] == 1
    with pytest.raises(InputError, match="has no tokenizer"):
        initialise(model, vectors)
    with pytest.raises(InputError, match="None of the words"):
        initialise(model, vectors, ["x", "y"])
    narrow = hornbook.build("gpt2", vocab_size=4, d_model=16, n_layers=1, max_length=8)
    with pytest.raises(InputError, match=r"32 numbers, the model's token table 16; .* d_model=32"):
        initialise(narrow, vectors, ["a", "b"])


def test_the_family_is_listed_and_shown():
    listed = CliRunner().invoke(group, ["list", "vectors"]).output
    assert listed.split() == ["vectors", "word2vec"]
    shown = CliRunner().invoke(group, ["show", "word2vec", "vocab_size=1000", "d_model=30"]).output
    assert "parameters 60,000: two tables of 1,000 x 30" in shown
    assert "-ln σ(u_o · h)" in shown
    assert "undivided" in shown
    wrong = CliRunner().invoke(group, ["show", "word2vec", "windw=3"])
    assert "did you mean 'window'" in str(wrong.exception)
