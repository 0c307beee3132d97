"""Training and encoding in MB of UTF-8 a CPU second, of every kind against the libraries.

    python benchmarks/tokenization.py                             code: this Python's own library
    python benchmarks/tokenization.py --text en=novels/ zh=poems/ folders or files of text, also .gz
    python benchmarks/tokenization.py --kinds byte-bpe --vocab-size 32768 --megabytes 24

Contestants run in one process, in turn, one text after another; before that, their ids are
compared, and what differs is said. Printed are the median of the rounds and their range. rustbpe
and gigatoken take part where they are installed. CPU seconds are those of all threads. (This file
is not called tokenize.py: Python's own module of that name would be hidden by it.)
"""

import argparse
import gzip
import json
import os
import statistics
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken

import tokenizers
from hornbook.tokenizers import TOKENIZERS, train_tokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.patterns import PATTERNS
from hornbook.tokenizers.tokenizer import Tokenizer
from tokenizers import models, pre_tokenizers, trainers

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

Encode = Callable[[Sequence[str]], Sequence[Any]]
DOCUMENT_CHARACTERS = 5000
SPECIAL_SETS = {"wordpiece": "bert", "sentencepiece-bpe": "llama", "sentencepiece-unigram": "llama"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--text", nargs="+", default=[f"code={sysconfig.get_path('stdlib')}"])
    parser.add_argument("--kinds", nargs="+", default=list(TOKENIZERS), choices=list(TOKENIZERS))
    parser.add_argument("--vocab-size", type=int, default=32_768)
    parser.add_argument("--megabytes", type=float, default=8.0, help="of each text")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    texts = {
        name: read(Path(place), int(options.megabytes * 1e6))
        for name, place in (one.split("=", 1) for one in options.text)
    }
    sizes = ", ".join(f"{name} {megabytes(found):.1f} MB" for name, found in texts.items())
    print(f"{sizes}; vocabulary {options.vocab_size}; load {os.getloadavg()[0]:.1f}")
    print_machine(next(iter(texts.values())))
    for kind in options.kinds:
        compare_training(kind, texts, options)
    print()
    for kind in options.kinds:
        compare_encoding(kind, texts, options)
    print_machine(next(iter(texts.values())))


def compare_training(
    kind: str, texts: Mapping[str, Sequence[str]], options: argparse.Namespace
) -> None:
    """Seconds of CPU to train on all texts, ours and the libraries' own trainers."""
    everything = [text for found in texts.values() for text in found]
    contestants: dict[str, Callable[[], Any]] = {
        "hornbook": lambda: trained(kind, everything, options.vocab_size)
    }
    if kind == "byte-bpe":
        contestants["tokenizers"] = lambda: library_bpe(everything, options.vocab_size)
        if find_spec("rustbpe"):
            contestants["rustbpe"] = lambda: rust_bpe(everything, options.vocab_size)
    for name, train in contestants.items():
        began = time.process_time()
        train()
        spent = time.process_time() - began
        speed = megabytes(everything) / spent
        print(f"train   {kind:22s} {name:22s} {spent:7.1f} CPU s {speed:8.1f} MB/s")


def compare_encoding(
    kind: str, texts: Mapping[str, Sequence[str]], options: argparse.Namespace
) -> None:
    """MB a CPU second of each contestant on each text."""
    everything = [text for found in texts.values() for text in found]
    tokenizer = trained(kind, everything, options.vocab_size)
    contestants = encoders(tokenizer)
    for name, found in texts.items():
        expected = [np.asarray(ids) for ids in tokenizer.encode_batch(found)]
        seconds: dict[str, list[float]] = {one: [] for one in contestants}
        differ = {
            one: sum(
                not np.array_equal(ours, np.asarray(theirs))
                for ours, theirs in zip(expected, encode(found), strict=True)
            )
            for one, encode in contestants.items()
        }
        for _ in range(options.rounds):
            for one, encode in contestants.items():
                began = time.process_time()
                encode(found)
                seconds[one].append(time.process_time() - began)
        for one, spent in seconds.items():
            speeds = [megabytes(found) / second for second in spent]
            note = f"  {differ[one]} of {len(found)} texts differ" if differ[one] else ""
            print(
                f"encode  {kind:22s} {one:30s} {name:6s} {statistics.median(speeds):8.1f} MB/s "
                f"[{min(speeds):.1f}, {max(speeds):.1f}]{note}",
                flush=True,
            )


def encoders(tokenizer: Tokenizer) -> dict[str, Encode]:
    """What encodes as this tokenizer does: our doors, and the libraries'."""
    found: dict[str, Encode] = {
        "hornbook encode": lambda texts: [tokenizer.encode(text) for text in texts],
        "hornbook encode_batch": tokenizer.encode_batch,
    }
    library = tokenizers.Tokenizer.from_str(json.dumps(tokenizer.definition()))
    library.encode_special_tokens = True
    found["tokenizers encode"] = lambda texts: [
        library.encode(text, add_special_tokens=False).ids for text in texts
    ]
    found["tokenizers encode_batch_fast"] = lambda texts: [
        one.ids for one in library.encode_batch_fast(list(texts), add_special_tokens=False)
    ]
    if isinstance(tokenizer, ByteBPE):
        fast = tiktoken.Encoding(
            "peer",
            pat_str=tokenizer.pattern,
            mergeable_ranks=tokenizer.tokens,
            special_tokens={},
        )
        found["tiktoken encode_ordinary"] = lambda texts: [
            fast.encode_ordinary(text) for text in texts
        ]
        found["tiktoken encode_to_numpy"] = lambda texts: [
            fast.encode_to_numpy(text, disallowed_special=()) for text in texts
        ]
    if tokenizer.kind.startswith("sentencepiece"):
        import tempfile

        import sentencepiece

        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save(folder)
            model = sentencepiece.SentencePieceProcessor(
                model_proto=(Path(folder) / "tokenizer.model").read_bytes()
            )
        found["sentencepiece"] = lambda texts: [model.encode(text) for text in texts]
    return found


def trained(kind: str, texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """A tokenizer of a kind; of bytes and characters there are only so many."""
    specials = SPECIAL_SETS.get(kind, "chat")
    if kind == "byte":
        vocab_size = 260
    if kind == "character":
        vocab_size = min(vocab_size, len(set("".join(texts))) + 256 + 4)
    return train_tokenizer(kind, texts, vocab_size, special_tokens=specials)


def library_bpe(texts: Sequence[str], vocab_size: int) -> Any:
    """Byte-level BPE by the `tokenizers` library alone."""
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(PATTERNS["cl100k"]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(texts, trainer)
    return library


def rust_bpe(texts: Sequence[str], vocab_size: int) -> Any:
    """Byte-level BPE by rustbpe."""
    import rustbpe

    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(texts), vocab_size, pattern=PATTERNS["cl100k"])
    return trainer


def read(place: Path, limit: int) -> list[str]:
    """Documents of some thousand characters from a file or folder, up to a limit of bytes."""
    files = [place] if place.is_file() else sorted(place.rglob("*"))
    documents: list[str] = []
    size = 0
    for file in files:
        if file.suffix not in (".txt", ".py", ".md", ".rst", ".gz", ".json") or size >= limit:
            continue
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        if file.suffixes[-2:] == [".json", ".gz"]:
            data = json.dumps(json.loads(data), ensure_ascii=False).encode()
        text = data[: limit - size].decode("utf-8", "ignore")
        size += len(data)
        documents += [
            text[start : start + DOCUMENT_CHARACTERS]
            for start in range(0, len(text), DOCUMENT_CHARACTERS)
        ]
    return documents


def megabytes(texts: Sequence[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def print_machine(texts: Sequence[str]) -> None:
    """What one core does now: a plain byte loop in C over the first text."""
    data = "".join(texts).encode()
    began = time.process_time()
    for _ in range(20):
        data.count(b"e")
    spent = time.process_time() - began
    print(
        f"one core counts a letter at {20 * len(data) / spent / 1e9:.2f} GB/s; "
        f"load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
