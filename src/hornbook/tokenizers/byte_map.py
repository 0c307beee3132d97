"""GPT-2's printable alphabet for bytes, which its file formats use.

The 188 bytes that print (33-126, 161-172, 174-255) stand for themselves; the other 68, ascending,
become U+0100, U+0101, ... (space is `Ġ`, newline `Ċ`). It is a way to write bytes into JSON,
nothing more: inside this package tokens are `bytes`. Its order is also GPT-2's order of the first
256 ids, `!` first. Source: GPT-2's `encoder.py`, `bytes_to_unicode`.
"""

_PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
_HIDDEN = [byte for byte in range(256) if byte not in set(_PRINTABLE)]

BYTE_ORDER = tuple(bytes([byte]) for byte in _PRINTABLE + _HIDDEN)
"""The 256 single bytes in the order of GPT-2's ids 0 to 255."""

BYTE_TO_CHARACTER = {byte: chr(byte) for byte in _PRINTABLE} | {
    byte: chr(256 + index) for index, byte in enumerate(_HIDDEN)
}
CHARACTER_TO_BYTE = {character: byte for byte, character in BYTE_TO_CHARACTER.items()}


def to_printable(token: bytes) -> str:
    """`b" the"` becomes `"Ġthe"`."""
    return "".join([BYTE_TO_CHARACTER[byte] for byte in token])


def from_printable(token: str) -> bytes:
    """`"Ġthe"` becomes `b" the"`; a character outside the alphabet raises KeyError."""
    return bytes([CHARACTER_TO_BYTE[character] for character in token])
