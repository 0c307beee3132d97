"""`tokenizer.json` of byte-level BPE: what we write there, and what we understand of it.

The format belongs to the `tokenizers` library and holds a whole pipeline. We read the pipelines
whose ids we reproduce exactly (no normaliser, a cut by regular expression, bytes, merges, special
tokens) and refuse the rest by name, rather than give ids that are nearly right; what is whole but
another pipeline than this is refused as `OtherPipeline`, and left to `pipeline.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

from hornbook.errors import TokenizerError
from hornbook.tokenizers.byte_map import BYTE_ORDER, from_printable, to_printable
from hornbook.tokenizers.files.recipes import Merge, beyond_merges, recover_merges
from hornbook.tokenizers.kinds.patterns import PATTERNS

LARGEST_ID = 10_000_000
"""No vocabulary comes near; an id beyond it is damage, and would take memory for every id below."""


class OtherPipeline(TokenizerError):
    """A definition that is no plain byte-level BPE, though perhaps a whole one."""


@dataclass(frozen=True)
class Parts:
    """What a `tokenizer.json` says: bytes to id, merges in order, the cut ("" = none), specials."""

    tokens: Mapping[bytes, int]
    merges: Sequence[Merge]
    pattern: str
    special_tokens: Mapping[str, int]


def bpe_definition(
    tokens: Mapping[bytes, int],
    merges: Sequence[Merge],
    pattern: str,
    special_tokens: Mapping[str, int],
) -> dict[str, Any]:
    """The content of `tokenizer.json`; an empty pattern makes no cut."""
    to_bytes = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    steps = {"type": "Sequence", "pretokenizers": [cut, to_bytes]}
    vocabulary = {to_printable(token): number for token, number in tokens.items()}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(special_tokens),
        "normalizer": None,
        "pre_tokenizer": steps if pattern else to_bytes,
        "post_processor": None,
        "decoder": to_bytes,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": _unreachable(tokens, merges),
            # Special tokens stand here too, so that their ids hold even where they leave gaps.
            "vocab": dict(
                sorted({**vocabulary, **special_tokens}.items(), key=lambda item: item[1])
            ),
            "merges": [[to_printable(left), to_printable(right)] for left, right in merges],
        },
    }


def added_tokens(special_tokens: Mapping[str, int]) -> list[dict[str, Any]]:
    """The special tokens as a `tokenizer.json` lists them, in the order of their ids."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    ordered = sorted(special_tokens.items(), key=lambda item: item[1])
    return [{"id": number, "content": name, **plain, "special": True} for name, number in ordered]


def read_definition(definition: Mapping[str, Any], name: str) -> Parts:
    """The parts of a `tokenizer.json`; `name` is how messages call the file.

    Raises OtherPipeline for one that is not plain byte-level BPE, TokenizerError for one that
    contradicts itself.
    """
    _require_plain(definition, name)
    model = definition["model"]
    specials = _special_tokens(definition.get("added_tokens") or [], name)
    vocabulary = {
        token: number for token, number in model["vocab"].items() if token not in specials
    }
    merges = [
        tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]
    ]
    pattern = _pattern(definition.get("pre_tokenizer"), name)
    whole_words = bool(model.get("ignore_merges"))
    return check_parts(vocabulary, merges, pattern, specials, name, whole_words)


def check_parts(
    vocabulary: Mapping[str, int],
    merges: Sequence[Sequence[str]],
    pattern: str,
    special_tokens: Mapping[str, int],
    name: str,
    whole_words: bool = False,
) -> Parts:
    """Parts from a vocabulary and merges in GPT-2's printable alphabet.

    Held to what makes "lowest id first" the same as "first merge first": every byte has an id,
    each merge joins two known tokens into a third, ids rise with the merges, each merge is the one
    that merging finds, and one makes every token, unless whole words are looked up before merging
    (`ignore_merges`).

    Raises OtherPipeline where only this does not hold, TokenizerError for damage.
    """
    try:
        tokens = {from_printable(token): index(number) for token, number in vocabulary.items()}
        pairs = [(from_printable(left), from_printable(right)) for left, right in merges]
        joined = [tokens[left + right] for left, right in pairs]
    except (KeyError, TypeError, ValueError) as error:
        raise TokenizerError(
            f"{name} is not a byte-level BPE, or is damaged: {error} does not fit its vocabulary."
        ) from None
    strangers = [part for pair in pairs for part in pair if part not in tokens]
    missing = [byte for byte in BYTE_ORDER if byte not in tokens]
    numbers = [*tokens.values(), *special_tokens.values()]
    damage = {
        f"merges {strangers[:1]}, which is not in its vocabulary": bool(strangers),
        f"has no token for {len(missing)} of the 256 bytes": bool(missing),
        "gives two tokens one id": len(set(numbers)) < len(numbers),
        "gives an id below 0 or beyond 10 million": not all(
            0 <= number <= LARGEST_ID for number in numbers
        ),
    }
    for fault, found in damage.items():
        if found:
            raise TokenizerError(f"{name} {fault}: it is damaged, or no byte-level BPE.")
    others = {
        "lists merges in another order than its ids": joined != sorted(set(joined)),
        "has tokens that no merge makes": not whole_words and _unreachable(tokens, pairs),
        "gives tokens lower ids than their parts": bool(beyond_merges(tokens, pairs)),
    }
    for fault, found in others.items():
        if found:
            raise OtherPipeline(f"{name} {fault}.")
    if recover_merges(tokens) != pairs:
        raise OtherPipeline(f"{name} lists merges that merging by its ids never meets.")
    return Parts(tokens, pairs, pattern, special_tokens)


def _unreachable(tokens: Mapping[bytes, int], merges: Sequence[Merge]) -> bool:
    """Whether a token of several bytes is no merge's result, so that only a whole word gives it."""
    made = {left + right for left, right in merges}
    return any(len(token) > 1 and token not in made for token in tokens)


def _require_plain(definition: Mapping[str, Any], name: str) -> None:
    model = definition.get("model") or {}
    if not isinstance(model.get("vocab"), dict) or not isinstance(model.get("merges"), list):
        raise OtherPipeline(
            f"{name} holds a tokenizer of type {model.get('type', 'unknown')!r}: Hornbook opens "
            "byte-level BPE (GPT-2's kind)."
        )
    normalizer = (definition.get("normalizer") or {}).get("type")
    extras = {
        f"the normaliser {normalizer}": normalizer is not None,
        "merges left out at random (dropout)": bool(model.get("dropout")),
        "characters instead of bytes (byte_fallback)": bool(model.get("byte_fallback")),
        "marks inside words": bool(
            model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
        ),
    }
    for extra, present in extras.items():
        if present:
            raise OtherPipeline(f"{name} uses {extra}, which Hornbook does not reproduce.")


def _special_tokens(added: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    plain = [token["content"] for token in added if not token.get("special")]
    if plain:
        raise OtherPipeline(
            f"{name} adds tokens to ordinary text ({plain[0]!r} and {len(plain) - 1} more), which "
            "Hornbook does not reproduce."
        )
    return {token["content"]: index(token["id"]) for token in added}


def _pattern(steps: Mapping[str, Any] | None, name: str) -> str:
    """The regular expression of the cut; "" where there is none."""
    listed = steps.get("pretokenizers", [steps]) if steps else []
    kinds = [step.get("type") for step in listed]
    if kinds == ["Split", "ByteLevel"] and not listed[1].get("use_regex", True):
        cut = listed[0]
        expression = cut.get("pattern", {}).get("Regex")
        plain_cut = cut.get("behavior") == "Isolated" and not cut.get("invert")
        if expression and plain_cut and not listed[1].get("add_prefix_space"):
            return str(expression)
    if kinds == ["ByteLevel"] and not listed[0].get("add_prefix_space"):
        return PATTERNS["gpt2"] if listed[0].get("use_regex", True) else ""
    raise OtherPipeline(
        f"{name} cuts text into words by {kinds or 'nothing'}, which Hornbook does not reproduce: "
        "it opens a Split by regular expression followed by ByteLevel."
    )
