"""The loop that learns vectors: chunk after chunk of text, epoch after epoch."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from hornbook.errors import TrainingError
from hornbook.models.vectors.examples import Examples, make_examples, thinned
from hornbook.models.vectors.noise import Noise, noise_of
from hornbook.models.vectors.spec import VectorSpec
from hornbook.models.vectors.tables import Tables, fresh_tables, mean_loss, step
from hornbook.models.vectors.vocabulary import (
    Ids,
    JoinedIds,
    Vocabulary,
    count_words,
    keep_probabilities,
)
from hornbook.models.vectors.words import WordVectors
from hornbook.runs.progress import Progress

CHUNK = 1000
"""Tokens read at once; windows do not cross chunks. The released code cuts sentences there too."""
STEPS = 4000
"""Steps there should be in all: where the text is short, they take fewer words than a chunk has."""
SMALLEST = 25
"""Words that a step takes at least."""
SHOWN = 100
"""The loss is taken once in so many chunks, to be shown."""
FLOOR = 1e-4
"""The learning rate falls to this share of the first."""
LARGEST = 1e3
"""A number of a vector beyond this is no result."""
AHEAD = 4
"""Chunks whose examples are made while others are learnt."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What training ends with; row r of both tables is the word of id vocabulary.ids[r]."""

    vocabulary: Vocabulary
    tables: Tables

    def word_vectors(self, names: Sequence[str] | None = None) -> WordVectors:
        """The input vectors by name; names[id] is a token's, by default its number."""
        ids = self.vocabulary.ids.tolist()
        words = [str(i) if names is None else names[i] for i in ids]
        return WordVectors(tuple(words), self.tables.inputs.numpy())


@dataclass(frozen=True, eq=False)
class Chunks:
    """The chunks of all sources and how examples are made of them; the same in every epoch order.

    Draws depend on (seed, epoch, chunk) alone.
    """

    spec: VectorSpec
    sources: Sequence[Ids]
    vocabulary: Vocabulary
    noise: Noise
    seed: int

    def places(self) -> list[tuple[int, int, int]]:
        """(source, first token, tokens) of each chunk."""
        return [
            (number, start, min(CHUNK, source.tokens - start))
            for number, source in enumerate(self.sources)
            for start in range(0, source.tokens, CHUNK)
        ]

    def examples(self, keep: np.ndarray) -> Iterator[list[Examples]]:
        """The steps of every chunk of every epoch, in order, some made ahead."""
        places = self.places()
        tokens = self.spec.epochs * sum(count for _, _, count in places)
        width = max(SMALLEST, min(CHUNK, tokens // STEPS))

        def made(number: int) -> list[Examples]:
            epoch, chunk = divmod(number, len(places))
            generator = np.random.default_rng([self.seed, epoch, chunk])
            source, start, count = places[chunk]
            rows = self.vocabulary.rows[self.sources[source].read(start, count)]
            words, texts = thinned(rows, keep, generator)
            made = make_examples(self.spec, words, texts, self.noise, generator, width)
            return list(made)

        total = self.spec.epochs * len(places)
        with ThreadPoolExecutor(1) as maker:
            waiting = [maker.submit(made, number) for number in range(min(AHEAD, total))]
            for number in range(total):
                examples = waiting.pop(0).result()
                if number + AHEAD < total:
                    waiting.append(maker.submit(made, number + AHEAD))
                yield examples


def train_vectors(
    spec: VectorSpec,
    sources: Sequence[Ids],
    separator: int,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Learn vectors from token ids; `separator` ends a text and has no vector.

    Raises InputError where too few words occur often enough to learn from, TrainingError where
    vectors grow without end.
    """
    vocabulary = count_words(sources, spec.vocab_size, separator, spec.minimum_count)
    noise = noise_of(vocabulary.counts, spec.noise_power)
    keep = keep_probabilities(vocabulary.counts, spec.threshold)
    chunks = Chunks(spec, sources, vocabulary, noise, seed)
    tables = fresh_tables(len(vocabulary.ids), spec.d_model, seed)
    sizes = [count for _, _, count in chunks.places()]
    total = spec.epochs * sum(sizes)
    progress = progress or Progress(quiet=True)
    done = 0
    with _one_thread_less(), progress.task("vectors", total=total, unit="tokens") as task:
        for number, steps in enumerate(chunks.examples(keep)):
            rate = spec.learning_rate * max(FLOOR, 1 - done / total)
            for examples in steps:
                step(tables, examples, rate)
            if steps and number % SHOWN == 0:
                task.show(loss=mean_loss(tables, examples))
                _require_finite(tables, spec)
            size = sizes[number % len(sizes)]
            done += size
            task.advance(size)
    _require_finite(tables, spec)
    return Trained(vocabulary, tables)


def _require_finite(tables: Tables, spec: VectorSpec) -> None:
    if not all(float(table.abs().max()) < LARGEST for table in (tables.inputs, tables.outputs)):
        raise TrainingError(
            f"The vectors of {len(tables.inputs)} words grow without end; learn them with a lower "
            f"learning_rate than {spec.learning_rate:g}, or from a text of more words."
        )


@contextmanager
def _one_thread_less() -> Iterator[None]:
    """Leave a core to the thread that makes examples; the bytes are the same on any number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def train_on_lists(spec: VectorSpec, texts: Sequence[Sequence[int]], *, seed: int = 0) -> Trained:
    """Learn vectors from lists of ids, one a text; see `train_vectors`."""
    separator = spec.vocab_size
    return train_vectors(spec, [JoinedIds(texts, separator)], separator, seed=seed)
