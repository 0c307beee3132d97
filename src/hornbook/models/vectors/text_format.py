r"""word2vec's text format: a line "words d_model", then a line a word, its numbers after spaces.

A word may hold what would break a line: white space, control characters, bytes that form no
character. Each such byte is written `\xNN`, and a backslash `\\`; reading undoes it. Words of
letters, digits and signs stand as they are, so that other programs read the same words. Bytes that
form no character are lone surrogates within a word in memory (Python's "surrogateescape").
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from hornbook.errors import InputError
from hornbook.models.vectors.words import WordVectors
from hornbook.runs.atomic import write_bytes

ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})")
HEADER = "its first line reads WORDS NUMBERS, such as 5000 100"


def save_text(vectors: WordVectors, path: str | Path) -> None:
    """Write the file, each number in the fewest digits that read back as the same float32."""
    lines = [b"%d %d" % vectors.vectors.shape]
    for word, vector in zip(vectors.words, vectors.vectors.astype(np.float32), strict=True):
        lines.append(b" ".join([escaped(word), *(str(number).encode() for number in vector)]))
    write_bytes(path, b"\n".join([*lines, b""]))


def load_text(path: str | Path, escapes: bool = True) -> WordVectors:
    r"""Read a file of ours, of word2vec or of gensim.

    escapes: whether `\\` and `\xNN` in words stand for other bytes; files of other programs that
    hold such words are read with False.

    Raises InputError for a file that is not there or broken, naming the line.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{path} cannot be read ({why}); name a file of word vectors.") from error
    words, width = _header(path, lines[0])
    body = lines[1:-1] if not lines[-1].strip() else lines[1:]
    if len(body) != words:
        raise InputError(
            f"{path} holds {len(body)} words, but its first line says {words}; it is cut or "
            "damaged, so write it again."
        )
    if width > len(body[0]):  # before as much memory is asked for
        raise InputError(
            f"{path} says that its words have {width} numbers each, and line 2 has "
            f"{len(body[0])} bytes in all; it is damaged, so write it again."
        )
    vectors = np.empty((words, width), dtype=np.float32)
    rows: dict[str, int] = {}
    for number, (name, vector) in enumerate(_rows(path, body, width)):
        word = unescaped(name) if escapes else name.decode("utf-8", "surrogateescape")
        if word in rows:
            raise InputError(
                f"{path}, line {number + 2}: the word {word!r} stands on line {rows[word] + 2} "
                "already; remove one, or read a file of another program with escapes=False."
            )
        rows[word] = number
        vectors[number] = vector
    return WordVectors(tuple(rows), vectors)


def escaped(word: str) -> bytes:
    r"""A word as it stands in a file: no white space, and valid UTF-8."""
    return b"".join(map(_escaped, word))


def unescaped(name: bytes) -> str:
    """The word that stands in a file as `name`."""
    if b"\\" in name:
        name = ESCAPE.sub(_byte, name)
    return name.decode("utf-8", "surrogateescape")


def _byte(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return code if code == b"\\" else bytes.fromhex(code[1:].decode())


def _escaped(character: str) -> bytes:
    data = character.encode("utf-8", "surrogateescape")
    if character == "\\":
        return b"\\\\"
    if character.isprintable() and character != " ":
        return data
    return b"".join(b"\\x%02x" % byte for byte in data)


def _header(path: Path, line: bytes) -> tuple[int, int]:
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() for field in fields):
        shown = line[:40].decode("utf-8", "replace")
        raise InputError(f"{path} begins with {shown!r}; {HEADER}.")
    words, width = int(fields[0]), int(fields[1])
    if not words or not width:
        raise InputError(f"{path} says it holds {words} words of {width} numbers; {HEADER}.")
    return words, width


def _rows(
    path: Path, lines: list[bytes], width: int
) -> Iterator[tuple[bytes, Float32[ndarray, " d"]]]:
    """The word and the numbers of each line; word2vec.c ends its lines with a space."""
    for number, line in enumerate(lines, 2):
        name, *fields = line.rstrip().split(b" ")
        if not name:
            raise InputError(f"{path}, line {number}: there is no word; write the file again.")
        if len(fields) != width:
            raise InputError(
                f"{path}, line {number}: {len(fields)} numbers after the word, not {width}; it is "
                "cut or damaged, so write it again."
            )
        try:
            vector = np.array(fields, dtype=np.float32)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}; write the file again.") from error
        if not np.isfinite(vector).all():
            raise InputError(f"{path}, line {number}: a number is not finite; train again.")
        yield name, vector
