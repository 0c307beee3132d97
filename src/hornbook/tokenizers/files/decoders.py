"""How the tokens of a foreign pipeline look as text, by the decoder its file names.

A decoder of the `tokenizers` library goes over the tokens of a whole text. Here it is what each
token shows amid a text, and what the first shows, so that lengths and single tokens are known too.
Step by step the two agree; they part only where ids were not made by encoding (a lone byte of a
character is one U+FFFD in the library and may join another here).

Source: `tokenizers/src/decoders` of the library.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hornbook.errors import TokenizerError
from hornbook.tokenizers.byte_map import CHARACTER_TO_BYTE

Show = Callable[[str], bytes]


@dataclass(frozen=True)
class Decoder:
    """What a token shows amid a text, and as the first of one."""

    shown: Show
    first: Show
    edge_space: Literal["", "before", "after"] = ""


def read_decoder(definition: Mapping[str, Any] | None, name: str) -> Decoder:
    """The decoder that a `tokenizer.json` names; `name` is how messages call the file.

    Raises TokenizerError for one that is not known here.
    """
    kind = definition.get("type") if definition else None
    if kind not in READERS:
        raise TokenizerError(
            f"{name} turns ids into text by a decoder {kind!r}, which Hornbook does not reproduce: "
            f"it knows {', '.join(str(known) for known in READERS if known)}."
        )
    return READERS[kind](definition or {}, name)


def _bytes(definition: Mapping[str, Any], name: str) -> Decoder:
    return Decoder(_from_bytes, _from_bytes)


def _from_bytes(token: str) -> bytes:
    """GPT-2's letters for bytes; a token with any other character stands for itself."""
    if all(character in CHARACTER_TO_BYTE for character in token):
        return bytes([CHARACTER_TO_BYTE[character] for character in token])
    return token.encode()


def _continued(definition: Mapping[str, Any], name: str) -> Decoder:
    prefix = str(definition.get("prefix", "##"))

    def shown(token: str) -> bytes:
        text = token.removeprefix(prefix)
        return (text if text != token else f" {token}").encode()

    return Decoder(shown, str.encode, "before")


def _ended(definition: Mapping[str, Any], name: str) -> Decoder:
    suffix = str(definition.get("suffix", "</w>"))

    def shown(token: str) -> bytes:
        return token.replace(suffix, " ").encode()

    return Decoder(shown, shown, "after")


def _signed(definition: Mapping[str, Any], name: str) -> Decoder:
    sign = str(definition.get("replacement", "\u2581"))

    def shown(token: str) -> bytes:
        return token.replace(sign, " ").encode()

    def first(token: str) -> bytes:
        return token.replace(sign, "").encode()

    never = definition.get("prepend_scheme") == "never"
    return Decoder(shown, shown) if never else Decoder(shown, first, "before")


def _words(definition: Mapping[str, Any], name: str) -> Decoder:
    return Decoder(lambda token: f" {token}".encode(), str.encode, "before")


def _sequence(definition: Mapping[str, Any], name: str) -> Decoder:
    """Steps over single tokens, then `Fuse`, then perhaps one space off the front.

    LLaMA's are Replace, ByteFallback, Fuse, Strip.
    """
    steps = list(definition.get("decoders", []))
    kinds = [step.get("type") for step in steps]
    if len(kinds) == 1:
        return read_decoder(steps[0], name)
    strips = kinds[-2:] == ["Fuse", "Strip"]
    if strips and [steps[-1].get(key) for key in ("content", "start", "stop")] != [" ", 1, 0]:
        raise _unknown_steps(kinds, name)
    pairs: list[tuple[str, str]] = []
    from_bytes = False
    for step in steps[: -1 if strips else None]:
        kind, pattern = step.get("type"), step.get("pattern", {})
        if kind == "Replace" and "String" in pattern and not from_bytes:
            pairs.append((pattern["String"], str(step.get("content", ""))))
        elif kind not in ("ByteFallback", "Fuse"):
            raise _unknown_steps(kinds, name)
        from_bytes = from_bytes or kind == "ByteFallback"

    def shown(token: str) -> bytes:
        for old, new in pairs:
            token = token.replace(old, new)
        return _byte_of(token) if from_bytes else token.encode()

    if not strips:
        return Decoder(shown, shown)
    return Decoder(shown, lambda token: shown(token).removeprefix(b" "), "before")


def _byte_of(token: str) -> bytes:
    """`<0x41>` is the byte 41; any other token stands for itself."""
    if len(token) == 6 and token[:3] == "<0x" and token[5] == ">":
        try:
            return bytes.fromhex(token[3:5])
        except ValueError:
            pass
    return token.encode()


def _unknown_steps(kinds: list[Any], name: str) -> TokenizerError:
    return TokenizerError(
        f"{name} turns ids into text by the steps {', '.join(map(str, kinds))}, which Hornbook "
        "does not reproduce."
    )


READERS: Mapping[str | None, Callable[[Mapping[str, Any], str], Decoder]] = {
    "ByteLevel": _bytes,
    "WordPiece": _continued,
    "Metaspace": _signed,
    "BPEDecoder": _ended,
    "Sequence": _sequence,
    None: _words,
}
