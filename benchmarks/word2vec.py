"""word2vec against gensim: words a second, and what was learnt, on the same text and settings.

    python benchmarks/word2vec.py TEXT [TEXT ...]             plain or .gz; letters are words
    python benchmarks/word2vec.py --architecture cbow --rounds 7 TEXT

Needs gensim, which Hornbook does not: install it where this runs. Both read the same sentences with
the same width, window, wrong words, thinning, learning rate and epochs, with `--threads` threads
each, in turn in one process; ratios are paired by round. Learnt is measured on text that was held
out: the mean loss on the same pairs with the same wrong words, and how many of the ten nearest
neighbours of frequent words both agree on; of two seeds of each, to know what agreement can be.
Last, gensim reads our file and we read its file.
"""

import argparse
import gzip
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gensim
import numpy as np
import torch
from gensim.models import KeyedVectors, Word2Vec

from hornbook.models.vectors import vector_spec_for
from hornbook.models.vectors.examples import make_examples
from hornbook.models.vectors.noise import noise_of
from hornbook.models.vectors.spec import VectorSpec
from hornbook.models.vectors.tables import Tables, fresh_tables, mean_loss
from hornbook.models.vectors.text_format import load_text, save_text
from hornbook.models.vectors.train import Trained, train_on_lists
from hornbook.models.vectors.words import WordVectors

WORD = re.compile(r"[^\W\d_]+")
SENTENCE = 1000
FREQUENT = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--architecture", default="skip_gram", choices=("skip_gram", "cbow"))
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    words = [word for path in options.texts for word in WORD.findall(read(path).lower())]
    names = sorted(set(words))
    numbers = {word: number for number, word in enumerate(names)}
    cut = len(words) * 19 // 20
    sentences = [words[start : start + SENTENCE] for start in range(0, cut, SENTENCE)]
    texts = [[numbers[word] for word in sentence] for sentence in sentences]
    spec = vector_spec_for(
        "word2vec",
        vocab_size=len(names),
        architecture=options.architecture,
        d_model=options.width,
        epochs=options.epochs,
    )
    print(
        f"gensim {gensim.__version__}, torch {torch.__version__}, {options.threads} threads each; "
        f"{cut:,} words, {options.architecture}, {options.width} numbers, {options.epochs} epochs"
    )

    def theirs(seed: int) -> Word2Vec:
        return peer(sentences, spec, options.threads, seed)

    def ours(seed: int) -> Trained:
        return train_on_lists(spec, texts, seed=seed)

    made = race({"gensim": theirs, "hornbook": ours}, cut * options.epochs, options.rounds)
    compare(made["gensim"], made["hornbook"], words[cut:], names, spec)


def read(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")


def peer(sentences: list[list[str]], spec: VectorSpec, threads: int, seed: int) -> Word2Vec:
    """gensim with our settings; it begins twice as wide as word2vec.c, so its start is halved."""
    model = Word2Vec(
        vector_size=spec.d_model,
        window=spec.window,
        negative=spec.negatives,
        sg=int(spec.architecture == "skip_gram"),
        sample=spec.threshold,
        min_count=spec.minimum_count,
        alpha=spec.learning_rate,
        min_alpha=spec.learning_rate * 1e-4,
        workers=threads,
        seed=seed + 1,
    )
    model.build_vocab(sentences)
    model.wv.vectors *= 0.5
    model.train(sentences, total_examples=model.corpus_count, epochs=spec.epochs)
    return model


def race(
    sides: dict[str, Callable[[int], object]], words: int, rounds: int
) -> dict[str, list[object]]:
    """Time both in turn, counting of words included, and print a row each."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    cores: dict[str, list[float]] = {name: [] for name in sides}
    made: dict[str, list[object]] = {name: [] for name in sides}
    for seed in range(rounds):
        for name, side in sides.items():
            begun, used = time.perf_counter(), time.process_time()
            made[name].append(side(seed))
            times[name].append(time.perf_counter() - begun)
            cores[name].append(time.process_time() - used)
    print(
        f"{'':12s}{'words/s':>12s}{'a core':>12s}{'ratio':>8s}   quartiles of the paired ratios; "
        "of those by seconds of cores"
    )
    for name, own in times.items():
        spreads = []
        for seconds in (times, cores):
            pairs = zip(seconds["gensim"], seconds[name], strict=True)
            spreads.append(statistics.quantiles([theirs / mine for theirs, mine in pairs], n=4))
        (low, middle, high), (least, half, most) = spreads
        rate, busy = words / statistics.median(own), words / statistics.median(cores[name])
        print(
            f"{name:12s}{rate:12,.0f}{busy:12,.0f}{middle:8.2f}   {low:.2f} .. {high:.2f}; "
            f"{half:.2f} ({least:.2f} .. {most:.2f})"
        )
    return made


def compare(theirs: list, ours: list, held: list[str], names: list[str], spec: VectorSpec) -> None:
    """Loss on held-out pairs, agreement of neighbours, and each other's files."""
    vocabulary = ours[0].vocabulary
    words = [names[number] for number in vocabulary.ids.tolist()]
    known = {word: row for row, word in enumerate(words)}
    rows = np.array([known[word] for word in held if word in known])
    generator = np.random.default_rng(0)
    noise = noise_of(vocabulary.counts, spec.noise_power)
    (pairs,) = make_examples(spec, rows, np.zeros_like(rows), noise, generator, len(rows))
    tables = {
        "fresh": [fresh_tables(len(words), spec.d_model, 0)],
        "gensim": [tables_of(model, words) for model in theirs],
        "hornbook": [trained.tables for trained in ours],
    }
    for name, several in tables.items():
        losses = [mean_loss(one, pairs) for one in several]
        print(f"{name:12s}held-out loss {np.mean(losses):.4f} ± {np.std(losses):.4f}")
    found = {name: [WordVectors(tuple(words), one.inputs.numpy()) for one in several[:2]]
             for name, several in tables.items() if name != "fresh"}  # fmt: skip
    for first, second, what in (
        (found["gensim"][0], found["gensim"][1], "gensim, two seeds"),
        (found["hornbook"][0], found["hornbook"][1], "hornbook, two seeds"),
        (found["gensim"][0], found["hornbook"][0], "gensim and hornbook"),
    ):
        print(f"{what:24s}{agreement(first, second):6.1%} of ten neighbours agree")
    exchange(theirs[0], found["hornbook"][0])


def tables_of(model: Word2Vec, words: list[str]) -> Tables:
    """gensim's two tables in our order of words."""
    rows = [model.wv.key_to_index[word] for word in words]
    return Tables(torch.from_numpy(model.wv.vectors[rows]), torch.from_numpy(model.syn1neg[rows]))


def agreement(first: WordVectors, second: WordVectors) -> float:
    shares = []
    for word in first.words[:FREQUENT]:
        near = [{other for other, _ in side.nearest(word, 10)} for side in (first, second)]
        shares.append(len(near[0] & near[1]) / 10)
    return float(np.mean(shares))


def exchange(theirs: Word2Vec, ours: WordVectors) -> None:
    """gensim reads what we write, and we what gensim writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.txt"
        save_text(ours, path)
        read_by_gensim = KeyedVectors.load_word2vec_format(str(path))
        assert read_by_gensim.index_to_key == list(ours.words)
        np.testing.assert_array_equal(read_by_gensim.vectors, ours.vectors)
        theirs.wv.save_word2vec_format(str(path))
        again = load_text(path)
        assert list(again.words) == theirs.wv.index_to_key
        np.testing.assert_allclose(again.vectors, theirs.wv.vectors, rtol=1e-6)
    print("files: gensim reads ours bit for bit, and we read gensim's")


if __name__ == "__main__":
    main()
