"""Open a tokenizer from whatever holds one.

tokenizer.json               of a kind saved here, any byte-level BPE, or another pipeline of the
                             `tokenizers` library
vocab.json with merges.txt   GPT-2's two files, or GPT-1's (whose merges end words with `</w>`)
vocab.txt                    BERT's pieces, one a line
*.model                      SentencePiece, of type BPE or unigram; Llama 3 calls its ranks so
*.tiktoken                   tiktoken's ranks

A folder may hold any of them (the first of this list that is there is opened), and a run directory
is such a folder by its `tokenizer/`.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from hornbook.errors import TokenizerError
from hornbook.recipe.plugins import find
from hornbook.tokenizers import TOKENIZERS
from hornbook.tokenizers.files.definition import OtherPipeline, Parts, read_definition
from hornbook.tokenizers.files.folder import OWN_CLASS, OWN_KIND, OWN_SEPARATOR
from hornbook.tokenizers.files.json_file import read_json
from hornbook.tokenizers.kinds.byte import ByteTokenizer
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.pipeline import end_of_text_name, open_pipeline
from hornbook.tokenizers.special import Where
from hornbook.tokenizers.tokenizer import Tokenizer

NAMES = ("tokenizer.json", "vocab.json", "*.model", "vocab.txt", "*.tiktoken")
"""The files that a folder may hold its tokenizer in, first choice first."""

RANKS = "*.tiktoken"
OPENERS = {
    "vocab.json": "hornbook.tokenizers.files.gpt2_files:open_pair",
    "merges.txt": "hornbook.tokenizers.files.gpt2_files:open_pair",
    "vocab.txt": "hornbook.tokenizers.kinds.wordpiece:open_vocabulary",
    "*.model": "hornbook.tokenizers.kinds.sentencepiece:open_model",
    RANKS: "hornbook.tokenizers.files.tiktoken_ranks:open_ranks",
}
"""What opens a file by its name; each is imported where there is one."""

RANK_LINE = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n?")
RANK_LINE_BYTES = 1000


def load_tokenizer(
    path: str | Path,
    pattern: str | None = None,
    special_tokens: Mapping[str, int] | Sequence[str] | None = None,
) -> Tokenizer:
    """The tokenizer that a file or folder holds.

    pattern, special_tokens: what a file of ranks does not say (`tiktoken_ranks.open_ranks`); no
    other file takes them.

    Raises TokenizerError, naming the file, when nothing is there, a file is damaged, or it holds a
    pipeline that the `tokenizers` library refuses, or whose ids are left to chance.
    """
    path = Path(path)
    if path.is_file():
        return _open_file(path, pattern, special_tokens)
    for folder in (path, path / "tokenizer"):
        for name in NAMES:
            found = sorted(folder.glob(name))
            if found:
                return _open_file(found[0], pattern, special_tokens)
    raise TokenizerError(
        f"No tokenizer at {path}: give a run, or a folder or file with one of {', '.join(NAMES)}."
    )


def _open_file(
    path: Path,
    pattern: str | None,
    special_tokens: Mapping[str, int] | Sequence[str] | None,
) -> Tokenizer:
    """Open one file by its name; what has no known name is taken for a tokenizer.json."""
    known = next((name for name in OPENERS if path.match(name)), "")
    if known == RANKS or (known == "*.model" and _holds_ranks(path)):
        ranks: Tokenizer = find(RANKS, OPENERS)(path, pattern, special_tokens)
        return ranks
    if pattern is not None or special_tokens is not None:
        raise TokenizerError(
            f"{path} says its own cut and special tokens: leave pattern and special_tokens out, "
            "which are for files of ranks."
        )
    if not known:
        return _open_json(path)
    opened: Tokenizer = find(known, OPENERS)(path)
    return opened


def _holds_ranks(path: Path) -> bool:
    """Whether the file begins as tiktoken's do: bytes in base64, and a number."""
    with path.open("rb") as file:
        return RANK_LINE.fullmatch(file.readline(RANK_LINE_BYTES)) is not None


def _open_json(path: Path) -> Tokenizer:
    definition = read_json(path)
    config_path = path.with_name("tokenizer_config.json")
    config = read_json(config_path) if config_path.is_file() else {}
    separator = config.get(OWN_SEPARATOR, "end")
    if separator not in get_args(Where):
        raise TokenizerError(
            f"{config_path}: {OWN_SEPARATOR} is {separator!r}; known are "
            f"{', '.join(get_args(Where))}."
        )
    tokenizer = _opened(path, definition, config, config_path)
    tokenizer.separator = separator
    return tokenizer


def _opened(
    path: Path,
    definition: Mapping[str, Any],
    config: Mapping[str, Any],
    config_path: Path,
) -> Tokenizer:
    """What a tokenizer.json holds, with the tokenizer_config.json beside it, if there is one."""
    if OWN_CLASS in config:
        return _open_own(str(config[OWN_CLASS]), definition, config_path)
    try:
        if config.get(OWN_KIND) in TOKENIZERS:
            return _own_kind(str(config[OWN_KIND]), path, definition)
        parts = read_definition(definition, str(path))
    except OtherPipeline:
        return open_pipeline(definition, str(path), config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TokenizerError(
            f"{path} is not a tokenizer.json as the tokenizers library writes it ({error!r}): "
            "fetch or save it again."
        ) from None
    return _build(parts, end_of_text_name(config, parts.special_tokens))


def _own_kind(name: str, path: Path, definition: Mapping[str, Any]) -> Tokenizer:
    """A kind of this package; what it finds wrong is said of the file."""
    kind: type[Tokenizer] = find(name, TOKENIZERS)
    try:
        return kind.from_folder(path.parent, definition)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None


def _open_own(name: str, definition: Mapping[str, Any], config_path: Path) -> Tokenizer:
    """A kind of anyone's own, if this process has imported it: a file must not make code run."""
    module, _, thing = name.partition(":")
    kind = getattr(sys.modules.get(module), thing, None)
    if kind is None:
        raise TokenizerError(
            f"{config_path} names the class {name}, which is not of Hornbook; if you trust it, "
            f"import {module} before opening the file, or open the run whose recipe names it."
        )
    if not (isinstance(kind, type) and issubclass(kind, Tokenizer)):
        raise TokenizerError(f"{config_path} names {name} as its class, which is no Tokenizer.")
    try:
        return kind.from_definition(definition)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TokenizerError(
            f"{config_path.with_name('tokenizer.json')} is no definition that {name} opens "
            f"({error!r}): it is damaged, or of another version of that class."
        ) from None


def _build(parts: Parts, end_of_text_name: str) -> Tokenizer:
    plain_bytes = {bytes([byte]): byte for byte in range(256)}
    if not parts.pattern and parts.tokens == plain_bytes:
        return ByteTokenizer(parts.special_tokens, end_of_text_name)
    return ByteBPE(
        parts.tokens, parts.merges, parts.pattern, parts.special_tokens, end_of_text_name
    )
