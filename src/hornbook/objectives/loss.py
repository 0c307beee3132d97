"""What an objective returns: a sum over targets and their number, never a mean.

Micro-batches and processes hold different numbers of targets; only sums can be added and divided
once by the global count, so that accumulation does not change the gradient.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """One micro-batch's loss.

    `total` is what is differentiated: the sum over `targets` targets, in nats (regularisers such as
    the z-loss included). `metrics` are detached sums over the same targets, by name; "nll" is the
    plain negative log-likelihood.
    """

    total: Float[Tensor, ""]
    targets: int
    metrics: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
