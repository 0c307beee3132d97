"""Byte-pair encoding on words, as GPT-1 has it: merges of characters that stop at a word's end.

The last character of a word carries the mark `</w>`, so that `er` inside a word and `er` at its end
are two tokens; that is how decoding knows where spaces were. Characters without a token are
`<unk>`.

Cut into words: BERT's basic cut (`word_merges.py`), which is what transformers' OpenAIGPTTokenizer
does. The published model was trained on text cleaned by ftfy and cut by spaCy; Hornbook uses
neither, so that on text where they matter (mended encodings, contractions, dashes) ids differ from
those the paper's program gave. They equal transformers'.

Ids of a trained one: characters, characters at an end, merges in the order learned, special tokens.
GPT-1's own 40,478: `<unk>`, 238 characters, the same at an end, 40,000 merges, a newline at an end.

Sources: Sennrich et al. 2016, arXiv:1508.07909; Radford et al. 2018 (GPT-1), section 4.1.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hornbook.errors import TokenizerError
from hornbook.tokenizers.kinds.word_merges import CUT, Mark, cleaning, learn
from hornbook.tokenizers.kinds.word_pipeline import (
    WordPipeline,
    pipeline,
    read_pipeline,
    with_specials,
)
from hornbook.tokenizers.special import CHAT, part_name, with_unknown

END = "</w>"


class WordBPE(WordPipeline):
    """Merges inside words, with the end of each word marked."""

    kind = "bpe"
    edge_space = "after"

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int = 4096,
        special_tokens: Sequence[str] = CHAT,
        lowercase: bool = False,
    ) -> "WordBPE":
        """Learn merges from texts; the same in any order of texts and with any threads.

        vocab_size: ids in all; `<unk>` joins the special tokens where none of them means unknown.
        lowercase: whether case and accents are dropped, as GPT-1 does.

        Raises TokenizerError when the characters do not fit, or the text has too few repeated
        pairs, and says what it supports.
        """
        names = with_unknown(special_tokens)
        tokens, merges = learn(texts, vocab_size, len(names), Mark(suffix=END), lowercase)
        ids, specials = with_specials(tokens, names)
        return cls.from_definition(_definition(ids, merges, specials, lowercase))

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> "WordBPE":
        """The tokenizer whose `definition` this is; raises TokenizerError where it is damaged."""
        vocabulary, specials, end = read_pipeline(definition, "BPE")
        shown = {number: _shown(token) for token, number in vocabulary.items()}
        return cls(definition, shown, specials, end)

    def as_written(self) -> Mapping[str, Any]:
        """The definition that the kind itself writes for these tokens and this casing."""
        model, normalizer = self._definition["model"], self._definition.get("normalizer")
        lowercase = bool((normalizer or {}).get("lowercase"))
        return _definition(model["vocab"], model["merges"], self.special_tokens, lowercase)


def from_pair(
    vocabulary: Mapping[str, int],
    merges: Sequence[Sequence[str]],
    name: str,
    lowercase: bool = True,
) -> WordBPE:
    """GPT-1's own two files: the content of vocab.json, and the pairs of merges.txt.

    name: how messages call the files.
    lowercase: whether case and accents are dropped, as GPT-1 does.

    Raises TokenizerError where a merge joins or makes a token that the vocabulary lacks, or there
    is no `<unk>`.
    """
    pairs = [(left, right) for left, right in merges]
    for left, right in pairs:
        missing = [token for token in (left, right, left + right) if token not in vocabulary]
        if missing:
            raise TokenizerError(
                f"{name} is damaged: the merge {left!r} {right!r} needs {missing[0]!r}, which the "
                "vocabulary lacks; fetch both files again."
            )
    unknown = part_name("unknown", vocabulary)
    specials = {unknown: vocabulary[unknown]} if unknown else {}
    try:
        return WordBPE.from_definition(_definition(vocabulary, pairs, specials, lowercase))
    except TokenizerError as error:
        raise TokenizerError(f"{name}: {error}") from None


def _definition(
    ids: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    specials: Mapping[str, int],
    lowercase: bool,
) -> dict[str, Any]:
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": part_name("unknown", specials) or None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": END,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": dict(ids),
        "merges": [list(pair) for pair in merges],
    }
    decoder = {"type": "BPEDecoder", "suffix": END}
    return pipeline(cleaning(lowercase), CUT, model, decoder, specials)


def _shown(token: str) -> bytes:
    """The text a token stands for: its end mark is a space."""
    text = token.removesuffix(END)
    return (text if text == token else f"{text} ").encode()
