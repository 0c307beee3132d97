"""The handle that users hold: a network, its tokenizer, and the doors that text goes through."""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
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
from hornbook.handle.continuing import Continues
from hornbook.handle.prompts import consecutive, windows
from hornbook.models.build import fill, trim
from hornbook.models.choices import BlockPositions, LearnedPositions
from hornbook.models.parts.cache import Cache
from hornbook.models.spec import Spec, spec_to_dict
from hornbook.models.stacks import Network
from hornbook.objectives.cross_entropy import token_scores
from hornbook.tokenizers.tokenizer import Tokenizer


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


class Model(Continues, nn.Module):
    """A network and its tokenizer, with the doors that people use.

    `spec` says what the network is; `tokenizer` is None where none was found. Names of weights
    are those of the network, and rows that pad its vocabulary never pass `state_dict`, `logits`
    or files.
    """

    network: Network

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

    @torch.inference_mode()
    def bits_per_byte(self, text: str) -> float:
        """-log2 p(text) / its bytes in UTF-8, read after the token that documents are read after.

        A text longer than the context is read in windows that overlap by half, so that every token
        but those of the first window sees at least half a context; a model that carries a state
        reads it piece by piece. Lower is better; comparable between tokenizers. Raises InputError
        for a model that predicts no text from left to right.
        """
        tokenizer = self._require_tokenizer()
        self.network.require_continues()
        ids = tokenizer.encode(text)
        if not len(ids):
            raise InputError("An empty text has no bits per byte; give some text.")
        table = self.network.table
        whole = torch.tensor([tokenizer.text_edges[0], *ids.tolist()], device=table.device)
        training, nats = self.training, 0.0
        self.eval()
        carries, length = self.spec.carries_state, self.spec.max_length
        cache = self.network.new_cache(1, length) if carries else None
        pieces = consecutive(len(ids), length) if carries else windows(len(ids), length)
        for start, end, scored in pieces:
            read = self.network.predict_next(whole[None, start:end], cache=cache)
            hidden = read.last[0, scored - start :]
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
            raise InputError(f'A network has no layout {layout!r}; known are "hf" and "hornbook".')
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
