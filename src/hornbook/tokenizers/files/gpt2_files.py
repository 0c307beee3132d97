"""GPT-2's two files: vocab.json, token to id, and merges.txt, one pair a line in order.

They hold neither the cut, which is GPT-2's, nor which tokens are special: a name like
`<|endoftext|>` that no merge makes is. What they cannot hold is refused rather than lost. GPT-1 has
two files of the same names, whose merges end words with `</w>` and know no `Ġ`; so has the
CharBPETokenizer of the `tokenizers` library, whose tokens may have capitals.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from hornbook.errors import TokenizerError
from hornbook.runs.atomic import write_text
from hornbook.tokenizers.byte_map import to_printable
from hornbook.tokenizers.files.config_beside import config_beside
from hornbook.tokenizers.files.definition import OtherPipeline, check_parts
from hornbook.tokenizers.files.json_file import read_json, read_text
from hornbook.tokenizers.kinds.byte_bpe import ByteBPE
from hornbook.tokenizers.kinds.patterns import PATTERNS
from hornbook.tokenizers.special import END_OF_TEXT
from hornbook.tokenizers.tokenizer import Tokenizer

VOCABULARY = "vocab.json"
MERGES = "merges.txt"
VERSION = "#version: 0.2"
"""First line of merges.txt; later lines that begin so are merges."""


def open_pair(path: Path) -> Tokenizer:
    """The tokenizer in the two files, of which `path` is either.

    Raises TokenizerError where one is missing, torn, they contradict each other, or the
    configuration beside them says another cut.
    """
    folder = path.parent
    vocabulary = read_json(folder / VOCABULARY)
    merges = _read_merges(folder / MERGES)
    name = f"{folder / VOCABULARY} (or {MERGES} beside it)"
    if "Ġ" not in vocabulary and any(right.endswith("</w>") for _, right in merges):
        from hornbook.tokenizers.kinds.word_bpe import from_pair  # only for GPT-1

        config = config_beside(path, "GPT-1")
        cased = not config.get("tokenizer_class") and _has_capitals(vocabulary)
        return from_pair(vocabulary, merges, name, config.get("do_lower_case", not cased))
    config_beside(path, "GPT-2")
    made = {"".join(pair) for pair in merges}
    specials = {
        token: number
        for token, number in vocabulary.items()
        if _looks_special(token) and token not in made
    }
    ordinary = {token: number for token, number in vocabulary.items() if token not in specials}
    try:
        parts = check_parts(ordinary, merges, PATTERNS["gpt2"], specials, name)
    except OtherPipeline as error:
        raise TokenizerError(
            f"{str(error).removesuffix('.')}, which Hornbook opens from a tokenizer.json only: "
            "save the tokenizer as one (transformers' save_pretrained does)."
        ) from None
    return ByteBPE(parts.tokens, parts.merges, parts.pattern, parts.special_tokens, END_OF_TEXT)


def save_pair(tokenizer: ByteBPE, directory: str | Path) -> None:
    """Write both files into a directory, in the form that GPT-2's own have.

    Raises TokenizerError where the files would give other ids: another cut, tokens that no merge
    makes, special tokens that no reader takes for such.
    """
    vocabulary = {to_printable(token): number for token, number in tokenizer.tokens.items()}
    made = {left + right for left, right in tokenizer.merges}
    lost = {
        "a cut other than GPT-2's": tokenizer.pattern != PATTERNS["gpt2"],
        "tokens that no merge makes": any(
            len(token) > 1 and token not in made for token in tokenizer.tokens
        ),
        "special tokens whose names are not like <|this|>": any(
            not _looks_special(name) or name in vocabulary for name in tokenizer.special_tokens
        ),
        f"another end of text than {END_OF_TEXT}": tokenizer.end_of_text_name != END_OF_TEXT,
    }
    for what, there in lost.items():
        if there:
            raise TokenizerError(
                f"GPT-2's two files cannot hold {what}, which this tokenizer has: save it with "
                'layout="folder" or "tiktoken".'
            )
    everything = {**vocabulary, **tokenizer.special_tokens}
    ordered = dict(sorted(everything.items(), key=lambda item: item[1]))
    merges = [f"{to_printable(left)} {to_printable(right)}" for left, right in tokenizer.merges]
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / VOCABULARY, json.dumps(ordered))
    write_text(folder / MERGES, "\n".join([VERSION, *merges, ""]))


def _read_merges(path: Path) -> list[list[str]]:
    """The pairs; only the first line may be a comment, for a merge may begin with a sharp too."""
    first, *rest = read_text(path).split("\n")
    lines = rest if first.startswith("#version") else [first, *rest]
    if lines.pop() != "":
        raise TokenizerError(
            f"{path} is damaged: its last line does not end, so part of it is lost; fetch it again."
        )
    merges = [line.split(" ") for line in lines]
    torn = [" ".join(pair) for pair in merges if len(pair) != 2]
    if torn:
        raise TokenizerError(f"{path} is damaged: the line {torn[0]!r} is no pair; fetch it again.")
    return merges


def _has_capitals(vocabulary: Mapping[str, object]) -> bool:
    """Whether text kept its case: GPT-1 lowers it, and then no token with a capital is met."""
    return any(token != token.lower() for token in vocabulary)


def _looks_special(token: str) -> bool:
    return len(token) > 2 and token[0] + token[-1] == "<>"
