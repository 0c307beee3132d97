"""A spec as columns of boxes, from the bottom up: what a drawing shows, without the drawing.

A column is one stream, from what enters to what comes out. A model has one, or two of which the
right one reads the left one: decoder and encoder, or XLNet's queries and contents; or two
directions, of which neither reads the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hornbook.models import choices
from hornbook.models.recurrences import RecurrentSourceReading, ResidualRecurrence, TwoWayReading
from hornbook.models.spec import Block, Spec, Stack
from hornbook.reporting.words import Words, norm_words, part_words

ORDERS = {
    "PreNormBlock": ("branch", "norm", "sublayer", "sum"),
    "PostNormBlock": ("branch", "sublayer", "sum", "norm"),
    "ParallelBlock": ("branch", "norm", "sublayer", "sum"),
    "NormedResidualBlock": ("norm", "branch", "sublayer", "sum"),
}
"""What surrounds a sublayer, from its input to its end, by the kind of block. A branch and the next
sum make a residual connection. A parallel block has one round, with both sublayers side by side."""


@dataclass(frozen=True)
class Box:
    """A part on the stream.

    beside: another that takes the same input; what both say is added where they are `joined`.
    reads: it takes something from the column at its left as well.
    """

    words: Words
    beside: Words = ()
    joined: bool = True
    reads: bool = False


@dataclass(frozen=True)
class Mark:
    """A point of the stream: "branch", "sum", "word" (what enters or leaves), "note" (beside it).

    gives: the column at the right reads what stands here.
    """

    kind: str
    word: str = ""
    gives: bool = False


@dataclass(frozen=True)
class Frame:
    """Layers: which they are, and what each of them does."""

    title: str
    steps: tuple[Box | Mark, ...]


Column = tuple[Box | Mark | Frame, ...]


def columns_of(spec: Spec) -> tuple[Column, ...]:
    """The columns of a model from left to right."""
    if isinstance(spec.reading, choices.TwoStreamReading):
        return _content_stream(spec), _query_stream(spec)
    if isinstance(spec.reading, TwoWayReading):
        ends = ("tokens, from the start", "next"), ("tokens, from the end", "before")
        return tuple(_direction(spec, name, which) for name, which in ends)
    causal = part_words(spec.reading)[0]
    begins = isinstance(spec.reading, RecurrentSourceReading)
    stack = _layers(spec.stack, causal, reads="states" if begins else "cross")
    if spec.encoder is None:
        return ((*_entrance(spec, "tokens"), *stack, *_exit(spec)),)
    encoder = (*_entrance(spec, "source"), *_layers(spec.encoder, "sees all"))
    decoder = (*_entrance(spec, "target"), *stack, *_exit(spec))
    return (*encoder, Mark("word", gives=True)), decoder


def _content_stream(spec: Spec) -> Column:
    """XLNet's contents; every layer's input gives keys and values to both streams."""
    frames = _layers(spec.stack, "sees itself", gives=True)
    return (*_entrance(spec, "content stream"), *frames, Mark("word", "contents"))


def _query_stream(spec: Spec) -> Column:
    start = Box(("one learned vector",))
    frames = _layers(spec.stack, "not itself", reads="attention")
    return (Mark("word", "query stream"), start, *frames, *_exit(spec))


def _direction(spec: Spec, name: str, which: str) -> Column:
    """One of two directions, and which token it predicts."""
    head, _ = _exit(spec)
    said = Mark("word", f"{which}: logits of {spec.vocab_size:,} tokens")
    return (*_entrance(spec, name), *_layers(spec.stack, ""), head, said)


def _entrance(spec: Spec, name: str) -> Column:
    return Mark("word", name), Box(part_words(spec.embedding))


def _exit(spec: Spec) -> Column:
    """From the last layer to what the model says."""
    pooler = part_words(spec.pooler) if spec.pooler else ()
    word = f"logits of {spec.vocab_size:,} tokens"
    return Box(part_words(spec.head), beside=pooler, joined=False), Mark("word", word)


def _layers(stack: Stack, visible: str, reads: str = "cross", gives: bool = False) -> Column:
    """A frame for each kind of block, and the final norm."""
    frames = []
    for block, numbers in _kinds(stack):
        all_layers = f"{stack.n_layers} layer{'s' if stack.n_layers > 1 else ''}"
        title = all_layers if len(numbers) == stack.n_layers else _numbered(numbers)
        notes = (Mark("note", "shared weights"),) if stack.shared else ()
        frames.append(Frame(title, (*notes, *_steps(block, stack, visible, reads, gives))))
    norm = (Box(norm_words(stack.final_norm)),) if stack.final_norm else ()
    return (*frames, *norm)


def _kinds(stack: Stack) -> Iterator[tuple[Block, range]]:
    """The kinds of layers and their numbers: each takes its turn, or a run of equal ones."""
    if len(stack.blocks) < stack.n_layers:
        for first, block in enumerate(stack.blocks):
            yield block, range(first + 1, stack.n_layers + 1, len(stack.blocks))
        return
    first = 1
    for block, run in groupby(stack.blocks[: stack.n_layers]):
        count = len(list(run))
        yield block, range(first, first + count)
        first += count


def _numbered(numbers: range) -> str:
    """Such as "layers 1, 3 … 11"."""
    few = [str(number) for number in numbers]
    if len(few) == 1:
        return f"layer {few[0]}"
    return "layers " + (", ".join(few) if len(few) < 4 else f"{few[0]}, {few[1]} … {few[-1]}")


def _steps(
    block: Any, stack: Stack, visible: str, reads: str, gives: bool
) -> tuple[Box | Mark, ...]:
    """What one block does to the stream, from its input to its output."""
    if isinstance(block, ResidualRecurrence):
        return Mark("branch"), Box(part_words(block)), Mark("sum")
    if not hasattr(block, "attention"):
        return (Box(part_words(block), reads=reads == "states"),)
    bias = tuple(f"+ {line}" for line in part_words(stack.bias)) if stack.bias else ()
    name, *rest = part_words(block.attention)
    attention = (f"{name}: {visible}", *rest, *bias)
    feedforward = part_words(block.feedforward)
    cross = getattr(block, "cross", None)
    if isinstance(block, choices.ParallelBlock):
        sublayers = [Box(attention, beside=feedforward)]
    else:
        crossing = [Box(part_words(cross), reads=reads == "cross")] if cross else []
        sublayers = [Box(attention, reads=reads == "attention"), *crossing, Box(feedforward)]
    steps: list[Box | Mark] = []
    for number, sublayer in enumerate(sublayers):
        marks: dict[str, Box | Mark] = {
            "norm": Box(norm_words(block.norm)),
            "sublayer": sublayer,
            "branch": Mark("branch", gives=gives and number == 0),
            "sum": Mark("sum", _scaled(block)),
        }
        steps += [marks[step] for step in ORDERS[type(block).__name__]]
    return tuple(steps)


def _scaled(block: Any) -> str:
    """What the residual is multiplied by."""
    return f"× {block.scale:.3g}" if isinstance(block, choices.NormedResidualBlock) else ""
