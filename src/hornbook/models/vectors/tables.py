"""The two tables of vectors, and the step that changes them.

    h = mean of v over the words a row reads        x = u_o · h
    g = rate (right - σ(x)),   σ(x) = 0 below -6 and 1 above 6
    v += Σ g u   (undivided, for each word read)    u += Σ g h   (old h)

Source: Mikolov et al. 2013b, equation 4, as the released code computes it. Departure: a step takes
many words at once. All errors are taken from the tables as they were before it, and a vector
changes by their sum; where rate times their number is more than LIMIT, the sum is made as much
smaller, without which small vocabularies diverge.

A chunk's scores are a sparse matrix of rows by words, of which only the entries are computed; the
sums are gathered by word, each by one thread in one order, so the same bytes come from any number
of threads.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from hornbook.models.vectors.examples import Examples, Grouped

SATURATION = 6.0
LIMIT = 6.4


@dataclass(frozen=True, eq=False)
class Tables:
    """inputs: v, where a word is read; outputs: u, where it is predicted; both [words, d_model]."""

    inputs: Float[Tensor, "words d_model"]
    outputs: Float[Tensor, "words d_model"]


def fresh_tables(words: int, d_model: int, seed: int) -> Tables:
    """v even in ±1/(2 d), u zero, as the released code draws them."""
    generator = torch.Generator().manual_seed(seed)
    inputs = (torch.rand(words, d_model, generator=generator) - 0.5) / d_model
    return Tables(inputs, torch.zeros(words, d_model))


@torch.inference_mode()
def step(tables: Tables, examples: Examples, rate: float) -> None:
    """Change both tables in place by what a chunk teaches."""
    hidden, scores = _scores(tables, examples)
    right, times = (torch.from_numpy(n).to(scores.dtype) for n in (examples.right, examples.times))
    errors = rate * (right - times * _sigmoid(scores))
    to_rows = _sums(tables.outputs, examples.targets, examples.target_starts[:-1], errors)
    outputs, inputs = examples.by_target, examples.by_read
    turned = errors[torch.from_numpy(outputs.order)]
    of_outputs = _sums(hidden, examples.entry_rows[outputs.order], outputs.starts, turned)
    of_inputs = _sums(to_rows, examples.read_rows[inputs.order], inputs.starts)
    met = np.add.reduceat(examples.times[outputs.order], outputs.starts)
    _change(tables.outputs, of_outputs, outputs, rate * met)
    of_rows = np.add.reduceat(examples.times, examples.target_starts[:-1])
    met = np.add.reduceat(of_rows[examples.read_rows[inputs.order]], inputs.starts)
    _change(tables.inputs, of_inputs, inputs, rate * met)


@torch.inference_mode()
def mean_loss(tables: Tables, examples: Examples) -> float:
    """-ln σ(u_o · h) - Σ_k ln σ(-u_k · h), in nats, the mean over right words."""
    _, scores = _scores(tables, examples)
    right, wrong = (
        torch.from_numpy(examples.right),
        torch.from_numpy(examples.times - examples.right),
    )
    gained = right * F.logsigmoid(scores) + wrong * F.logsigmoid(-scores)
    return -float(gained.sum() / right.sum())


def _scores(tables: Tables, examples: Examples) -> tuple[Tensor, Tensor]:
    """h [rows, d_model] and x [entries]."""
    hidden = _means(tables.inputs, examples.read, examples.read_starts)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        pattern = torch.sparse_csr_tensor(
            torch.from_numpy(examples.target_starts),
            torch.from_numpy(examples.targets),
            hidden.new_zeros(len(examples.targets)),
            size=(len(hidden), len(tables.outputs)),
            check_invariants=False,
        )
    products = torch.sparse.sampled_addmm(pattern, hidden, tables.outputs.t(), beta=0.0)
    return hidden, products.values()


def _sigmoid(scores: Tensor) -> Tensor:
    sure = scores.abs() > SATURATION
    return torch.where(sure, (scores > 0).to(scores.dtype), scores.sigmoid())


def _means(table: Tensor, rows: np.ndarray, starts: np.ndarray) -> Tensor:
    return F.embedding_bag(torch.from_numpy(rows), table, torch.from_numpy(starts), mode="mean")


def _sums(
    table: Tensor, rows: np.ndarray, starts: np.ndarray, weights: Tensor | None = None
) -> Tensor:
    """Σ weight table[row] over the rows from each start to the next."""
    return F.embedding_bag(
        torch.from_numpy(rows),
        table,
        torch.from_numpy(starts),
        mode="sum",
        per_sample_weights=weights,
    )


def _change(table: Tensor, sums: Tensor, grouped: Grouped, reach: np.ndarray) -> None:
    """Add the sums to their words' vectors, those that reach too far made smaller."""
    share = torch.from_numpy(np.minimum(1.0, LIMIT / reach)).to(sums.dtype)
    table.index_add_(0, torch.from_numpy(grouped.words), sums.mul_(share[:, None]))
