"""Mistakes to plant: each a patch of our code, or a change of a network's parts and weights.

A patch takes pytest's MonkeyPatch, a change the network. Mistakes that need a whole part written
anew are in `rewritten.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hornbook.batches import masks
from hornbook.models import initialisation, spec, stacks, two_stream
from hornbook.models.families import gpt2, llama, llama2
from hornbook.models.parts import (
    attention,
    bias,
    blocks,
    context,
    embeddings,
    feedforward,
    heads,
    make,
    readings,
    relative,
)
from hornbook.models.two_stream import TwoStreamNetwork
from hornbook.objectives.split import Split

MonkeyPatch = pytest.MonkeyPatch
Patch = Callable[[MonkeyPatch], None]
Change = Callable[[Any], None]


def nothing(_: Any) -> None:
    """No patch, no change."""


@contextmanager
def replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    with MonkeyPatch.context() as patch:
        patch.setattr(module, name, value)
        yield


def per_head(groups: int, sizes: tuple[int, int, int]) -> Change:
    """Fused maps read group by group, [q k v] of each, instead of as blocks [Q | K | V]."""

    def change(network: Any) -> None:
        for block in network.blocks:
            fused = block.attention.qkv
            d_head = block.attention.choice.d_head

            def forward(x, right=fused.forward, d_head=d_head):
                by_group = right(x).unflatten(-1, (groups, sum(sizes), d_head))
                return torch.cat([y.flatten(-3) for y in by_group.split(sizes, dim=-2)], dim=-1)

            fused.forward = forward

    return change


def to_layers(put: Callable[[Any, int], None]) -> Change:
    """A change to each block of the only stack, or of both."""

    def change(network: Any) -> None:
        stacks = (network.encoder, network.decoder) if network.spec.encoder else (network,)
        for stack in stacks:
            for number, block in enumerate(stack.blocks):
                put(block, number)

    return change


def with_rotation(**values: Any) -> Change:
    def put(block: Any, number: int) -> None:
        choice = block.attention.choice
        block.attention.choice = replace(choice, rotation=replace(choice.rotation, **values))

    return to_layers(put)


def with_eps(eps: float) -> Change:
    def change(network: Any) -> None:
        for module in network.modules():
            if hasattr(module, "eps"):
                module.eps = eps

    return change


def swapped_keys(module: Any, end: str) -> Patch:
    """The layout's two names behind our map of this name, the other way round."""

    def patch(monkey: MonkeyPatch) -> None:
        right = module.HUGGING_FACE
        keys = tuple(
            replace(key, theirs=key.theirs[::-1]) if key.ours.endswith(end) else key
            for key in right.keys
        )
        monkey.setattr(module, "HUGGING_FACE", replace(right, keys=keys))

    return patch


def pre_norm(patch: MonkeyPatch) -> None:
    patch.setattr(blocks.PostNormBlock, "forward", blocks.PreNormBlock.forward)


def a_final_norm(network: Any) -> None:
    network.final_norm = nn.LayerNorm(40, elementwise_affine=False)


def no_final_norm(network: Any) -> None:
    network.final_norm = None


def other_gelu(name: str, other: str) -> Patch:
    table = feedforward.ACTIVATIONS
    return lambda patch: patch.setitem(table, name, table[other])


def output_map_as_it_stands(patch: MonkeyPatch) -> None:
    right = gpt2.HUGGING_FACE
    keys = tuple(
        replace(key, form="same") if key.ours.endswith("attention.out.weight") else key
        for key in right.keys
    )
    patch.setattr(gpt2, "HUGGING_FACE", replace(right, keys=keys))


def scale_by_the_width(patch: MonkeyPatch) -> None:
    right = attention.attend
    patch.setattr(
        attention,
        "attend",
        lambda q, k, v, choice, *rest: right(q, k, v, replace(choice, scale=40**-0.5), *rest),
    )


def visible_up_to(ahead: int) -> Patch:
    """Queries see keys up to `ahead` after themselves."""

    def see(mask, start, new, device):
        every = torch.arange(start + new)
        allowed = every[None, :] <= every[start:, None] + ahead
        grad = torch.is_grad_enabled()
        return context.Visibility(allowed=allowed[None, None], in_blocks=grad)

    return lambda patch: patch.setattr(context, "see", see)


def unshifted_positions(patch: MonkeyPatch) -> None:
    right = readings.CausalReading.positions
    patch.setattr(
        readings.CausalReading, "positions", lambda self, ids, starts=None: right(self, ids)
    )


def all_seen(rule: str) -> Patch:
    return lambda patch: patch.setitem(masks.RULES, rule, masks.RULES["full"])


def source_padding_is_seen(patch: MonkeyPatch) -> None:
    whole = context.Source.visibility
    patch.setattr(
        context.Source,
        "visibility",
        lambda self: whole(context.Source(self.states, masks.full())),
    )


def wider_band(patch: MonkeyPatch) -> None:
    patch.setitem(
        masks.RULES, "band", lambda mask, row, query, key: (query - key).abs() <= mask.width
    )


def other_layers(number: Callable[[int], int]) -> Patch:
    return lambda patch: patch.setattr(
        spec.Stack, "layer", lambda self, layer: self.blocks[number(layer) % len(self.blocks)]
    )


def no_embedding_norm(network: Any) -> None:
    network.embedding.norm = None


def norm_after_dropout(patch: MonkeyPatch) -> None:
    right = embeddings.Embedding.forward

    def forward(self, *given):
        norm, self.norm = self.norm, None
        try:
            return norm(right(self, *given))
        finally:
            self.norm = norm

    patch.setattr(embeddings.Embedding, "forward", forward)


def no_transform_norm(network: Any) -> None:
    network.head.norm = nn.Identity()


def no_own_bias(network: Any) -> None:
    network.head.bias.zero_()


def one_segment(patch: MonkeyPatch) -> None:
    patch.setattr(embeddings.Segments, "forward", lambda self, s: F.embedding(0 * s, self.weight))


def positions_from(count: Callable[[Tensor], Tensor]) -> Patch:
    """RoBERTa's positions, made of the ids by `count` (their first row is -1)."""
    return lambda patch: patch.setattr(
        readings.UnpaddedReading, "positions", lambda self, ids, starts=None: count(ids)
    )


def offset_of(rows: int) -> Change:
    def change(network: Any) -> None:
        network.embedding.positions.offset = rows
        network.source_embedding.positions.offset = rows

    return change


def prepared_with(put: Callable[[dict[str, Any]], None]) -> Patch:
    right = Split.prepare

    def prepare(self, rows, numbers):
        arrays = dict(right(self, rows, numbers))
        put(arrays)
        return arrays

    return lambda patch: patch.setattr(Split, "prepare", prepare)


def shifted_twice(arrays: dict[str, Any]) -> None:
    arrays["targets"] = np.roll(arrays["targets"], -1, axis=1)
    arrays["targets"][:, -1] = -100


def begun_with_bos(arrays: dict[str, Any]) -> None:
    arrays["tokens"][:, 0] = 0


def source_seen_causally(patch: MonkeyPatch) -> None:
    def visibility(self):
        queries = torch.arange(self.start, self.start + self.new)
        keys = torch.arange(self.source.states.shape[1])
        allowed = self.mask.allowed(queries, keys).unsqueeze(1)
        return context.Visibility(allowed=allowed, in_blocks=torch.is_grad_enabled())

    patch.setattr(context.Context, "source_visibility", visibility)


def scaled_scores(network: Any) -> None:
    def put(block: Any, number: int) -> None:
        for part in (block.attention, block.cross):
            if part is not None:
                part.choice = replace(part.choice, scale=None)

    to_layers(put)(network)


def query_minus_key(patch: MonkeyPatch) -> None:
    right = bias.BucketBias.buckets
    patch.setattr(bias.BucketBias, "buckets", lambda self, distances: right(self, -distances))


def both_ways(network: Any) -> None:
    network.decoder.bias.choice = network.encoder.bias.choice


def the_encoders_table(network: Any) -> None:
    network.decoder.bias.weight.copy_(network.encoder.bias.weight)


def bias_of_the_first_layer_alone(network: Any) -> None:
    def put(block: Any, number: int) -> None:
        right = block.attention.forward

        def forward(x, told, cache):
            kept, told.bias = told.bias, told.bias if number == 0 else None
            try:
                return right(x, told, cache)
            finally:
                told.bias = kept

        block.attention.forward = forward

    to_layers(put)(network)


def a_table_a_layer(patch: MonkeyPatch) -> None:
    right = stacks.lay_stack

    def lay_stack(stack, choice, whole):
        right(stack, choice, whole)
        for block in stack.blocks[1:]:
            block.bias = make(choice.bias, choice, whole)

    patch.setattr(stacks, "lay_stack", lay_stack)


def unscaled_head(network: Any) -> None:
    network.head.scale = 1.0


def scaled_head(network: Any) -> None:
    right = network.head.forward
    network.head.forward = lambda table: replace(right(table), scale=40**-0.5)


def from_meta_as_it_stands(network: Any) -> None:
    """Rows of queries and keys in the order of Meta's files, where neighbours turn together."""
    for block in network.blocks:
        choice = block.attention.choice
        turned = (choice.n_heads + choice.n_kv_heads) * choice.d_head
        rows = block.attention.qkv.weight[:turned]
        by_head = rows.view(-1, 2, choice.d_head // 2, rows.shape[1])
        rows.copy_(by_head.transpose(1, 2).reshape(rows.shape).clone())


def values_turn_too(patch: MonkeyPatch) -> None:
    right, attend = attention.Attention.forward, attention.attend

    def forward(self, x, told, cache):
        def turned(q, k, v, *rest):
            return attend(q, k, told.rotate(self.choice.rotation, v), *rest)

        with replaced(attention, "attend", turned):
            return right(self, x, told, cache)

    patch.setattr(attention.Attention, "forward", forward)


def positions_begin_again(network: Any) -> None:
    right = network.forward

    def forward(ids, *, cache=None, **rules):
        if cache is not None:
            rules = {"positions": torch.arange(ids.shape[1])[None], "mask": masks.causal(), **rules}
        return right(ids, cache=cache, **rules)

    network.forward = forward


def a_narrow_seventy_billion(patch: MonkeyPatch) -> None:
    right = llama2.SIZES["70b"]
    narrow = {**right.dimensions, "d_ff": llama.inner_width(8192)}
    patch.setitem(llama2.SIZES, "70b", replace(right, dimensions=narrow))


def distances_the_other_way(patch: MonkeyPatch) -> None:
    right = TwoStreamNetwork._distances

    def distances(self, every, new):
        order = torch.arange(every, -new - 1, -1)
        assert right(self, every, new).shape[0] == len(order)
        return self.sinusoids(-order, self.dtype)

    patch.setattr(TwoStreamNetwork, "_distances", distances)


def outputs_are_remembered(patch: MonkeyPatch) -> None:
    right = TwoStreamNetwork._run

    def run(self, h, g, content, view, cache, hidden_states):
        hidden = right(self, h, g, content, view, cache, True)
        if cache is not None:
            here = slice(cache.length - h.shape[1], cache.length)
            for layer, state in enumerate(hidden.states[1:]):
                cache.layers[layer, 0, :, here, 0] = state
        return hidden

    patch.setattr(TwoStreamNetwork, "_run", run)


def remembered_with_gradient(patch: MonkeyPatch) -> None:
    """Memory that is kept as it was computed, besides the cache."""
    right, memory = relative.RelativeAttention.keys_values, {}

    def keys_values(self, states, layer):
        if layer is None or not torch.is_grad_enabled():
            return right(self, states, layer)
        before = memory.get(self, states[:, :0])
        memory[self] = torch.cat([before, states], 1)
        layer.append(states.detach()[:, :, None])
        return right(self, memory[self], None)

    patch.setattr(relative.RelativeAttention, "keys_values", keys_values)


def memory_is_another_segment(patch: MonkeyPatch) -> None:
    other = SimpleNamespace(pad=lambda own, sizes: F.pad(own, sizes, value=9))
    patch.setattr(two_stream, "F", other)


def content_sees_not_itself(patch: MonkeyPatch) -> None:
    right = TwoStreamNetwork.forward

    def forward(self, ids, *, mask=None, **rules):
        mask = (mask or masks.full()) & masks.others()
        return right(self, ids, mask=mask, **rules)

    patch.setattr(TwoStreamNetwork, "forward", forward)


def queries_see_themselves(patch: MonkeyPatch) -> None:
    patch.setitem(masks.RULES, "others", masks.RULES["full"])


def part_a_sees_part_b(patch: MonkeyPatch) -> None:
    def rule(mask, row, query, key):
        length = mask.tensor[row]
        return (key <= query) | (key < length) | (query < length)

    patch.setitem(masks.RULES, "prefix", rule)


def own_places(patch: MonkeyPatch) -> None:
    right = readings.BlankReading.positions

    def positions(self, ids, starts=None):
        found = right(self, ids, starts)
        found[0] = torch.arange(ids.shape[1])
        return found

    patch.setattr(readings.BlankReading, "positions", positions)


def a_smaller_alpha(network: Any) -> None:
    for block in network.blocks:
        block.scale = len(network.blocks) ** 0.5


def a_copied_head(network: Any) -> None:
    copied = network.table.clone()
    network.head.forward = lambda table: heads.OutputHead(
        copied, None, network.head.scale, network.head.vocab_size
    )


def a_head_of_its_own(patch: MonkeyPatch) -> None:
    right = heads.TiedHead.__init__

    def init(self, choice, whole):
        right(self, choice, whole)
        self.weight = nn.Parameter(torch.empty(whole.vocab_size, whole.d_model))

    patch.setattr(heads.TiedHead, "__init__", init)


def residuals_as_large(patch: MonkeyPatch) -> None:
    patch.setattr(
        initialisation.DepthScaledNormal,
        "deviation",
        lambda self, layers, fan_in, fan_out: self.std,
    )
