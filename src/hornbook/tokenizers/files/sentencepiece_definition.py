"""A SentencePiece model as a `tokenizer.json`, for programs that open only that.

The `tokenizers` library then gives SentencePiece's ids, but for these cases:

- Unigram: SentencePiece adds scores in 32 bits along the whole text, the library in 64, so that
  near ties fall otherwise (models trained here have scores that avoid it, up to some 30,000 tokens
  a text).
- nfkc: the library normalises one grapheme at a time, SentencePiece the longest match, so that
  a base with several marks may come out otherwise.
- User symbols of several characters, in models that put a space before the text: the library puts
  one after each of them too, and finds none that holds a space.
- Unigram, text that spells a reserved piece (`<s>`, `<0x41>`) with a character that has no piece:
  the library takes the reserved piece.
- Pieces marked unused, which SentencePiece takes apart again.
"""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from hornbook.tokenizers.files.definition import added_tokens
from hornbook.tokenizers.files.sentencepiece_model import SPACE, Model, Piece, PieceType


def piece_definition(model: Model, special_tokens: Mapping[str, int]) -> dict[str, Any]:
    """The content of `tokenizer.json` for a SentencePiece model."""
    # Found in the marked text; but where a space goes before it, the mark would get one as well.
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "special": False}
    symbols = [
        {"id": number, "content": piece.text, **plain, "normalized": not model.dummy_prefix}
        for number, piece in enumerate(model.pieces)
        if piece.type == PieceType.USER_DEFINED and len(piece.text) > 1
    ]
    by_type = {"bpe": _bpe, "unigram": _unigram}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(
            [*added_tokens(special_tokens), *symbols], key=lambda token: token["id"]
        ),
        "normalizer": {"type": "Sequence", "normalizers": list(_normalizers(model))},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": list(_decoders(model))},
        "model": by_type[model.type](model),
    }


def _normalizers(model: Model) -> Iterable[dict[str, Any]]:
    """Characters, then spaces: fewer of them, marked, and one before the text."""
    if model.charsmap:
        charsmap = base64.b64encode(model.charsmap).decode("ascii")
        yield {"type": "Precompiled", "precompiled_charsmap": charsmap}
    if model.single_spaces:
        yield _replace({"Regex": rf"\A +|[ {SPACE}]+\z"}, "")
        yield _replace({"Regex": " {2,}"}, " ")
    yield _replace({"String": " "}, SPACE)
    if model.dummy_prefix:
        yield {"type": "Prepend", "prepend": SPACE}


def _decoders(model: Model) -> Iterable[dict[str, Any]]:
    yield _replace({"String": SPACE}, " ")
    if model.byte_fallback:
        yield {"type": "ByteFallback"}
    yield {"type": "Fuse"}
    if model.dummy_prefix:
        yield {"type": "Strip", "content": " ", "start": 1, "stop": 0}


def _replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _bpe(model: Model) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": model.pieces[_unknown(model)].text,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": model.byte_fallback,
        "ignore_merges": False,
        "vocab": {piece.text: number for number, piece in enumerate(model.pieces)},
        "merges": _merges(model),
    }


def _merges(model: Model) -> list[list[str]]:
    """Every way to make a piece of two others, best score first.

    SentencePiece merges whichever neighbours join into the piece of the best score; the library
    merges listed pairs, first listed first.
    """
    joined = (PieceType.NORMAL, PieceType.UNUSED)
    known = {
        piece.text: number for number, piece in enumerate(model.pieces) if piece.type in joined
    }
    merges: list[list[str]] = []
    for piece in sorted(model.pieces, key=lambda piece: -piece.score):
        if piece.text not in known:
            continue
        cuts = [(piece.text[:cut], piece.text[cut:]) for cut in range(1, len(piece.text))]
        pairs = [pair for pair in cuts if pair[0] in known and pair[1] in known]
        pairs.sort(key=lambda pair: (known[pair[0]], known[pair[1]]))
        merges.extend(list(pair) for pair in pairs)
    return merges


def _unigram(model: Model) -> dict[str, Any]:
    """Reserved pieces score less than their characters together, so that text never gives them.

    The library, unlike SentencePiece, looks for them in the text too.
    """
    lowest = min(piece.score for piece in model.pieces if not _stands_apart(piece))
    longest = max(len(piece.text) for piece in model.pieces if _stands_apart(piece))
    apart = min(lowest, -1.0) * (longest + 1)
    return {
        "type": "Unigram",
        "unk_id": _unknown(model),
        "vocab": [
            [piece.text, apart if _stands_apart(piece) else piece.score] for piece in model.pieces
        ],
        "byte_fallback": model.byte_fallback,
    }


def _stands_apart(piece: Piece) -> bool:
    return piece.reserved or piece.type == PieceType.BYTE


def _unknown(model: Model) -> int:
    return [piece.type for piece in model.pieces].index(PieceType.UNKNOWN)
