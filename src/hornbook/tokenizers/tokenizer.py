"""What every tokenizer can do, and what all kinds share.

A token is a string of bytes with a number. A kind says how text becomes numbers; the way back is
the same for all: look the bytes up and join them. Special tokens have numbers but no bytes of
text: no text encodes to one unless that is asked for, and `decode` shows them by name. (The one
exception is the token for unknown text, in kinds that have one.)

Kinds that mark where words begin or end show the mark as a space: ` word` begins one, `word ` ends
one. The space before a text's first word, or after its last, was never there (`edge_space`).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int, Int32, Int64
from numpy import ndarray

from hornbook.errors import TokenizerError
from hornbook.recipe.fingerprint import fingerprint
from hornbook.tokenizers.files.definition import LARGEST_ID
from hornbook.tokenizers.files.folder import OWN_CLASS, OWN_KIND, OWN_SEPARATOR, write_folder
from hornbook.tokenizers.files.layouts import FOLDER, save_layout
from hornbook.tokenizers.special import END_OF_TEXT, PARTS, Where, part_name, require_names


class Tokenizer(ABC):
    """Text to ids and back.

    tokens: the bytes of each ordinary token by id (no specials).
    special_tokens: name to id, in the order of their ids.
    end_of_text_name: which special ends a document; empty where a foreign file names none.
    """

    kind: str
    lossless = True
    """decode(encode(text)) == normalize(text) for every valid text."""
    edge_space: Literal["", "before", "after"] = ""
    """The space that encoding puts there and decoding takes away, at one edge of every text."""
    separator: Where = "end"
    """Where the texts that its model learnt from had a special token; no id depends on it."""

    def __init__(
        self,
        tokens: Mapping[int, bytes],
        special_tokens: Mapping[str, int],
        end_of_text_name: str = END_OF_TEXT,
    ) -> None:
        require_names(special_tokens)
        self.special_tokens: Mapping[str, int] = dict(
            sorted(special_tokens.items(), key=lambda item: item[1])
        )
        self.end_of_text_name = end_of_text_name if end_of_text_name in special_tokens else ""
        numbers = [*tokens, *special_tokens.values()]
        if len(set(numbers)) < len(numbers) or not 0 <= min(numbers) <= max(numbers) <= LARGEST_ID:
            raise TokenizerError(
                "A tokenizer gives two tokens one id, or an id below 0 or beyond "
                f"{LARGEST_ID:,}: its file is damaged, or its special tokens "
                f"{dict(special_tokens)} need other ids."
            )
        self.vocab_size = 1 + max(numbers)
        shown = [b""] * self.vocab_size
        for token_id, token in tokens.items():
            shown[token_id] = token
        lengths = np.array([len(token) for token in shown], dtype=np.int32)
        for name, token_id in special_tokens.items():
            shown[token_id] = name.encode("utf-8")
            lengths[token_id] = 0
        lengths.setflags(write=False)
        self._shown = shown
        self.byte_lengths: Int32[ndarray, " vocab_size"] = lengths
        """Bytes of text behind each id; 0 for special tokens."""

    @abstractmethod
    def encode(self, text: str) -> Int64[ndarray, " tokens"]:
        """The ids of a text: nothing added, never a special token.

        Raises TokenizerError where the text holds a lone surrogate, which is not Unicode text.
        """

    @abstractmethod
    def definition(self) -> dict[str, Any]:
        """The tokenizer as the content of a `tokenizer.json` file."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that decides an id, and nothing else; the fingerprint is taken of it."""

    def normalize(self, text: str) -> str:
        """The text as the kind sees it; the text itself, except where a kind changes text."""
        return text

    def encode_with_special_tokens(
        self, text: str, allowed: Collection[str] | None = None
    ) -> Int64[ndarray, " tokens"]:
        """`encode`, but names of allowed special tokens (None: of all) become those tokens.

        Only for text that its writer is trusted with. Raises TokenizerError for a name that is no
        special token here.
        """
        names = self.special_tokens if allowed is None else allowed
        strangers = [name for name in names if name not in self.special_tokens]
        if strangers:
            raise TokenizerError(
                f"{strangers[0]!r} is no special token of this tokenizer, which has "
                f"{', '.join(self.special_tokens) or 'none'}."
            )
        if not names:
            return self.encode(text)
        longest_first = sorted(map(re.escape, names), key=len, reverse=True)
        parts = re.split(f"({'|'.join(longest_first)})", text)
        ids = [
            np.array([self.special_tokens[part]]) if number % 2 else self.encode(part)
            for number, part in enumerate(parts)
            if part
        ]
        return np.concatenate([np.zeros(0, dtype=np.int64), *ids])

    def encode_batch(self, texts: Iterable[str]) -> list[Int64[ndarray, " tokens"]]:
        """`encode` for each text.

        One after another: splitting documents over threads costs more than it gains (handing
        over a small text takes as long as encoding it).
        """
        return [self.encode(text) for text in texts]

    def decode_bytes(self, ids: Sequence[int] | Int[ndarray, " tokens"]) -> bytes:
        """The bytes behind the ids of a whole text; special tokens show as their names.

        Raises TokenizerError for an id outside the vocabulary.
        """
        data = self._joined(ids)
        if self.edge_space == "before":
            return data.removeprefix(b" ")
        return data.removesuffix(b" ") if self.edge_space == "after" else data

    def _joined(self, ids: Sequence[int] | Int[ndarray, " tokens"]) -> bytes:
        """What the ids show, one after another."""
        numbers = np.asarray(ids, dtype=np.int64).reshape(-1)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < self.vocab_size:
            wrong = numbers[(numbers < 0) | (numbers >= self.vocab_size)][0]
            raise TokenizerError(
                f"Id {wrong} is not in this vocabulary of {self.vocab_size}: decode with the "
                "tokenizer that made the ids."
            )
        return b"".join([self._shown[number] for number in numbers.tolist()])

    def decode(self, ids: Sequence[int] | Int[ndarray, " tokens"], errors: str = "replace") -> str:
        """The text behind the ids; bytes that form no character follow `errors`, as `bytes.decode`.

        Only whole texts are sure to hold whole characters: a character may span several tokens.
        """
        return self.decode_bytes(ids).decode("utf-8", errors)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one id amid a text; for a special token, its name."""
        return self._joined([token_id])

    def stream_bytes(self, ids: Iterable[int], before: Sequence[int] = ()) -> Iterator[bytes]:
        """What each id adds to a text, as the ids come: joined, what `decode_bytes` adds for them.

        before: the ids that they go on from; a special token among them begins a text, but for the
        one that stands for unknown text.
        """
        edges = set(self.special_tokens.values()) - {self.unknown}
        first = 1 + max((place for place, token in enumerate(before) if token in edges), default=-1)
        text = list(before[first:])
        if self.edge_space == "after":
            yield from self._with_last_space_held(ids, text)
            return
        begun = bool(self.decode_bytes(text))
        for token in ids:
            if begun:
                yield self.token_bytes(token)
            else:  # how a text begins is for the kind to say
                text.append(token)
                data = self.decode_bytes(text)
                begun = bool(data)
                yield data

    def _with_last_space_held(self, ids: Iterable[int], before: Sequence[int]) -> Iterator[bytes]:
        """The space that ends a token, only once another follows."""
        held = b" " if self._joined(before).endswith(b" ") else b""
        for token in ids:
            data = held + self.token_bytes(token)
            held = b" " if data.endswith(b" ") else b""
            yield data.removesuffix(b" ")

    def byte_count(self, ids: Int[ndarray, " tokens"]) -> int:
        """How many bytes of text the ids of one whole text stand for."""
        if not len(ids):
            return 0
        edge = ids[0] if self.edge_space == "before" else ids[-1]
        shown = self._shown[int(edge)] if self.edge_space and self.byte_lengths[edge] else b""
        surplus = shown.startswith(b" ") if self.edge_space == "before" else shown.endswith(b" ")
        return int(self.byte_lengths[ids].sum(dtype=np.int64)) - surplus

    def offsets(self, text: str) -> tuple[Int64[ndarray, " tokens"], Int64[ndarray, "tokens 2"]]:
        """The ids of a text, and for each the characters [start, end) that its bytes belong to.

        Counted by UTF-8 lead bytes (every byte but 10xxxxxx starts a character). Tokens that share
        a character all report it, so spans may overlap.
        """
        ids = self.encode(text)
        data = np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
        characters = np.cumsum((data & 0xC0) != 0x80)
        ends = np.cumsum(self.byte_lengths[ids], dtype=np.int64)
        starts = ends - self.byte_lengths[ids]
        spans = np.stack([characters[starts] - 1, characters[ends - 1]], axis=1)
        return ids, spans.astype(np.int64)

    def name_of(self, part: str) -> str:
        """The special token that plays a part of PARTS; empty where none does."""
        return part_name(part, self.special_tokens)

    def special_id(self, part: str) -> int:
        """The id of the special token that plays a part of PARTS, such as "mask".

        Raises TokenizerError where this tokenizer has none.
        """
        name = self.name_of(part)
        if not name:
            raise TokenizerError(
                f"This tokenizer has no special token for {part!r} (such as {PARTS[part][0]}): "
                "train one with a set of special tokens that has it (tokenizer.special_tokens)."
            )
        return self.special_tokens[name]

    @property
    def unknown(self) -> int | None:
        """The id that stands for text without a token; None where there is no such text."""
        name = self.name_of("unknown")
        return self.special_tokens[name] if name else None

    @property
    def end_of_text(self) -> int:
        """The id that ends a document."""
        if not self.end_of_text_name:
            raise TokenizerError(
                "This tokenizer has no token that ends a text: give it a special token "
                f"{END_OF_TEXT}, the tokenizer_config.json beside a tokenizer.json an eos_token, "
                "or a .model an eos piece."
            )
        return self.special_tokens[self.end_of_text_name]

    @property
    def begin_of_text(self) -> int:
        """The id that begins a document: what ends the one before, where nothing else does."""
        name = self.name_of("begin_of_text")
        return self.special_tokens[name] if name else self.end_of_text

    @property
    def text_edges(self) -> tuple[int, int]:
        """The ids before and after a text as its model has read them, one text after another.

        With a separator at one side only, the other one is the neighbour's.
        """
        if self.separator == "both":
            return self.begin_of_text, self.end_of_text
        edge = self.end_of_text if self.separator == "end" else self.begin_of_text
        return edge, edge

    @cached_property
    def fingerprint(self) -> str:
        """32 hex characters; equal only where every text has the same ids.

        Taken of the kind, the names and ids of special tokens and `identity`. Equal ids do not make
        it equal: another kind may give the same.
        """
        return fingerprint(
            {
                "kind": self.kind,
                "special_tokens": dict(self.special_tokens),
                "end_of_text": self.end_of_text_name,
                **self.identity(),
            }
        )

    def save(self, directory: str | Path, layout: str = FOLDER) -> None:
        """Write a folder that `load_tokenizer` and transformers' AutoTokenizer open.

        layout: "folder", or the files of one of LAYOUTS, which kinds that have that format write.

        A class of anyone else's is named in the folder, and opens it with its `from_definition`;
        raises TokenizerError where it has none, or the layout cannot hold this tokenizer.
        """
        if layout != FOLDER:
            save_layout(self, self.kind, Path(directory), layout)
            return
        kind = type(self)
        own = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
        openers = {"from_definition", "from_folder"}
        opens = any(openers & vars(base).keys() for base in kind.__mro__ if base != Tokenizer)
        if not own and not opens:
            raise TokenizerError(
                f"{kind.__qualname__} could not be opened again: give it a class method "
                "from_definition, which takes what its definition() returns."
            )
        if own:
            more = {OWN_KIND: self.kind} if opens else {}
        else:
            more = {OWN_CLASS: f"{kind.__module__}:{kind.__qualname__}"}
        if self.separator != "end":
            more[OWN_SEPARATOR] = self.separator
        write_folder(
            Path(directory),
            self.definition(),
            list(self.special_tokens),
            self.end_of_text_name,
            more,
        )

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> "Tokenizer":
        """The tokenizer whose `definition` this is; kinds outside this package need their own.

        Raises TokenizerError, KeyError, TypeError or ValueError where it is no such definition.
        """
        raise TokenizerError(f"{cls.__qualname__} has no from_definition, so it opens no file.")

    @classmethod
    def from_folder(cls, folder: Path, definition: Mapping[str, Any]) -> "Tokenizer":
        """The tokenizer saved in a folder, for kinds whose definition does not hold all of them.

        definition: the content of the folder's `tokenizer.json`.

        Raises what `from_definition` does.
        """
        return cls.from_definition(definition)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.vocab_size} ids, {self.fingerprint[:8]}>"


def checked(texts: Iterable[str]) -> Iterator[str]:
    """The texts, each of them Unicode text; TokenizerError at the first that is not."""
    for text in texts:
        utf8(text)
        yield text


def utf8(text: str) -> bytes:
    """The text's bytes; TokenizerError where it holds a lone surrogate."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"The text holds a lone surrogate, U+{ord(text[error.start]):04X} at character "
            f"{error.start}, which is not Unicode text: remove it, or replace such characters with "
            "text.encode('utf-8', 'replace').decode()."
        ) from None


def code_points(text: str) -> Int32[ndarray, " characters"]:
    """The numbers of a text's characters; the text holds no lone surrogate."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<i4")
