"""From ids to pieces of text that can be shown at once."""

import codecs
from collections.abc import Iterable, Iterator, Sequence


def pieces(tokens: Iterable[bytes]) -> Iterator[str]:
    """Yield the text of tokens' bytes as it becomes whole.

    Bytes of a character that is not complete yet are held back; bytes that can form none, and what
    is left incomplete at the end, show as U+FFFD. The pieces joined are the decoded text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for token in tokens:
        piece = decoder.decode(token)
        if piece:
            yield piece
    rest = decoder.decode(b"", final=True)
    if rest:
        yield rest


class StopText:
    """Cuts a stream of pieces before the first of some stop strings.

    A string may straddle pieces, so what could be the beginning of one is held back until it is
    decided. `found` tells whether one came.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings = tuple(string for string in strings if string)
        self.found = False

    def cut(self, source: Iterable[str]) -> Iterator[str]:
        """The pieces up to the first stop string, which itself is not shown."""
        held = ""
        for piece in source:
            held += piece
            places = [held.find(string) for string in self.strings]
            if any(place >= 0 for place in places):
                self.found = True
                held = held[: min(place for place in places if place >= 0)]
                break
            sure = len(held) - self._undecided(held)
            if sure:
                yield held[:sure]
            held = held[sure:]
        if held:
            yield held

    def _undecided(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        lengths = (
            length
            for string in self.strings
            for length in range(min(len(string) - 1, len(text)), 0, -1)
            if text.endswith(string[:length])
        )
        return max(lengths, default=0)
