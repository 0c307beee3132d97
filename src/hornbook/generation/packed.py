"""Weights laid out for reading one token at a time on a CPU.

A step of generation multiplies each matrix with a row or a few: its time is that of reading the
weights, and torch's plain product reads them at a third of the memory's speed. oneDNN's own layout
of a weight reads two to three times as fast. `packed` gives a network that looks the same and
computes its maps and its head from packed copies; the network itself is not touched. Results differ
in the last bits. The copies cost the weights' memory once more while they live.

The two operations are torch's own, but private: where they are missing, or the dtype is another,
the network is returned as it is.
"""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models.parts.heads import OutputHead
from hornbook.models.parts.linear import Linear
from hornbook.models.stacks import Network

MOST_ROWS = 8
"""More rows than these are multiplied as usual: reading the weights is then a smaller part."""

OPERATIONS = ("_reorder_linear_weight", "_linear_pointwise")


def packed(network: Network) -> Any:
    """The network with packed maps, for inference only; itself where nothing can be gained."""
    if isinstance(network.head, _PackedHead):
        return network
    weight = network.table
    there = all(hasattr(torch.ops.mkldnn, name) for name in OPERATIONS)
    if weight.is_cpu and there and weight.dtype in (torch.float32, torch.bfloat16):
        with torch.inference_mode():
            view = _viewed(network)
            view.head = _PackedHead(network.output)
        return view
    return network


def _viewed(module: nn.Module) -> Any:
    """A copy of the tree of modules over the same parameters, with maps that are packed."""
    if isinstance(module, Linear):
        return _PackedLinear(module)
    view = copy.copy(module)
    view._modules = {
        name: None if child is None else _viewed(child) for name, child in module._modules.items()
    }
    return view


class _Packed:
    """x W^T + b from a packed copy of W [out, in]."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight.detach()
        self.bias = None if bias is None else bias.detach().to(weight.dtype)
        self.layout = torch.ops.mkldnn._reorder_linear_weight(self.weight.contiguous(), 1)

    def __call__(self, x: Float[Tensor, "... width_in"]) -> Float[Tensor, "... width_out"]:
        x = x.to(self.weight.dtype)
        if x.numel() > MOST_ROWS * x.shape[-1]:
            return F.linear(x, self.weight, self.bias)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.contiguous(), self.layout, self.bias, "none", [], ""
        )
        return y


class _PackedLinear(nn.Module):
    """As `Linear`, packed; its weight is there for parts that read it themselves."""

    def __init__(self, linear: Linear) -> None:
        super().__init__()
        self.weight, self.rows = linear.weight, linear.rows
        self.product = _Packed(linear.weight, linear.bias)

    def forward(self, x: Float[Tensor, "... width_in"]) -> Float[Tensor, "... width_out"]:
        """Apply the map to the last axis."""
        return self.product(x)


class _PackedHead(nn.Module):
    """As a head's module, with logits from a packed copy of the rows that are tokens."""

    def __init__(self, head: OutputHead) -> None:
        super().__init__()
        self.scale, self.transform = head.scale, head.transform
        bias = None if head.bias is None else head.bias[: head.vocab_size]
        self.product = _Packed(head.weight[: head.vocab_size], bias)

    def forward(self, table: Tensor) -> "_PackedHead":
        """Itself: what a head's module returns needs `logits` alone here."""
        return self

    def logits(self, hidden: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocab_size"]:
        """Scores of every token."""
        hidden = hidden if self.transform is None else self.transform(hidden)
        hidden = hidden.to(self.product.weight.dtype)
        return self.product(hidden if self.scale == 1.0 else hidden * self.scale)
