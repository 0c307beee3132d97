"""All that is known of a model family without building it: the page of `hornbook show`."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from inspect import cleandoc
from typing import Any

from hornbook.models import COUNTED, VECTORS
from hornbook.models.count import BYTES, cache_bytes, flops_per_token, parameters
from hornbook.models.exchange import Size
from hornbook.models.families import family, spec_for
from hornbook.models.paths import put
from hornbook.models.spec import Spec, expected_first_loss
from hornbook.reporting.ancestry import differences, line_of
from hornbook.reporting.counted_page import counted_page
from hornbook.reporting.drawing import draw, legend
from hornbook.reporting.drawn_weights import drawn_weights
from hornbook.reporting.families_compared import generates
from hornbook.reporting.terminal import Table
from hornbook.reporting.vectors_page import vectors_page
from hornbook.runs.atomic import readable_bytes

WIDTH = 96
THIS = "◀ this model"
KV_HEADS = ["stack", "blocks", "*", "attention", "n_kv_heads"]


def family_page(name: str, dimensions: Mapping[str, Any]) -> Iterator[Table | str]:
    """Text and tables about a family, "gpt2", or a published size, "gpt2/124m".

    `dimensions` replace its numbers. Raises SpecError for an unknown family, size or dimension.
    """
    for table, page in ((VECTORS, vectors_page), (COUNTED, counted_page)):
        if name.partition("/")[0] in table:
            yield from page(name, dimensions, WIDTH)
            return
    spec, (own, _, size) = spec_for(name, **dimensions), name.partition("/")
    module = family(own)
    yield cleandoc(module.__doc__ or f"{own}: a family without a description.")
    yield draw(spec) + "\n\n" + "\n".join(textwrap.fill(line, WIDTH) for line in legend(spec))
    yield tree(spec)
    yield parameters_table(spec)
    yield weights_table(spec)
    yield costs(spec)
    yield from cache(spec)
    if module.SIZES:
        yield sizes_table(own, module.SIZES, size)
        sources = dict.fromkeys(row.source for row in module.SIZES.values() if row.source)
        yield "\n".join(f"source: {source}" for source in sources)
    yield from ancestry(own)


def tree(part: Any, depth: int = 0) -> str:
    """A spec, or a part of it, as an indented list of its fields."""
    lines, indent = [], "  " * depth
    for field in fields(part):
        value = getattr(part, field.name)
        rows = {field.name: value}
        if isinstance(value, tuple) and value and is_dataclass(value[0]):
            numbered = {f"{field.name}, number {n} in turn": b for n, b in enumerate(value, 1)}
            rows = numbered if len(value) > 1 else {field.name: value[0]}
        for name, inner in rows.items():
            if is_dataclass(inner):
                lines += [f"{indent}{name}: {type(inner).__name__}", tree(inner, depth + 1)]
            else:
                lines.append(f"{indent}{name} = {inner}")
    return "\n".join(line for line in lines if line)


def parameters_table(spec: Spec) -> Table:
    """Parameters by part."""
    counts = parameters(spec)
    rows = ((part, f"{n:,}", f"{n / counts['total']:.1%}") for part, n in counts.items())
    return Table("Parameters", ("part", "number", "share"), tuple(rows), (1, 2), len(counts) - 1)


def weights_table(spec: Spec) -> Table:
    """How fresh weights are drawn."""
    rows = tuple(
        (row.role, ", ".join(row.maps), row.rule, f"{row.std:.4g}") for row in drawn_weights(spec)
    )
    heads = ("role", "of", "rule of the standard deviation", "here")
    return Table("Fresh weights (gains are 1, biases 0)", heads, rows, (3,))


def costs(spec: Spec) -> str:
    """Arithmetic a token, and the loss before training."""
    length = spec.max_length
    flops = flops_per_token(spec, length) / 1e6
    what = "a token" if spec.encoder is None else "a token of the source and one of the target"
    cost = f"training costs {flops:,.1f} MFLOP {what} at length {length}, a third of it forward"
    loss = expected_first_loss(spec)
    return cost if loss is None else f"{cost}\nfresh weights lose {loss:.3f} nats a token"


def cache(spec: Spec) -> Iterator[Table | str]:
    """What generation remembers a token, had the heads other keys and values to share."""
    if not generates(spec):
        yield "It reads all tokens at once and generates none, so that nothing is remembered."
        return
    if spec.carries_state:
        yield "It carries a state: generation remembers no more after many tokens than after one."
        return
    variants = _variants(spec)
    rows = []
    for kind, variant in variants.items():
        low, full = (cache_bytes(variant, name) for name in ("bfloat16", "float32"))
        whole = readable_bytes(low * spec.max_length)
        this = THIS if variant == spec else ""
        rows.append((kind, f"{low:,}", f"{full:,}", whole, this))
    heads = ("remembers", "bfloat16", "float32", f"all {spec.max_length:,}, bfloat16", "")
    marked = [*variants.values()].index(spec) if spec in variants.values() else None
    yield Table("Cache of generation: bytes a token", heads, tuple(rows), (1, 2, 3), marked)
    cross = getattr(spec.stack.blocks[0], "cross", None)
    if cross is not None:
        numbers = 2 * spec.n_layers * cross.n_kv_heads * cross.d_head
        size = numbers * BYTES["bfloat16"]
        yield f"and of each token of the source {size:,} bytes in bfloat16"


def _variants(spec: Spec) -> dict[str, Spec]:
    """The spec with other numbers of key-value heads; itself among them."""
    attention = spec.stack.attention
    own = getattr(attention, "n_kv_heads", 0)
    if attention is None or not own:
        return {"vectors" if attention is None else "states of each layer": spec}
    heads = attention.n_heads
    divisors = [n for n in range(2, heads) if heads % n == 0]
    groups = own if own in divisors else max((n for n in divisors if n <= 8), default=0)
    kinds = {heads: "multi-head", groups: "grouped-query", 1: "multi-query"}
    return {
        f"{kind}: {number} key-value head{'s' if number > 1 else ''}": put(spec, KV_HEADS, number)
        for number, kind in kinds.items()
        if number
    }


def sizes_table(name: str, sizes: Mapping[str, Size], chosen: str = "") -> Table:
    """Published sizes: the paper's count, ours, and that of what was released."""
    rows = tuple(
        (
            f"{name}/{size}",
            ", ".join(f"{key} {value}" for key, value in row.dimensions.items()),
            row.paper or "-",
            f"{row.parameters:,}",
            f"{row.released:,}" if row.released else "",
        )
        for size, row in sizes.items()
    )
    heads = ("size", "dimensions", "paper", "ours, exactly", "released, if another")
    marked = list(sizes).index(chosen) if chosen else None
    return Table("Published sizes", heads, rows, (2, 3, 4), marked)


def ancestry(name: str) -> Iterator[Table | str]:
    """The line of ancestors, the fields that differ from the last of them, and in words."""
    line = line_of(name)
    if len(line) > 1:
        heads = ("field of the spec", line[-2], name)
        yield Table(" → ".join(line), heads, differences(name))
    yield "\n".join(textwrap.fill(said, WIDTH) for said in family(name).DIFFERENCES)
