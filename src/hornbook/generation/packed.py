"""Weights laid out for reading one token at a time on a CPU.

A step of generation multiplies each matrix with a row or a few: its time is that of reading the
weights, and torch's plain product reads them at a quarter of the memory's speed. `packed` gives a
network that looks the same and multiplies in a faster way; the network itself is not touched.
Results differ in the last bits.

- One row in float32, on x86: MKL gives a product with one row to one thread, and a batch of them
  to all. So every thread multiplies its share of the matrix, as a batch. Nothing is copied.
- One row in bfloat16, on x86: W x is the sum of W's columns, weighted by x, and weighted sums of
  rows are what torch's embedding bags are made for. So bags add up the rows of W's transpose, a
  copy.
- Else a few rows: oneDNN's own layout of a weight, a copy. Its operations are torch's own, but
  private: where they are missing the network is returned as it is.

Copies cost the weights' memory once more while they live.
"""

import copy
import math
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

WORTH_PACKING = 32
"""Steps from which on laying the weights out anew takes less time than it saves."""

OPERATIONS = ("_reorder_linear_weight", "_linear_pointwise")

COLUMNS_OF_A_BAG = 128
"""As wide as a sum may be that the kernel keeps in registers."""


def packed(network: Network, rows: int, steps: int) -> Any:
    """The network as `rows` sequences at once read it fastest, for inference only, `steps` times.

    Itself where nothing can be gained.
    """
    weight = network.table
    product = _product_for(weight.dtype, rows, steps)
    if isinstance(network.head, _PackedHead) or not weight.is_cpu or product is None:
        return network
    with torch.inference_mode():
        view = _copied(network, product)
        view.head = _PackedHead(network.output, product)
    return view


def _product_for(dtype: torch.dtype, rows: int, steps: int) -> type["_Product"] | None:
    """The fastest of the ways, or None where that is torch's own."""
    one_row_on_x86 = rows == 1 and torch.backends.cpu.get_cpu_capability().startswith("AVX")
    if one_row_on_x86 and dtype == torch.float32:
        return _Shared
    if dtype not in (torch.float32, torch.bfloat16) or rows > MOST_ROWS or steps < WORTH_PACKING:
        return None
    if one_row_on_x86:
        return _Bags
    return _Packed if all(hasattr(torch.ops.mkldnn, name) for name in OPERATIONS) else None


def _copied(module: nn.Module, product: type["_Product"]) -> Any:
    """A copy of the tree of modules over the same parameters, whose maps are other products."""
    if isinstance(module, Linear):
        return product(module.weight, module.bias)
    view = copy.copy(module)
    view._modules = {
        name: None if child is None else _copied(child, product)
        for name, child in module._modules.items()
    }
    # Found at once as attributes; torch's own look-up of them takes a twentieth of a step.
    vars(view).update(view._modules, **view._parameters)
    return view


class _Product(nn.Module):
    """x W^T + b, W [out, in]; `weight` is there for parts that read it themselves."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = weight.detach()
        self.bias = None if bias is None else bias.detach().to(weight.dtype)


class _Shared(_Product):
    """For one row: every thread multiplies with as many rows of W."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias)
        shares = math.gcd(torch.get_num_threads(), len(weight))
        self.shares = self.weight.reshape(shares, -1, weight.shape[1])
        self.column = None if self.bias is None else self.bias.view(shares, -1, 1)

    def forward(self, x: Float[Tensor, "... width_in"]) -> Float[Tensor, "... width_out"]:
        """Apply the map to the last axis."""
        x, width = x.to(self.weight.dtype), x.shape[-1]
        if x.numel() > width:
            return F.linear(x, self.weight, self.bias)
        # A column whose strides say so: with (1, 1) MKL would take a slower way.
        column = x.contiguous().as_strided((len(self.shares), width, 1), (0, 1, width))
        if self.column is None:
            y = torch.bmm(self.shares, column)
        else:
            y = torch.baddbmm(self.column, self.shares, column)
        return y.view(*x.shape[:-1], -1)


class _Bags(_Product):
    """For one row: sums of the rows of W^T [in, out] and b, weighted by x and 1.

    W^T is cut into blocks of columns, one bag each; bags are added up in float32, by all threads.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias)
        width_out, width_in = weight.shape
        bags = _count_of_bags(width_out)
        length = width_in + (bias is not None)
        blocks = self.weight.view(bags, -1, width_in).transpose(1, 2)
        if self.bias is not None:
            blocks = torch.cat([blocks, self.bias.view(bags, 1, -1)], dim=1)
        self.rows = blocks.reshape(bags * length, -1)
        self.every = torch.arange(bags * length, dtype=torch.int32)
        self.firsts = self.every[::length].contiguous()
        self.factors = weight.new_ones(bags * length)
        self.inputs = self.factors.view(1, bags, length)[:, :, :width_in]

    def forward(self, x: Float[Tensor, "... width_in"]) -> Float[Tensor, "... width_out"]:
        """Apply the map to the last axis."""
        if x.numel() > x.shape[-1]:
            return F.linear(x.to(self.weight.dtype), self.weight, self.bias)
        self.inputs.copy_(x)
        # As F.embedding_bag(…, mode="sum", per_sample_weights=…), without its checks in Python.
        y = torch.embedding_bag(self.rows, self.every, self.firsts, False, 0, False, self.factors)
        return y[0].view(*x.shape[:-1], -1)


def _count_of_bags(width: int) -> int:
    """The fewest of at most `COLUMNS_OF_A_BAG` columns, as many for each thread where it can be."""
    counts = [n for n in range(-(-width // COLUMNS_OF_A_BAG), width + 1) if width % n == 0]
    return next((n for n in counts if n % torch.get_num_threads() == 0), counts[0])


class _Packed(_Product):
    """For a few rows: oneDNN's layout of W."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias)
        # The layout for several rows is the faster one for a single row too.
        self.layout = torch.ops.mkldnn._reorder_linear_weight(self.weight.contiguous(), MOST_ROWS)

    def forward(self, x: Float[Tensor, "... width_in"]) -> Float[Tensor, "... width_out"]:
        """Apply the map to the last axis."""
        x = x.to(self.weight.dtype)
        if x.numel() > MOST_ROWS * x.shape[-1]:
            return F.linear(x, self.weight, self.bias)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.contiguous(), self.layout, self.bias, "none", [], ""
        )
        return y


class _PackedHead(nn.Module):
    """As a head's module, with packed logits: of the padded table, since its rows can be shared."""

    def __init__(self, head: OutputHead, product: type[_Product]) -> None:
        super().__init__()
        self.head, self.product = head, product(head.weight, head.bias)

    def forward(self, table: Tensor) -> "_PackedHead":
        """Itself: what a head's module returns needs `logits` alone here."""
        return self

    def logits(self, hidden: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocab_size"]:
        """Scores of every token."""
        hidden = self.head.enter(hidden)
        hidden = hidden if self.head.scale == 1.0 else hidden * self.head.scale
        scores: Tensor = self.product(hidden)
        return scores[..., : self.head.vocab_size]
