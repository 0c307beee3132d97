"""Endless runs of whitespace, cut out before a backtracking engine sees them.

tiktoken's engine keeps one step to go back to for each character of `\\s+(?!\\S)`: it slows down on
long runs, and panics near a million characters. How the patterns of PATTERNS cut a run of
whitespace can be said without an engine. All look forward only, so what stands before a cut never
changes what comes after it:

    gpt2            all but the last character is one piece; the last goes with what follows
    cl100k, digits  line ends right after a sign belong to the sign's piece; then everything up to
                    the last line end is one piece; then as gpt2

At the end of the text nothing follows, and the last character stays in the run.
"""

import re
from collections.abc import Iterator

from hornbook.tokenizers.kinds.byte_parts import SIGN, class_of
from hornbook.tokenizers.kinds.in_parts import PART

LONGEST_RUN = PART
"""Whitespace characters in a row that are left to the engine."""

WHITESPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What `\\s` is to the engines; Python's own also counts U+001C to U+001F."""

_RUN = re.compile(f"[{WHITESPACE}]{{{LONGEST_RUN},}}")
_LINE_ENDS = re.compile(r"[\r\n]*")  # the first match is where one looks, if empty


def may_hold_endless_space(text: str) -> bool:
    """False where no run reaches twice LONGEST_RUN.

    Such a run covers a whole window of LONGEST_RUN characters, so looking at windows is enough;
    and a window is left at its first other character.
    """
    return any(
        text[start : start + LONGEST_RUN].isspace() for start in range(0, len(text), LONGEST_RUN)
    )


def cut_endless_space(text: str, lines_apart: bool) -> Iterator[tuple[str, bool]]:
    """The text in parts: (part, whether it is one whole piece; else it is still to be cut).

    lines_apart: as cl100k and digits have it; False as gpt2.
    """
    place = 0
    for run in _RUN.finditer(text):
        start, end = run.span()
        if lines_apart and start > 0 and class_of(text[start - 1]) == SIGN:
            start = next(_LINE_ENDS.finditer(text, start)).end()
        yield text[place:start], False
        if lines_apart:
            place = 1 + max(text.rfind("\n", start, end), text.rfind("\r", start, end), start - 1)
            yield text[start:place], True
            start = place
        place = max(start, end if end == len(text) else end - 1)
        yield text[start:place], True
    yield text[place:], False
