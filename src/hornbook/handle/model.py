"""The handle that users hold: a network, its tokenizer, and the doors that text goes through."""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hornbook.batches.batch import Source
from hornbook.batches.masks import Mask
from hornbook.checkpoints.hf import write_hf
from hornbook.checkpoints.read import checkpoints_in
from hornbook.checkpoints.write import write
from hornbook.errors import InputError
from hornbook.generation.beam import Beams, beam_search
from hornbook.generation.generate import Continuation
from hornbook.generation.generate import generate as continue_rows
from hornbook.generation.generate import stream as stream_rows
from hornbook.generation.sampling import Sampling
from hornbook.generation.text import StopText, pieces
from hornbook.handle.prompts import like, rows_of, windows
from hornbook.models.build import fill, trim
from hornbook.models.choices import BlockPositions, LearnedPositions
from hornbook.models.parts.cache import Cache
from hornbook.models.spec import Spec, spec_to_dict
from hornbook.models.stacks import Network
from hornbook.objectives.cross_entropy import token_scores
from hornbook.tokenizers.chat import END, render
from hornbook.tokenizers.tokenizer import Tokenizer

Stops = str | int | Sequence[str | int]


@dataclass(frozen=True)
class Output:
    """What a model returns: `logits`, and `hidden_states` if asked for.

    hidden_states: the embeddings, then the stream after each block, the last after the final norm;
    source_states: the same of the encoder, where there is one. pair_scores: a pooler's scores of
    how two texts belong together (BERT: class 0 is "the second follows"), or None.
    """

    logits: Float[Tensor, "batch length vocab_size"]
    hidden_states: tuple[Tensor, ...] = ()
    source_states: tuple[Tensor, ...] = ()
    pair_scores: Float[Tensor, "batch classes"] | None = None


@dataclass(frozen=True)
class Reply:
    """A chat answer; `stopped` tells whether the model ended it, or the limit of tokens did."""

    text: str
    stopped: bool


class Model(nn.Module):
    """A network and its tokenizer, with the doors that people use.

    `spec` says what the network is; `tokenizer` is None where none was found. Names of weights
    are those of the network, and rows that pad its vocabulary never pass `state_dict`, `logits`
    or files.
    """

    def __init__(self, network: Network, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        if tokenizer is not None and tokenizer.vocab_size > network.spec.vocab_size:
            raise InputError(
                f"The tokenizer has {tokenizer.vocab_size} ids, but the model knows only "
                f"{network.spec.vocab_size}; they do not belong together."
            )
        self.network, self.tokenizer = network, tokenizer
        self.eval()

    @property
    def spec(self) -> Spec:
        """What the network is, as data."""
        return self.network.spec

    def forward(
        self,
        tokens: Int[Tensor, "batch length"] | Source,
        target: Int[Tensor, "batch target_length"] | None = None,
        *,
        hidden_states: bool = False,
        mask: Mask | None = None,
        segments: Int[Tensor, "batch length"] | None = None,
        positions: Int[Tensor, "... batch length"] | None = None,
        cache: Cache | None = None,
    ) -> Output:
        """Scores at each of `tokens`, or of `target` where there is an encoder.

        A decoder's are of the next token, an encoder's of the token itself. An encoder-decoder
        reads `tokens` as its source (a `batches.batch.Source`, to give it a mask) and `target`,
        already shifted; the keywords are then the target's. Without a mask the family's own is
        used. Raises InputError for tokens of another shape, ids outside the vocabulary, and more
        tokens than the model can place.
        """
        with_source = self.spec.encoder is not None
        if with_source != (target is not None):
            reads = "a source and a target" if with_source else "one row of tokens, no target"
            raise InputError(f"A model of the family {self.spec.family} reads {reads}.")
        source = tokens if isinstance(tokens, Source) else Source(self._ids(tokens))
        start = 0 if cache is None else cache.length
        self._require_tokens(source.tokens, 0 if with_source else start, positions is None)
        inputs: tuple[Any, ...] = (source.tokens,)
        if target is not None:
            ids = self._ids(target)
            self._require_tokens(ids, start, positions is None)
            inputs = (source, ids)
        self._require_rows("segments", segments, self.spec.embedding.segments)
        learned = isinstance(self.spec.embedding.positions, LearnedPositions | BlockPositions)
        spare = getattr(self.spec.embedding.positions, "offset", 0)  # RoBERTa's padding: -1
        self._require_rows("positions", positions, self.spec.max_length if learned else 0, -spare)
        hidden = self.network(
            *inputs,
            mask=mask,
            segments=segments,
            positions=positions,
            cache=cache,
            hidden_states=hidden_states,
        )
        pooler = getattr(self.network, "pooler", None)
        return Output(
            self.network.logits(hidden.last),
            hidden.states,
            hidden.source_states,
            None if pooler is None else pooler(hidden.last),
        )

    def _ids(self, tokens: Any) -> Tensor:
        """Tokens as a tensor where the model is; whole numbers are checked later."""
        tensor = torch.as_tensor(tokens, device=self.network.table.device)
        return tensor if tensor.is_floating_point() else tensor.long()

    def _require_rows(self, name: str, values: Tensor | None, rows: int, low: int = 0) -> None:
        """Raise InputError for what a table of the rows low .. rows - 1 does not have."""
        if values is not None and rows and not low <= int(values.min()) <= int(values.max()) < rows:
            raise InputError(
                f"{name} hold a number outside {low} .. {rows - 1}, which is all there is."
            )

    def _require_tokens(self, tokens: Tensor, before: int, placed: bool) -> None:
        if tokens.ndim != 2 or tokens.is_floating_point() or tokens.numel() == 0:
            raise InputError(
                f"tokens have shape {list(tokens.shape)} and dtype {tokens.dtype}; a model reads "
                "whole numbers of shape [batch, length]."
            )
        too_long = before + tokens.shape[1] > self.spec.max_length
        if placed and too_long and self.spec.is_bounded:
            raise InputError(
                f"{before + tokens.shape[1]} tokens are more than this model's context of "
                f"{self.spec.max_length}; cut the text, or read it in windows."
            )
        lowest, highest = int(tokens.min()), int(tokens.max())
        if lowest < 0 or highest >= self.spec.vocab_size:
            raise InputError(
                f"tokens hold the id {lowest if lowest < 0 else highest}, outside this model's "
                f"vocabulary of {self.spec.vocab_size}."
            )

    def state_dict(self, *arguments: Any, **keywords: Any) -> Any:
        """The weights by the network's names, as views, without rows that pad the vocabulary."""
        return trim(self.network, self.network.state_dict(*arguments, **keywords))

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Copy weights as `state_dict` gives them; always strict."""
        fill(self.network, state_dict)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The network's parameters by its own names, rows that pad the vocabulary included."""
        return self.network.named_parameters(prefix, recurse, remove_duplicate)

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
            rows = continued([self._encode(text) for text in several])
            made = [self._text(row.ids[:-1] if row.stopped else row.ids, texts) for row in rows]
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
        return pieces(made, tokenizer.token_bytes)

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
        row = continue_rows(self.network, [ids.tolist()], max_new_tokens, sampling, ends)[0]
        return Reply(self._text(row.ids[:-1] if row.stopped else row.ids, ()), row.stopped)

    @torch.inference_mode()
    def bits_per_byte(self, text: str) -> float:
        """-log2 p(text) / its bytes in UTF-8, read after an end-of-text token as documents are.

        A text longer than the context is read in windows that overlap by half, so that every token
        but those of the first window sees at least half a context. Lower is better; comparable
        between tokenizers. Raises InputError for a model that predicts no text from left to right.
        """
        tokenizer = self._require_tokenizer()
        self.network.require_continues()
        ids = tokenizer.encode(text)
        if not len(ids):
            raise InputError("An empty text has no bits per byte; give some text.")
        table = self.network.table
        whole = torch.tensor([tokenizer.end_of_text, *ids.tolist()], device=table.device)
        training, nats = self.training, 0.0
        self.eval()
        for start, end, scored in windows(len(ids), self.spec.max_length):
            hidden = self.network.predict_next(whole[None, start:end]).last[0, scored - start :]
            scores = token_scores(hidden, self.network.output, whole[scored + 1 : end + 1])
            nats -= float(scores.log_probability.double().sum())
        self.train(training)
        return nats / math.log(2) / len(text.encode("utf-8"))

    def save(self, path: str | Path, layout: str = "hf") -> None:
        """Write the model and its tokenizer to a folder that `load` opens.

        layout: "hf" is what transformers opens too; "hornbook" is a checkpoint of our own. Raises
        SpecError where the Hugging Face layout cannot express the model.
        """
        layouts: dict[str, Callable[[Path], None]] = {
            "hf": self._save_hf,
            "hornbook": self._save_own,
        }
        if layout not in layouts:
            raise InputError(f'The layout {layout!r} is unknown; known are "hf" and "hornbook".')
        layouts[layout](Path(path))

    def _save_hf(self, path: Path) -> None:
        if self.tokenizer is None:
            write_hf(path, self.spec, self.state_dict())
            return
        with tempfile.TemporaryDirectory() as folder:
            self.tokenizer.save(folder)
            write_hf(path, self.spec, self.state_dict(), folder)

    def _save_own(self, path: Path) -> None:
        others = [found.name for found in checkpoints_in(path) if found.name != "step-00000000"]
        if others:
            raise InputError(
                f"{path} holds checkpoints of a training ({others[0]}); name another folder."
            )
        weights = {name: tensor.float() for name, tensor in self.state_dict().items()}
        write(path, 0, weights, {}, {"spec": spec_to_dict(self.spec)})
        if self.tokenizer is not None:
            self.tokenizer.save(path / "tokenizer")

    def _stream_text(
        self, prompt: str, max_new_tokens: int, sampling: Sampling, stop: Stops | None
    ) -> Iterator[str]:
        ids, texts = self._stops(stop)
        made = self._stream_ids(self._encode(prompt), max_new_tokens, sampling, ids)
        return StopText(texts).cut(pieces(made, self._require_tokenizer().token_bytes))

    def _stream_ids(
        self, prompt: list[int], max_new_tokens: int, sampling: Sampling, ends: frozenset[int]
    ) -> Iterator[int]:
        for (token,) in stream_rows(self.network, [prompt], max_new_tokens, sampling, ends):
            if token is not None and token not in ends:
                yield token

    def _text(self, ids: Sequence[int], stops: Sequence[str]) -> str:
        made = pieces(ids, self._require_tokenizer().token_bytes)
        return "".join(StopText(stops).cut(made))

    def _encode(self, text: str) -> list[int]:
        """The ids of a prompt; an empty one begins like a document."""
        tokenizer = self._require_tokenizer()
        return tokenizer.encode(text).tolist() or [tokenizer.end_of_text]

    def _stops(self, stop: Stops | None) -> tuple[frozenset[int], tuple[str, ...]]:
        """Ids and texts that end a continuation."""
        special = {} if self.tokenizer is None else self.tokenizer.special_tokens
        if stop is None:
            ends = {END} if self.tokenizer is None else {END, self.tokenizer.end_of_text_name}
            return frozenset(special[name] for name in ends if name in special), ()
        given = [stop] if isinstance(stop, str | int) else list(stop)
        ids = [special.get(one, -1) if isinstance(one, str) else int(one) for one in given]
        texts = [one for one in given if isinstance(one, str) and one not in special]
        return frozenset(one for one in ids if one >= 0), tuple(texts)

    def _require_tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise InputError(
                "This model has no tokenizer, so it reads ids only; set model.tokenizer to the one "
                "it was trained with."
            )
        return self.tokenizer
