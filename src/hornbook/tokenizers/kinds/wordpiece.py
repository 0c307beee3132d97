"""WordPiece, as BERT has it: the longest known piece first, `##` before what continues a word.

Text is cleaned and cut into words (`word_merges.py`: control characters go, ideographs and
punctuation stand alone, `lowercase` drops case and accents). A word is covered from the left by the
longest pieces there are; where one step fails, or the word is longer than MAX_CHARACTERS, the whole
word is `[UNK]`. Training picks pieces as byte-pair encoding does (Google's own trainer was never
published).

It equals transformers' BertTokenizer. Google's code differs at rare places: it takes words of up to
200 characters, keeps private-use characters and spaces 256 more ideographs (U+2B820-U+2B91F).

Ids: the special tokens first, pieces after them: characters, continuing characters, merges.

Sources: Devlin et al. 2019, arXiv:1810.04805, section 3; Schuster & Nakajima 2012; Song et al.
2021, arXiv:2012.15524, algorithm 1 (the longest match first).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hornbook.errors import TokenizerError
from hornbook.runs.atomic import write_text
from hornbook.tokenizers.files.config_beside import config_beside
from hornbook.tokenizers.files.json_file import read_text
from hornbook.tokenizers.kinds.word_merges import CUT, Mark, cleaning, learn
from hornbook.tokenizers.kinds.word_pipeline import (
    WordPipeline,
    pipeline,
    read_pipeline,
    with_specials,
)
from hornbook.tokenizers.special import CHAT, SPECIAL_SETS, part_name, with_unknown

CONTINUES = "##"
MAX_CHARACTERS = 100
CASING = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
"""The options of transformers' BertTokenizer that decide ids, and the normaliser's names."""


class WordPiece(WordPipeline):
    """Pieces of words by longest match."""

    kind = "wordpiece"
    edge_space = "before"

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int = 4096,
        special_tokens: Sequence[str] = CHAT,
        lowercase: bool = False,
    ) -> "WordPiece":
        """Learn pieces from texts; the same in any order of texts and with any threads.

        vocab_size: ids in all; `[UNK]` joins the special tokens where none of them means unknown.
        lowercase: whether case and accents are dropped.

        Raises TokenizerError when the characters do not fit, or the text has too few repeated
        pairs, and says what it supports.
        """
        names = with_unknown(special_tokens, "[UNK]")
        pieces, _ = learn(texts, vocab_size, len(names), Mark(prefix=CONTINUES), lowercase)
        ids, specials = with_specials(pieces, names, first=True)
        return cls.from_definition(_definition(ids, specials, cleaning(lowercase)))

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> "WordPiece":
        """The tokenizer whose `definition` this is; raises TokenizerError where it is damaged."""
        pieces, specials, end = read_pipeline(definition, "WordPiece")
        shown = {number: _shown(piece) for piece, number in pieces.items()}
        return cls(definition, shown, specials, end)

    @property
    def longest_word(self) -> int:
        """Characters; a longer word is unknown."""
        return MAX_CHARACTERS

    def as_written(self) -> Mapping[str, Any]:
        """The definition that the kind itself writes for these tokens and this casing."""
        normalizer = self._definition.get("normalizer") or {}
        casing = {name: normalizer.get(name) for name in CASING.values()}
        vocabulary = self._definition["model"]["vocab"]
        return _definition(vocabulary, self.special_tokens, cleaning(False) | casing)

    def save_vocabulary(self, path: str | Path) -> None:
        """Write BERT's vocab.txt: one piece a line, in the order of ids.

        Raises TokenizerError where `open_vocabulary` would not find this tokenizer in it: the file
        holds neither the casing nor which special tokens there are besides BERT's five.
        """
        ids: dict[str, int] = self._definition["model"]["vocab"]
        if _as_read(ids, {}) != self._definition:
            raise TokenizerError(
                "A vocab.txt cannot hold special tokens besides BERT's, or a casing that its "
                "pieces do not show, which this tokenizer has: save the whole folder instead."
            )
        write_text(Path(path), "".join(f"{piece}\n" for piece in sorted(ids, key=ids.__getitem__)))


def open_vocabulary(path: str | Path) -> WordPiece:
    """The tokenizer of BERT's vocab.txt: a piece a line, its id the number of the line from 0.

    Casing: `do_lower_case` of the tokenizer_config.json beside it; without one, lower case is taken
    where no piece has a capital letter. Lines end at a newline only.

    Raises TokenizerError where the file is no such list: not UTF-8, cut off, a line empty or twice
    there, no [UNK]; or the configuration beside it says another cut than BERT's.
    """
    path = Path(path)
    ids = {piece: number for number, piece in enumerate(_lines(path))}
    if "[UNK]" not in ids:
        raise TokenizerError(
            f"{path} has no [UNK], which WordPiece needs for unknown words: it is no vocab.txt of "
            "BERT's, or its lines end otherwise than by a newline."
        )
    definition = _as_read(ids, _casing_beside(path))
    try:
        return WordPiece.from_definition(definition)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None


def _lines(path: Path) -> list[str]:
    """The file's lines, each checked."""
    *lines, rest = read_text(path, newline="\n").split("\n")
    if rest or not lines:
        raise TokenizerError(
            f"{path} does not end with a newline: it is empty or cut off; fetch it again, or end "
            "it with a newline if it is whole."
        )
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line or line in seen:
            fault = f"repeats {line!r} of line {seen[line]}" if line else "is empty"
            raise TokenizerError(
                f"{path} is damaged: line {number} {fault}, so that the ids after it are in "
                "doubt; fetch it again."
            )
        seen[line] = number
    return lines


def _casing_beside(path: Path) -> dict[str, Any]:
    """The normaliser's options that the configuration beside a vocab.txt sets."""
    config = config_beside(path, "BERT")
    return {ours: config[name] for name, ours in CASING.items() if config.get(name) is not None}


def _as_read(ids: Mapping[str, int], casing: Mapping[str, Any]) -> dict[str, Any]:
    """The definition that a vocab.txt stands for, its casing guessed where nothing says it."""
    specials = {name: ids[name] for name in SPECIAL_SETS["bert"] if name in ids}
    guessed = all(piece == piece.lower() for piece in ids if piece not in specials)
    return _definition(ids, specials, cleaning(guessed) | dict(casing))


def _definition(
    ids: Mapping[str, int], specials: Mapping[str, int], normalizer: Mapping[str, Any]
) -> dict[str, Any]:
    model = {
        "type": "WordPiece",
        "unk_token": part_name("unknown", specials),
        "continuing_subword_prefix": CONTINUES,
        "max_input_chars_per_word": MAX_CHARACTERS,
        "vocab": dict(ids),
    }
    decoder = {"type": "WordPiece", "prefix": CONTINUES, "cleanup": False}
    return pipeline(normalizer, CUT, model, decoder, specials)


def _shown(piece: str) -> bytes:
    """The text a piece stands for: a space begins a word."""
    text = piece.removeprefix(CONTINUES)
    return (text if text != piece else f" {piece}").encode()
