"""The handle of a counted model: what a network's offers, as far as counting has it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from hornbook.errors import InputError
from hornbook.handle.continuing import Continues
from hornbook.handle.model import Output
from hornbook.models.ngrams.arpa import words_of, write_arpa
from hornbook.models.ngrams.model import NGram
from hornbook.models.ngrams.spec import NGramSpec
from hornbook.tokenizers.tokenizer import Tokenizer

FILE = "ngram.safetensors"


class CountedModel(Continues):
    """N-grams and the tokenizer whose tokens were counted, with the doors that people use.

    `network` is the `NGram` itself: its weights are counts, so there is nothing to train or move.
    `tokenizer` is None where none was found; `words` are then those of an ARPA file, by id.
    """

    network: NGram

    def __init__(
        self,
        network: NGram,
        tokenizer: Tokenizer | None = None,
        words: Sequence[str] | None = None,
    ) -> None:
        if tokenizer is not None and tokenizer.vocab_size > network.vocab_size:
            raise InputError(
                f"The tokenizer has {tokenizer.vocab_size} ids, but the model knows only "
                f"{network.vocab_size}; they do not belong together."
            )
        self.network, self.tokenizer, self.words = network, tokenizer, words

    @property
    def spec(self) -> NGramSpec:
        """What the model is, as data."""
        return self.network.spec

    def __call__(
        self, tokens: Int[Tensor, "batch length"] | Any, *, hidden_states: bool = False
    ) -> Output:
        """log p of the token after each of `tokens`, given those before it in its row.

        Raises InputError for `hidden_states`, tokens of another shape, ids outside the vocabulary,
        and a context after which the estimator gives nothing.
        """
        if hidden_states:
            raise InputError(
                "An n-gram model has no hidden states: it looks up what followed a context; ask "
                "for its logits alone."
            )
        ids = torch.as_tensor(tokens)
        if ids.ndim != 2 or ids.is_floating_point() or ids.numel() == 0:
            raise InputError(
                f"tokens have shape {list(ids.shape)} and dtype {ids.dtype}; a model reads whole "
                "numbers of shape [batch, length]."
            )
        return Output(torch.from_numpy(self.network.logits(ids.numpy(force=True))))

    def bits_per_byte(self, text: str) -> float:
        """-log2 p(text) / its bytes in UTF-8, read after the token that documents are read after.

        Raises InputError for an estimator whose numbers are no probabilities.
        """
        tokenizer = self._require_tokenizer()
        ids = tokenizer.encode(text)
        if not len(ids):
            raise InputError("An empty text has no bits per byte; give some text.")
        row = np.array([[tokenizer.text_edges[0], *ids.tolist()]])
        nats = -float(self.network.log_probabilities(row).sum())
        return nats / math.log(2) / len(text.encode("utf-8"))

    def save(self, path: str | Path, layout: str = "hornbook") -> None:
        """Write the model where `load` opens it.

        layout: "hornbook" is a folder with the tokenizer, "arpa" the text file of n-gram programs.
        """
        layouts: dict[str, Callable[[Path], None]] = {
            "hornbook": self._save_own,
            "arpa": self._save_arpa,
        }
        if layout not in layouts:
            raise InputError(
                f'An n-gram model has no layout {layout!r}; known are "hornbook", which is '
                f'safetensors, and "arpa".'
            )
        layouts[layout](Path(path))

    def _save_own(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.network.save(path / FILE)
        if self.tokenizer is not None:
            self.tokenizer.save(path / "tokenizer")

    def _save_arpa(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        words = self.words if self.tokenizer is None else words_of(self.tokenizer)
        write_arpa(self.network, path, words)
