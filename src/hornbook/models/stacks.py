"""Networks of one stack: embedding, blocks, final norm; tokens in, hidden states out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hornbook.batches.masks import Mask
from hornbook.errors import InputError
from hornbook.models import spec as specs
from hornbook.models.choices import BlankReading
from hornbook.models.parts import make
from hornbook.models.parts.cache import Cache, StateCache, empty_cache
from hornbook.models.parts.context import Context, Source
from hornbook.models.parts.dropout import drop
from hornbook.models.parts.heads import OutputHead
from hornbook.models.parts.norms import stream_dtype

Tokens = Int[Tensor, "batch length"]


@dataclass(frozen=True)
class Hidden:
    """What a network returns.

    `last` is the stream after the final norm. `states`, if asked for: the embeddings, then the
    stream after each block, the last of them after the final norm; otherwise empty. `penalty` is
    what parts ask to be added to the mean loss (experts that are unequally busy), the mean of those
    that ask, or None.
    `source_states`: the encoder's states, where there is one. `alignments`: how much of each place
    of the source every place of the target read, [batch, target, source], of the layers that tell.
    """

    last: Float[Tensor, "batch length d_model"]
    states: tuple[Tensor, ...] = ()
    penalty: Float[Tensor, ""] | None = None
    source_states: tuple[Tensor, ...] = ()
    alignments: tuple[Tensor, ...] = ()


def lay_stack(stack: Any, choice: specs.Stack, whole: specs.Spec) -> None:
    """Give a module the blocks, the bias and the final norm of a stack."""
    blocks = (make(choice.layer(number), whole) for number in range(choice.n_distinct))
    stack.blocks = nn.ModuleList(blocks)
    stack.bias = make(choice.bias, choice, whole) if choice.bias else None
    stack.final_norm = make(choice.final_norm, whole.d_model) if choice.final_norm else None


def layers(blocks: nn.ModuleList, choice: specs.Stack) -> Iterator[tuple[int, Any]]:
    """(number, block) of every layer; shared blocks come again and again."""
    for number in range(choice.n_layers):
        yield number, blocks[number % len(blocks)]


class Stack(nn.Module):
    """h = dropout(norm(block_L(... block_1(x)))), with a bias that all layers share, if any."""

    blocks: nn.ModuleList

    def __init__(self, choice: specs.Stack, whole: specs.Spec) -> None:
        super().__init__()
        self.choice = choice
        lay_stack(self, choice, whole)

    def forward(
        self,
        x: Float[Tensor, "batch new d_model"],
        mask: Mask,
        positions: Int[Tensor, "... batch new"],
        *,
        source: Source | None = None,
        cache: Cache | None = None,
        hidden_states: bool = False,
    ) -> Hidden:
        """Run the stream through all layers; new tokens follow those that the cache holds."""
        return run(self, self.choice, x, mask, positions, source, cache, hidden_states)


def run(
    stack: Any,
    choice: specs.Stack,
    x: Float[Tensor, "batch new d_model"],
    mask: Mask,
    positions: Int[Tensor, "... batch new"],
    source: Source | None,
    cache: Cache | None,
    hidden_states: bool,
) -> Hidden:
    """The layers of a module that `lay_stack` laid."""
    start, new = 0 if cache is None else cache.length, x.shape[1]
    if cache is not None:
        require_kind(cache, choice)
        cache.require_room(len(x), new)
        cache.begin()
    bias = None if stack.bias is None else stack.bias(start, new)
    context = Context(mask, start, positions, new=new, batch=len(x), bias=bias, source=source)
    states = [x] if hidden_states else []
    for number, block in layers(stack.blocks, choice):
        x = block(x, context, None if cache is None else cache.layer(number))
        if hidden_states:
            states.append(x)
    last = x if stack.final_norm is None else stack.final_norm(x)
    last = drop(last, choice.dropout, stack.training)
    if cache is not None:
        cache.length += new
    penalty = torch.stack(context.penalties).mean() if context.penalties else None
    states = [*states[:-1], last] if hidden_states else []
    return Hidden(last, tuple(states), penalty, alignments=tuple(context.alignments))


def require_kind(cache: Cache, choice: specs.Stack) -> None:
    """Raise InputError for a cache that was made for other layers than these."""
    carries = choice.kept is None
    if isinstance(cache, StateCache) != carries or len(cache.source) != choice.n_layers:
        holds = f"what {choice.n_layers} layers " + ("carry" if carries else "have read")
        raise InputError(
            f"This cache is another model's; one that holds {holds} is made by new_cache."
        )


class Network(nn.Module):
    """What every network has besides its stacks: a spec, a token table, a head, perhaps a pooler.

    The stream runs in the dtype of the norms' gains.
    """

    spec: specs.Spec
    embedding: Any
    head: Any

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the residual stream."""
        return stream_dtype(self)

    @property
    def table(self) -> Float[Tensor, "padded_vocab d_model"]:
        """The token table."""
        weight: Tensor = self.embedding.tokens.weight
        return weight

    @property
    def output(self) -> OutputHead:
        """The head, for whoever forms losses or logits."""
        head: OutputHead = self.head(self.table)
        return head

    def logits(self, hidden: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocab_size"]:
        """Scores of every token at these hidden states; for a few positions, not for a batch."""
        return self.output.logits(hidden)

    def require_continues(self) -> None:
        """Raise InputError for a network that does not predict what follows a text."""
        if not self.spec.continues:
            raise InputError(
                f"A model of the family {self.spec.family} does not predict a text from left to "
                "right; take one that does, such as gpt2 or llama."
            )

    def predict_next(self, tokens: Tokens, **rules: Any) -> Hidden:
        """Hidden states that predict the token after each; arguments as in `forward`."""
        self.require_continues()
        hidden: Hidden = self(tokens, **rules)
        return hidden

    def new_cache(self, batch: int, length: int, dtype: torch.dtype | None = None) -> Cache:
        """An empty cache for `batch` rows of up to `length` tokens.

        Keys and values are held as they are computed; on a CPU in float32 at least, since torch's
        attention of one query takes two to four times as long in bfloat16. Recurrent layers carry
        their states instead, whatever the length.
        """
        kept = self.spec.stack.kept
        if kept is None:
            return StateCache(self.spec.n_layers, batch)
        if dtype is None:
            table = self.table
            dtype = torch.promote_types(table.dtype, torch.float32) if table.is_cpu else table.dtype
        parts, groups, width = kept(self.spec.d_model)
        shape = (parts, batch, length, groups, width)
        return empty_cache(self.spec.n_layers, shape, dtype, self.table.device)

    def expected_first_loss(self) -> float | None:
        """The loss in nats a token that fresh weights give: ln V + d_model std^2 / 2, if known.

        The last norm makes hidden states of length sqrt(d_model); against rows drawn from
        N(0, std^2) logits are N(0, d_model std^2), whose log-sum-exp over V of them is that sum.
        """
        return specs.expected_first_loss(self.spec)


class SequenceNetwork(Network):
    """One stack of blocks over one sequence: h = norm(block_L(... block_1(embedding(x)))).

    Names of parameters: `embedding.tokens.weight`, `embedding.positions.weight`, `blocks.N.…`,
    `final_norm.…`, `head.…`, `pooler.…`.
    """

    def __init__(self, spec: specs.Spec) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = make(spec.embedding, spec)
        lay_stack(self, spec.stack, spec)
        self.head = make(spec.head, spec)
        self.pooler = make(spec.pooler, spec) if spec.pooler else None
        self.reading = make(spec.reading)

    def forward(
        self,
        tokens: Tokens,
        *,
        mask: Mask | None = None,
        positions: Int[Tensor, "... batch length"] | None = None,
        segments: Tokens | None = None,
        cache: Cache | None = None,
        hidden_states: bool = False,
    ) -> Hidden:
        """Hidden states of `tokens`, which follow those that `cache` holds.

        Without a mask and without positions those of the family's reading are used. A mask speaks
        of places in the sequence, the cache included; positions are only what the position vectors
        and rotations are made of.
        """
        start = 0 if cache is None else cache.length
        if positions is None or mask is None:
            rows = F.pad(tokens, (start, 0)) if start else tokens
            if start and isinstance(self.spec.reading, BlankReading):
                raise InputError(
                    "This model's positions depend on all tokens so far; give positions and a mask "
                    "with tokens that follow a cache."
                )
            positions = (
                self.reading.positions(rows)[..., start:] if positions is None else positions
            )
            mask = mask or self.reading.mask(rows)
        x = self.embedding(tokens, positions, segments, self.dtype)
        return run(self, self.spec.stack, x, mask, positions, None, cache, hidden_states)

    def place(
        self, tokens: Tokens, starts: Int[Tensor, " batch"] | None = None
    ) -> tuple[Int[Tensor, "... batch length"] | None, Mask]:
        """Positions and mask of whole rows, of which `starts` tokens at the left are padding."""
        return self.reading.positions(tokens, starts), self.reading.mask(tokens, starts)
