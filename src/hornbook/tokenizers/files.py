"""Open a tokenizer from whatever holds one.

a folder with tokenizer.json (ours, or any byte-level BPE of the Hugging Face kind)
a run directory, whose tokenizer/ is such a folder
a bare tokenizer.json
a folder with GPT-2's vocab.json and merges.txt, or either of the two files
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hornbook.errors import TokenizerError
from hornbook.tokenizers.byte import ByteTokenizer
from hornbook.tokenizers.byte_bpe import ByteBPE
from hornbook.tokenizers.definition import Parts, check_parts, read_definition
from hornbook.tokenizers.folder import OWN_CLASS
from hornbook.tokenizers.patterns import PATTERNS
from hornbook.tokenizers.tokenizer import END_OF_TEXT, Tokenizer


def load_tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer that a file or folder holds.

    Raises TokenizerError, naming the file, when nothing is there, a file is damaged, or it holds a
    kind whose ids Hornbook cannot reproduce.
    """
    path = Path(path)
    for folder in (path, path / "tokenizer"):
        if (folder / "tokenizer.json").is_file():
            return _open_json(folder / "tokenizer.json")
        if (folder / "vocab.json").is_file():
            return _open_pair(folder / "vocab.json", folder / "merges.txt")
    if path.name in ("vocab.json", "merges.txt") and path.is_file():
        return _open_pair(path.with_name("vocab.json"), path.with_name("merges.txt"))
    if path.is_file():
        return _open_json(path)
    raise TokenizerError(
        f"No tokenizer at {path}: give a folder with tokenizer.json, such a file, or a folder with "
        "vocab.json and merges.txt."
    )


def _open_json(path: Path) -> Tokenizer:
    definition = _read_json(path)
    config_path = path.with_name("tokenizer_config.json")
    config = _read_json(config_path) if config_path.is_file() else {}
    if OWN_CLASS in config:
        return _open_own(str(config[OWN_CLASS]), definition, config_path)
    try:
        parts = read_definition(definition, str(path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TokenizerError(
            f"{path} is not a tokenizer.json as the tokenizers library writes it ({error!r}): "
            "fetch or save it again."
        ) from None
    return _build(parts, _end_of_text_name(config, parts))


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
    return kind.from_definition(definition)


def _open_pair(vocabulary_path: Path, merges_path: Path) -> Tokenizer:
    """GPT-2's own two files; a name like `<|endoftext|>` that no merge makes is special there."""
    vocabulary = _read_json(vocabulary_path)
    lines = _read_text(merges_path).splitlines()
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    torn = [line for line in merges if len(line) != 2]
    if torn:
        raise TokenizerError(
            f"{merges_path} is damaged: the line {' '.join(torn[0])!r} is no pair; fetch it again."
        )
    made = {"".join(pair) for pair in merges}
    specials = {
        token: number
        for token, number in vocabulary.items()
        if len(token) > 2 and token[0] + token[-1] == "<>" and token not in made
    }
    parts = check_parts(
        {token: number for token, number in vocabulary.items() if token not in specials},
        merges,
        PATTERNS["gpt2"],
        specials,
        f"{vocabulary_path} (or {merges_path.name} beside it)",
    )
    return _build(parts, END_OF_TEXT)


def _build(parts: Parts, end_of_text_name: str) -> Tokenizer:
    plain_bytes = {bytes([byte]): byte for byte in range(256)}
    if not parts.pattern and parts.tokens == plain_bytes:
        return ByteTokenizer(parts.special_tokens, end_of_text_name)
    return ByteBPE(
        parts.tokens, parts.merges, parts.pattern, parts.special_tokens, end_of_text_name
    )


def _end_of_text_name(config: Mapping[str, Any], parts: Parts) -> str:
    """The reserved name where it exists, else what the configuration beside calls `eos_token`."""
    if END_OF_TEXT in parts.special_tokens or not config:
        return END_OF_TEXT
    named = config.get("eos_token") or ""
    return str(named.get("content", "")) if isinstance(named, dict) else str(named)


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise TokenizerError(
            f"{path} is not whole JSON ({error}): it is torn or damaged; fetch or save it again."
        ) from None
    if not isinstance(value, dict):
        raise TokenizerError(f"{path} holds no JSON object: it is not a tokenizer file.")
    return value


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TokenizerError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise TokenizerError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): it is damaged; "
            "fetch or save it again."
        ) from None
