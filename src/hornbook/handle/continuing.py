"""What every model that goes on with a text offers, whatever predicts: text and ids in and out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hornbook.errors import InputError, TokenizerError
from hornbook.generation.beam import Beams, beam_search
from hornbook.generation.generate import Continuation
from hornbook.generation.generate import generate as continue_rows
from hornbook.generation.generate import stream as stream_rows
from hornbook.generation.sampling import Sampling
from hornbook.generation.text import StopText, pieces
from hornbook.handle.prompts import like, rows_of
from hornbook.tokenizers.chat import END, render
from hornbook.tokenizers.tokenizer import Tokenizer

Stops = str | int | Sequence[str | int]


@dataclass(frozen=True)
class Reply:
    """A chat answer; `stopped` tells whether the model ended it, or the limit of tokens did."""

    text: str
    stopped: bool


class Continues:
    """A model that goes on with texts: `network` predicts, `tokenizer` reads and shows.

    network: a `Network`, or anything else that `generation.session.begin` knows.
    """

    network: Any
    tokenizer: Tokenizer | None

    def generate(
        self,
        prompt: Any,
        max_new_tokens: int = 64,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
        stop: Stops | None = None,
        beams: Beams | int = 1,
    ) -> Any:
        """Continue a text, several texts, or ids; the continuation only.

        An encoder-decoder reads the prompt as its source and gives the whole target.

        prompt: a text gives a text, a list of texts a list. Ids in a list, array or tensor, of one
        row or several, give the same kind of ids; a stop token that came is the last of them.
        stop: names or ids of tokens, or texts, that end it and are not shown; by default the tokens
        that end a document or a turn. A full context goes on from its last half. beams: search with
        so many (`generation.beam.Beams` for more), without chance. The rest is explained at
        `generation.sampling.Sampling`.
        """
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty, seed)
        beams = Beams(beams) if isinstance(beams, int) else beams
        if beams.width > 1 and sampling != Sampling(seed=seed):
            raise InputError(
                "Beams search without chance and without a penalty of repetition; leave "
                "temperature, top_k, top_p and repetition_penalty as they are, or beams at 1."
            )
        ids, texts = self._stops(stop)

        def continued(prompts: list[list[int]]) -> list[Continuation]:
            if beams.width > 1:
                return beam_search(self.network, prompts, max_new_tokens, beams, ids)
            return continue_rows(self.network, prompts, max_new_tokens, sampling, ids)

        if isinstance(prompt, str) or (len(prompt) and isinstance(prompt[0], str)):
            several = [prompt] if isinstance(prompt, str) else prompt
            read = [self._encode(text) for text in several]
            rows = zip(continued(read), read, strict=True)
            made = [self._text(row, before, texts) for row, before in rows]
            return made[0] if isinstance(prompt, str) else made
        return like(prompt, [row.ids for row in continued(rows_of(prompt))])

    def stream(
        self,
        prompt: str,
        max_new_tokens: int = 64,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
        stop: Stops | None = None,
    ) -> Iterator[str]:
        """The continuation of a text in pieces, as they are made; arguments as in `generate`."""
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty, seed)
        return self._stream_text(prompt, max_new_tokens, sampling, stop)

    def chat(
        self,
        messages: Sequence[Mapping[str, str]],
        max_new_tokens: int = 256,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """The assistant's answer to a conversation, in pieces as they are made.

        messages: {"role": "user" or "assistant", "content": text}, the last from the user.
        """
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty, seed)
        tokenizer = self._require_tokenizer()
        ids, _ = render(messages, tokenizer, add_generation_prompt=True)
        made = self._stream_ids(ids.tolist(), max_new_tokens, sampling, self._stops(None)[0])
        return self._shown(made, ids.tolist())

    def reply(
        self,
        messages: Sequence[Mapping[str, str]],
        max_new_tokens: int = 256,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
    ) -> Reply:
        """The assistant's whole answer, and whether it ended by itself; arguments as in `chat`."""
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty, seed)
        ids, _ = render(messages, self._require_tokenizer(), add_generation_prompt=True)
        ends, _ = self._stops(None)
        before = ids.tolist()
        row = continue_rows(self.network, [before], max_new_tokens, sampling, ends)[0]
        return Reply(self._text(row, before, ()), row.stopped)

    def _stream_text(
        self, prompt: str, max_new_tokens: int, sampling: Sampling, stop: Stops | None
    ) -> Iterator[str]:
        ids, texts = self._stops(stop)
        before = self._encode(prompt)
        made = self._stream_ids(before, max_new_tokens, sampling, ids)
        return StopText(texts).cut(self._shown(made, before))

    def _stream_ids(
        self, prompt: list[int], max_new_tokens: int, sampling: Sampling, ends: frozenset[int]
    ) -> Iterator[int]:
        for (token,) in stream_rows(self.network, [prompt], max_new_tokens, sampling, ends):
            if token is not None and token not in ends:
                yield token

    def _text(self, row: Continuation, before: Sequence[int], stops: Sequence[str]) -> str:
        ids = row.ids[:-1] if row.stopped else row.ids
        return "".join(StopText(stops).cut(self._shown(ids, before)))

    def _shown(self, ids: Iterable[int], before: Sequence[int]) -> Iterator[str]:
        """The text of ids in pieces, as it goes on from a prompt; a target is a text by itself."""
        has_source = getattr(self.network.spec, "encoder", None) is not None  # counts have none
        return pieces(self._require_tokenizer().stream_bytes(ids, () if has_source else before))

    def _encode(self, text: str) -> list[int]:
        """The ids of a prompt; an empty one begins like a document."""
        tokenizer = self._require_tokenizer()
        return tokenizer.encode(text).tolist() or [tokenizer.text_edges[0]]

    def _stops(self, stop: Stops | None) -> tuple[frozenset[int], tuple[str, ...]]:
        """Ids and texts that end a continuation."""
        special = {} if self.tokenizer is None else self.tokenizer.special_tokens
        if stop is None:
            return frozenset({*self._edges(), *([special[END]] if END in special else ())}), ()
        given = [stop] if isinstance(stop, str | int) else list(stop)
        ids = [special.get(one, -1) if isinstance(one, str) else int(one) for one in given]
        texts = [one for one in given if isinstance(one, str) and one not in special]
        return frozenset(one for one in ids if one >= 0), tuple(texts)

    def _edges(self) -> tuple[int, ...]:
        """The ids around a text; none where the tokenizer has no such tokens."""
        try:
            return () if self.tokenizer is None else self.tokenizer.text_edges
        except TokenizerError:
            return ()

    def _require_tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise InputError(
                "This model has no tokenizer, so it reads ids only; set model.tokenizer to the one "
                "it was trained with."
            )
        return self.tokenizer
