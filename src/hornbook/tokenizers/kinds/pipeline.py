"""Anyone's `tokenizer.json`, run by the `tokenizers` library as it stands.

BERT's WordPiece, T5's Unigram, LLaMA's BPE with byte fallback, RoBERTa's leading space, Llama 3's
added tokens: what `byte_bpe.py` does not reproduce is opened here. Nothing is trained, so the kind
is in no recipe's table. What a file asks for besides ids is left out: `encode` adds no [CLS], cuts
nothing off, fills nothing up, and text that looks like a special token stays text.

How ids look as text follows the file's decoder (`files/decoders.py`), without its tidying of spaces
before punctuation.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

import tokenizers
from hornbook.errors import TokenizerError
from hornbook.tokenizers.byte_map import BYTE_TO_CHARACTER
from hornbook.tokenizers.files.decoders import Decoder, read_decoder
from hornbook.tokenizers.files.definition import LARGEST_ID
from hornbook.tokenizers.kinds.library import LibraryTokenizer
from hornbook.tokenizers.special import END_OF_TEXT

SPACE_SIGN = "\u2581"

NO_IDS = ("version", "truncation", "padding", "post_processor", "decoder")
"""Parts of a `tokenizer.json` that decide no id of `encode`."""


class Pipeline(LibraryTokenizer):
    """A pipeline of anyone's.

    definition: the content of a `tokenizer.json`.
    vocabulary: token to id, of the model and added; special_tokens: those of them that are special.
    decoder: how tokens look as text.
    """

    kind = "pipeline"

    def __init__(
        self,
        definition: Mapping[str, Any],
        vocabulary: Mapping[str, int],
        special_tokens: Mapping[str, int],
        decoder: Decoder,
        end_of_text_name: str = END_OF_TEXT,
    ) -> None:
        ordinary = {
            number: decoder.shown(token)
            for token, number in vocabulary.items()
            if token not in special_tokens
        }
        super().__init__(definition, ordinary, special_tokens, end_of_text_name)
        for name, number in special_tokens.items():
            self._shown[number] = decoder.shown(name)
        self._first = {number: decoder.first(token) for token, number in vocabulary.items()}
        self.edge_space = decoder.edge_space
        self.lossless = _keeps_every_byte(definition, vocabulary, decoder)

    def decode_bytes(self, ids: Sequence[int] | Int[ndarray, " tokens"]) -> bytes:
        """The bytes behind the ids of a whole text; the first token may look different there."""
        numbers = np.asarray(ids, dtype=np.int64).reshape(-1)
        rest = self._joined(numbers)
        if not len(numbers):
            return rest
        first = int(numbers[0])
        shown = self._first.get(first, b"") + rest[len(self._shown[first]) :]
        return shown.removesuffix(b" ") if self.edge_space == "after" else shown

    def byte_count(self, ids: Int[ndarray, " tokens"]) -> int:
        """How many bytes of text the ids of one whole text stand for."""
        if self.edge_space != "before" or not len(ids) or not self.byte_lengths[ids[0]]:
            return super().byte_count(ids)
        rest = int(self.byte_lengths[ids[1:]].sum(dtype=np.int64))
        return len(self._first[int(ids[0])]) + rest

    def name_of(self, part: str) -> str:
        """The special token that plays a part of PARTS; empty where none does."""
        own = _unknown_name(self._definition["model"]) if part == "unknown" else None
        return own if own and own in self.special_tokens else super().name_of(part)

    def identity(self) -> dict[str, Any]:
        """The pipeline, but for the parts that decide no id."""
        return {"definition": {k: v for k, v in self._definition.items() if k not in NO_IDS}}

    def normalize(self, text: str) -> str:
        """The text after the pipeline's normaliser, but for the signs it writes for spaces."""
        return str(self._normalizer.normalize_str(text)) if self._normalizer else text

    @cached_property
    def _normalizer(self) -> Any:
        """The normaliser, less the steps that only write spaces as signs."""
        steps = [step for step in _steps(self._definition, "normalizer") if not _marks(step)]
        definition = {**self._definition, "normalizer": {"type": "Sequence", "normalizers": steps}}
        return tokenizers.Tokenizer.from_str(json.dumps(definition)).normalizer if steps else None

    @cached_property
    def _library(self) -> Any:
        """The library's pipeline, with names for special tokens that no text can hold.

        Some models have special tokens among their pieces, where text would find them.
        """
        library = tokenizers.Tokenizer.from_str(json.dumps(self._with_hidden_names()))
        library.encode_special_tokens = True
        return library

    def __getstate__(self) -> dict[str, Any]:
        kept = super().__getstate__()
        return {name: value for name, value in kept.items() if name != "_normalizer"}

    def _with_hidden_names(self) -> dict[str, Any]:
        secret = secrets.token_hex(16)
        model = dict(self._definition["model"])
        # Merges find no whole name, but for one that they make; then it has to stay.
        kept = _unknown_name(model) if model.get("type") == "BPE" else None
        hidden = {name: f"{name}{secret}" for name in self.special_tokens if name != kept}
        if "unk_token" in model:
            model["unk_token"] = hidden.get(model["unk_token"], model["unk_token"])
        vocabulary = model["vocab"]
        if isinstance(vocabulary, Mapping):
            model["vocab"] = {hidden.get(name, name): number for name, number in vocabulary.items()}
        else:
            model["vocab"] = [[hidden.get(name, name), score] for name, score in vocabulary]
        added = [
            {**token, "content": hidden.get(token["content"], token["content"])}
            for token in self._definition.get("added_tokens") or []
        ]
        return {**self._definition, "model": model, "added_tokens": added}


def open_pipeline(
    definition: Mapping[str, Any], name: str, config: Mapping[str, Any]
) -> "Pipeline":
    """The pipeline of a `tokenizer.json`; `name` is how messages call the file.

    config: the content of the tokenizer_config.json beside it; its eos_token ends a text.

    Raises TokenizerError where the library refuses the definition, its decoder is not known here,
    or it leaves ids to chance.
    """
    plain = {**definition, "truncation": None, "padding": None}
    try:
        library = tokenizers.Tokenizer.from_str(json.dumps(plain))
    except BaseException as error:  # the library raises nothing narrower, and panics at some files
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise TokenizerError(
            f"{name} is no tokenizer.json that the tokenizers library reads ({error}): it is "
            "damaged, or of a newer version; fetch or save it again."
        ) from None
    model = definition["model"]
    if model.get("dropout"):
        raise TokenizerError(
            f"{name} leaves merges out at random (dropout {model['dropout']}): set it to null."
        )
    listed = model["vocab"]
    pieces = (
        dict(listed) if isinstance(listed, dict) else {row[0]: n for n, row in enumerate(listed)}
    )
    added = definition.get("added_tokens") or []
    vocabulary = {**pieces, **{token["content"]: int(token["id"]) for token in added}}
    numbers = set(vocabulary.values())
    if (
        not numbers
        or len(pieces) < len(listed)
        or len(numbers) < len(vocabulary)
        or max(numbers) > LARGEST_ID
    ):
        raise TokenizerError(
            f"{name} has no tokens, gives two of them one id, one of them two, or an id beyond 10 "
            "million: it is damaged; fetch or save it again."
        )
    renumbered = [token for token in added if library.token_to_id(token["content"]) != token["id"]]
    if renumbered:
        content, number = renumbered[0]["content"], renumbered[0]["id"]
        raise TokenizerError(
            f"{name} adds the token {content!r} with the id {number}, which the tokenizers library "
            f"reads as {library.token_to_id(content)}: its ids have gaps, or it was edited; save "
            "it again with the library that it comes from."
        )
    special = {token["content"] for token in added if token.get("special")}
    unknown = _unknown_name(model)
    specials = {
        token: number for token, number in vocabulary.items() if token in special | {unknown}
    }
    decoder = read_decoder(definition.get("decoder"), name)
    return Pipeline(plain, vocabulary, specials, decoder, end_of_text_name(config, specials))


def end_of_text_name(config: Mapping[str, Any], special_tokens: Mapping[str, int]) -> str:
    """The reserved name where it exists, else what the configuration beside calls `eos_token`."""
    if END_OF_TEXT in special_tokens or not config:
        return END_OF_TEXT
    named = config.get("eos_token") or ""
    return str(named.get("content", "")) if isinstance(named, dict) else str(named)


def _unknown_name(model: Mapping[str, Any]) -> str | None:
    """The token for unknown text."""
    if model.get("type") == "Unigram":
        number = model.get("unk_id")
        return None if number is None else str(model["vocab"][number][0])
    return model.get("unk_token")


def _steps(definition: Mapping[str, Any], part: str) -> list[Mapping[str, Any]]:
    """A part of a pipeline as a flat list of its steps."""
    whole = definition.get(part)
    waiting = [whole] if whole else []
    flat: list[Mapping[str, Any]] = []
    while waiting:
        step = waiting.pop(0)
        inner = step.get("normalizers", step.get("pretokenizers"))
        waiting, flat = (
            ([*inner, *waiting], flat) if inner is not None else (waiting, [*flat, step])
        )
    return flat


def _marks(step: Mapping[str, Any]) -> bool:
    """Whether a normaliser's step only writes spaces as signs."""
    replaced = step.get("type") == "Replace" and step.get("pattern") == {"String": " "}
    added = step.get("type") == "Prepend" and step.get("prepend") == SPACE_SIGN
    return added or (replaced and step.get("content") == SPACE_SIGN)


def _keeps_every_byte(
    definition: Mapping[str, Any], vocabulary: Mapping[str, int], decoder: Decoder
) -> bool:
    """Whether text is sure to come back: bytes throughout, nothing changed, added or swallowed."""
    cuts = _steps(definition, "pre_tokenizer")
    back = definition.get("decoder") or {}
    added = definition.get("added_tokens") or []
    plain = [token for token in added if not token.get("special")]
    return (
        definition.get("normalizer") is None
        and definition["model"].get("type") == "BPE"
        and bool(cuts)
        and cuts[-1].get("type") == "ByteLevel"
        and all(
            not step.get("add_prefix_space") and step.get("behavior") != "Removed" for step in cuts
        )
        and all(step.get("type") in ("ByteLevel", "Split", "Digits") for step in cuts)
        and back.get("type") == "ByteLevel"
        and set(BYTE_TO_CHARACTER.values()) <= vocabulary.keys()
        and not any(token.get("lstrip") or token.get("rstrip") for token in plain)
        and all(decoder.shown(token["content"]) == token["content"].encode() for token in plain)
    )
