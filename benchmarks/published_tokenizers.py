"""Tokenizers that others have published, opened here and in their own library: the same ids?

    python benchmarks/published_tokenizers.py gpt2/ qwen.tiktoken mistral.model --text novels/

Each TOKENIZER is a file or folder as `hornbook.load_tokenizer` takes it. Texts are cut into
documents of some thousand characters; beside them stand texts that are hard on tokenizers. A line
says on how many of them ids, decoded text and offsets are those of the file's own library
(tokenizers, tiktoken or sentencepiece), and how many texts come back whole.
"""

import argparse
import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import tiktoken

import hornbook
import tokenizers
from hornbook.errors import HornbookError, TokenizerError
from hornbook.tokenizers.kinds.patterns import PATTERNS
from hornbook.tokenizers.tokenizer import Tokenizer
from tokenization import read

HARD = (
    "", " ", "\x00 NUL\x00", "tabs\t\tand\r\nreturns\r", "\x85 \x1c \ufeff", "  a   b \n\n  c\n",
    "😀 👨‍👩‍👧‍👦 🇨🇳 👍🏽", "é e\u0301 o\u0308\u0323 क्षि ไทย 한국어 ｱﾊﾟ", "床前明月光\u3000　Ａ１½²",
    "a<|endoftext|>b </s> [SEP] <0x41> <unk>", "don't DON'T don’t 'ſ", "ΑΣ ΟΔΟΣ", "x = 12345 #\n\t",
    "\U0010ffff\ue000\ufffd", " " * 300 + "x", "a" * 3000, "\n" * 50, "▁ ▁▁", "a" * 101, "1" * 99,
)  # fmt: skip

Encode = Callable[[str], list[int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tokenizers", nargs="+", type=Path)
    parser.add_argument("--text", nargs="+", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=1.0, help="of each text")
    parser.add_argument("--pattern", default="cl100k", help="of files of ranks, which name none")
    options = parser.parse_args()
    texts = [*HARD]
    for place in options.text:
        texts += read(place, int(options.megabytes * 1e6))
    print(f"{len(texts)} texts, {sum(len(text.encode()) for text in texts) / 1e6:.1f} MB")
    for path in options.tokenizers:
        try:
            print(line(path, texts, options.pattern), flush=True)
        except HornbookError as error:
            print(f"{path}: refused: {error}", flush=True)


def line(path: Path, texts: Sequence[str], pattern: str) -> str:
    """One tokenizer's counts."""
    try:
        ours = hornbook.load_tokenizer(path)
    except TokenizerError:  # ranks, which say no cut
        ours = hornbook.load_tokenizer(path, pattern=pattern)
    encode, decode, offsets = original(path, ours, pattern)
    equal = {"ids": 0, "decoded": 0, "offsets": 0, "whole": 0}
    for text in texts:
        ids = ours.encode(text).tolist()
        equal["ids"] += ids == encode(text)
        equal["decoded"] += ours.decode(ids) == decode(ids)
        equal["whole"] += ours.decode(ids) == text
        if offsets:
            equal["offsets"] += ours.offsets(text)[1].tolist() == offsets(text)
    if not offsets:
        equal.pop("offsets")
    said = ", ".join(f"{name} {count}" for name, count in equal.items())
    return f"{path.name:24s} {ours.kind:22s} {ours.vocab_size:7d} ids: {said} of {len(texts)}"


def original(
    path: Path, ours: Tokenizer, pattern: str
) -> tuple[Encode, Callable[[list[int]], str], Callable[[str], Any] | None]:
    """How the file's own library encodes, decodes, and gives offsets where it does."""
    file = path if path.is_file() else next(found for found in sorted(path.iterdir()))
    if (path / "vocab.json").is_file():
        merges = (path / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
        vocabulary = json.loads((path / "vocab.json").read_text(encoding="utf-8"))
        library = tokenizers.Tokenizer(
            tokenizers.models.BPE(vocabulary, [tuple(line.split()) for line in merges])
        )
        library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        library.decoder = tokenizers.decoders.ByteLevel()
        return of_library(library)
    if file.name == "vocab.txt":
        lower = getattr(ours, "lowercase", True)
        return of_library(tokenizers.BertWordPieceTokenizer(str(file), lowercase=lower)._tokenizer)
    if file.suffix == ".json":
        return of_library(tokenizers.Tokenizer.from_file(str(file)))
    data = file.read_bytes()
    if data[:4].isascii() and b" " in data.splitlines()[0]:
        pairs = [row.split() for row in data.splitlines() if row]
        ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
        named = PATTERNS.get(pattern, pattern)
        encoding = tiktoken.Encoding(
            "ranks", pat_str=named, mergeable_ranks=ranks, special_tokens={}
        )
        return encoding.encode_ordinary, encoding.decode, None
    model = sentencepiece.SentencePieceProcessor(model_proto=data)
    return (
        model.encode,
        model.decode,
        lambda text: [
            list(span) for span in model.encode(text, return_type="offset_mapping")["offsets"]
        ],
    )


def of_library(library: Any) -> Any:
    """Encode, decode and offsets of the `tokenizers` library, without added or special tokens."""
    library.encode_special_tokens = True
    return (
        lambda text: library.encode(text, add_special_tokens=False).ids,
        lambda ids: library.decode(ids, skip_special_tokens=False),
        lambda text: [
            list(span) for span in library.encode(text, add_special_tokens=False).offsets
        ],
    )


if __name__ == "__main__":
    main()
