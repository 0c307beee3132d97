"""Head and cross-entropy chunk by chunk, forward and gradient together.

The logits of a batch are its largest tensor: 4096 targets over 128 k tokens are 2 GB, and three
such tensors live at once when autograd keeps them. Here a chunk of rows goes through head, softmax,
loss and both gradients before the next one begins, so that one chunk is all that ever exists.

Equations, for a row h with target y, head weight W, bias b and scale s:

    z = s h Wᵀ + b            log Z = log Σ_j exp z_j
    nll = log Z - z_y         dz = softmax(z) - onehot(y)
    z-loss = w (log Z)²       dz += 2 w log Z softmax(z)          (Chowdhery et al. 2022, section 5)

Products run in the dtype of W (bf16 when training in bf16), softmax and sums in fp32: the gradients
of W and b too are added up in fp32 over the chunks, and rounded to their dtype once. log Z is
max z - log max softmax(z): max softmax(z) ≥ 1/V never underflows, so the loss stays exact where the
target's own probability is 0 in fp32. Columns past `vocab_size` are padding: -inf before the
softmax, hence zero gradient to their rows of W.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK_ROWS = 512


class Head(Protocol):
    """What the loss needs of a network's output head."""

    @property
    def weight(self) -> Tensor:
        """The rows of the vocabulary, [padded vocabulary, d_model]."""

    @property
    def bias(self) -> Tensor | None:
        """One number a row of the vocabulary, or None."""

    @property
    def scale(self) -> float:
        """What logits are multiplied with."""

    @property
    def vocab_size(self) -> int:
        """Rows that are tokens; those behind are padding."""

    def enter(self, hidden: Tensor) -> Tensor:
        """What the weight is multiplied with: the hidden rows, in its dtype."""


class Sums(NamedTuple):
    """Sums over targets: `total` is differentiable and holds the z-loss, `nll` is neither."""

    total: Float[Tensor, ""]
    nll: Float[Tensor, ""]


class Scores(NamedTuple):
    """Per target: log-probability of the target, and log of the normaliser."""

    log_probability: Float[Tensor, " n"]
    log_z: Float[Tensor, " n"]


def cross_entropy(
    hidden: Float[Tensor, "n d_model"],
    head: Head,
    targets: Int[Tensor, " n"],
    *,
    z_loss: float = 0.0,
    chunk_rows: int = CHUNK_ROWS,
) -> Sums:
    """Sum over rows of -log p(target), plus `z_loss` times the sum of log² Z.

    Every row of `hidden` has a target: gather the rows first (`Batch.target_index`).
    Forms gradients only where autograd asks for them.
    """
    if not torch.is_grad_enabled():
        log_p, log_z = token_scores(hidden, head, targets, chunk_rows=chunk_rows)
        nll = -log_p.sum()
        return Sums(nll + z_loss * log_z.square().sum() if z_loss else nll, nll)
    apply = cast("Callable[..., tuple[Tensor, Tensor]]", _CrossEntropy.apply)
    with torch.autocast(hidden.device.type, enabled=False):
        inputs = (head.enter(hidden), head.weight, head.bias, targets)
        total, nll = apply(*inputs, float(head.scale), head.vocab_size, z_loss, chunk_rows)
    return Sums(total, nll)


def token_scores(
    hidden: Float[Tensor, "n d_model"],
    head: Head,
    targets: Int[Tensor, " n"],
    *,
    chunk_rows: int = CHUNK_ROWS,
) -> Scores:
    """(log p(target), log Z) of every row, differentiable; what DPO, PPO and scoring use.

    The backward pass forms each chunk's logits once more instead of keeping them.
    """
    differentiable = cast("Callable[..., tuple[Tensor, Tensor]]", _TokenScores.apply)
    score = differentiable if torch.is_grad_enabled() else _scores
    with torch.autocast(hidden.device.type, enabled=False):
        inputs = (head.enter(hidden), head.weight, head.bias, targets)
        return Scores(*score(*inputs, float(head.scale), head.vocab_size, chunk_rows))


class _Chunks:
    """The buffers of one chunk, used again for every chunk of a call."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, scale: float, vocab_size: int, rows: int
    ) -> None:
        self.weight, self.bias, self.scale, self.vocab_size = weight, bias, scale, vocab_size
        self.product = weight.new_empty(rows, weight.shape[0])
        exact = weight.dtype in (torch.float32, torch.float64)
        self.logits = self.product if exact else torch.empty_like(self.product, dtype=torch.float32)

    def form(self, hidden: Tensor) -> Tensor:
        """Logits of these rows in fp32 (fp64 for an fp64 head), padded columns -inf."""
        product = torch.mm(hidden, self.weight.t(), out=self.product[: len(hidden)])
        logits = self.logits[: len(hidden)]
        if logits.dtype != product.dtype:
            logits.copy_(product)
        if self.scale != 1.0:
            logits.mul_(self.scale)
        if self.bias is not None:
            logits.add_(self.bias)
        logits[:, self.vocab_size :] = float("-inf")
        return logits

    def lower(self, of_logits: Tensor) -> Tensor:
        """The gradient to the product h Wᵀ, in the dtype products run in."""
        if self.scale != 1.0:
            of_logits.mul_(self.scale)
        product = self.product[: len(of_logits)]
        return of_logits if of_logits.dtype == product.dtype else product.copy_(of_logits)


class _Gradients:
    """Gradients to hidden rows, weight and bias, added up chunk by chunk; None where unwanted."""

    def __init__(self, hidden: Tensor, chunks: _Chunks, wanted: tuple[bool, ...]) -> None:
        self.rows_of_hidden = hidden
        self.chunks = chunks
        weight, bias, dtype = chunks.weight, chunks.bias, chunks.logits.dtype
        self.hidden = torch.empty_like(hidden) if wanted[0] else None
        self.weight = torch.zeros_like(weight, dtype=dtype) if wanted[1] else None
        self.share = torch.empty_like(weight) if wanted[1] and weight.dtype != dtype else None
        self.bias = torch.zeros_like(bias, dtype=dtype) if bias is not None and wanted[2] else None

    def add(self, rows: slice, of_logits: Tensor) -> None:
        """Add one chunk's share; overwrites `of_logits`."""
        if self.bias is not None:
            self.bias.add_(of_logits.sum(0))
        product = self.chunks.lower(of_logits)
        if self.hidden is not None:
            torch.mm(product, self.chunks.weight, out=self.hidden[rows])
        if self.weight is not None and self.share is None:
            self.weight.addmm_(product.t(), self.rows_of_hidden[rows])
        elif self.weight is not None:
            self.weight.add_(torch.mm(product.t(), self.rows_of_hidden[rows], out=self.share))

    def times(self, factor: Tensor | float) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """All three, multiplied in place, in the dtypes of what they are gradients to."""
        pairs = (
            (self.hidden, self.rows_of_hidden),
            (self.weight, self.chunks.weight),
            (self.bias, self.chunks.bias),
        )
        hidden, weight, bias = (
            None if gradient is None or of is None else gradient.mul_(factor).to(of.dtype)
            for gradient, of in pairs
        )
        return hidden, weight, bias


def _softmax_(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities in place of the logits; with them log p(target) and log Z, [rows, 1] each."""
    of_target = logits.gather(1, target)
    largest = logits.amax(1, keepdim=True)
    torch.softmax(logits, 1, out=logits)
    log_z = largest - logits.amax(1, keepdim=True).log()
    return logits, of_target - log_z, log_z


def _slices(n: int, rows: int) -> list[slice]:
    """Chunks of `rows` rows that cover n rows."""
    return [slice(start, min(start + rows, n)) for start in range(0, n, rows)]


class _CrossEntropy(torch.autograd.Function):
    """The fused form: gradients are made in the forward pass and scaled in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        scale: float,
        vocab_size: int,
        z_loss: float,
        chunk_rows: int,
    ) -> tuple[Tensor, Tensor]:
        chunks = _Chunks(weight, bias, scale, vocab_size, min(chunk_rows, len(hidden)))
        gradients = _Gradients(hidden, chunks, ctx.needs_input_grad[:3])
        nll = chunks.logits.new_zeros(())
        squares = chunks.logits.new_zeros(())
        for rows in _slices(len(hidden), chunk_rows):
            target = targets[rows, None]
            p, log_p, log_z = _softmax_(chunks.form(hidden[rows]), target)
            nll -= log_p.sum()
            if z_loss:
                squares += log_z.square().sum()
                p.mul_(1 + 2 * z_loss * log_z)
            p.scatter_add_(1, target, torch.full_like(log_p, -1.0))
            gradients.add(rows, p)
        ctx.gradients = gradients
        ctx.mark_non_differentiable(nll)
        return nll + z_loss * squares, nll

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradients: _Gradients = ctx.gradients
        del ctx.gradients
        return *gradients.times(upstream[0]), *(None,) * 5


class _TokenScores(torch.autograd.Function):
    """Per-row scores; the backward pass forms the chunk's logits again."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        scale: float,
        vocab_size: int,
        chunk_rows: int,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(hidden, weight, bias, targets)
        ctx.settings = scale, vocab_size, chunk_rows
        return _scores(hidden, weight, bias, targets, scale, vocab_size, chunk_rows)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        of_log_p, of_log_z = upstream
        hidden, weight, bias, targets = ctx.saved_tensors
        scale, vocab_size, chunk_rows = ctx.settings
        chunks = _Chunks(weight, bias, scale, vocab_size, min(chunk_rows, len(hidden)))
        gradients = _Gradients(hidden, chunks, ctx.needs_input_grad[:3])
        for rows in _slices(len(hidden), chunk_rows):
            target = targets[rows, None]
            p = torch.softmax(logits := chunks.form(hidden[rows]), 1, out=logits)
            p.mul_((of_log_z - of_log_p)[rows, None])
            p.scatter_add_(1, target, of_log_p[rows, None].to(p.dtype))
            gradients.add(rows, p)
        return *gradients.times(1.0), *(None,) * 4


def _scores(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    scale: float,
    vocab_size: int,
    chunk_rows: int,
) -> tuple[Tensor, Tensor]:
    """(log p(target), log Z) without gradients."""
    chunks = _Chunks(weight, bias, scale, vocab_size, min(chunk_rows, len(hidden)))
    log_p = chunks.logits.new_empty(len(hidden))
    log_z = chunks.logits.new_empty(len(hidden))
    for rows in _slices(len(hidden), chunk_rows):
        _, p, z = _softmax_(chunks.form(hidden[rows]), targets[rows, None])
        log_p[rows], log_z[rows] = p[:, 0], z[:, 0]
    return log_p, log_z
