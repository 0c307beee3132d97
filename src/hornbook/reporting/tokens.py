"""Tokens as people see them: blanks and line ends made visible, stray bytes in hexadecimal.

A blank is `·`, a line end `⏎` (with the line end itself, so that text keeps its lines), a tab `→`,
other white space, control characters and bytes that form no character `<E4>`.
"""

import codecs
import re
from collections.abc import Sequence

import click

from hornbook.tokenizers.tokenizer import Tokenizer

SIGNS = {" ": "·", "\t": "→", "\n": "⏎"}
BACKGROUNDS = (236, 240)
"""Colours of 256 that tokens have in turn; both dark, the text on them white."""
FOREGROUND, SPECIAL = 255, 90

SEPARATOR = "│"
_HIDDEN = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\xad\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800"
    r"\u3164\ufeff\uffa0]"
)
"""White space, and what else has no ink: controls, the soft hyphen, fillers, marks of direction."""


def _as_numbers(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"<{byte:02X}>" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("hornbook.numbers", _as_numbers)


def visible(token: bytes) -> str:
    """The token in one line of printable characters."""
    text = token.decode("utf-8", "hornbook.numbers")
    return _HIDDEN.sub(_sign, text)


def _sign(found: re.Match[str]) -> str:
    character = found[0]
    numbers = "".join(f"<{byte:02X}>" for byte in character.encode("utf-8"))
    return SIGNS.get(character, numbers)


def shown_tokens(tokenizer: Tokenizer, ids: Sequence[int], colour: bool) -> str:
    """The tokens one after another: on two backgrounds in turn, or with separators between.

    Special tokens stand out: in another colour, or in ⟦ and ⟧. A line ends after the token that
    ends it.
    """
    special = set(tokenizer.special_tokens.values())
    parts = []
    for place, number in enumerate(ids):
        token = tokenizer.token_bytes(number)
        name, is_special = visible(token), number in special
        if colour:
            background = SPECIAL if is_special else BACKGROUNDS[place % 2]
            parts.append(click.style(name, fg=FOREGROUND, bg=background, bold=is_special or None))
        else:
            parts.append(f"⟦{name}⟧" if is_special else name)
        last = place + 1 == len(ids)
        parts.append("\n" if token.endswith(b"\n") else "" if colour or last else SEPARATOR)
    return "".join(parts)
