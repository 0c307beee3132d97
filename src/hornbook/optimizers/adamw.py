"""AdamW: Adam with weight decay apart from the gradient.

For update t, gradient g, rate a, decay c:

    w <- w (1 - a c)
    m <- b1 m + (1 - b1) g              v <- b2 v + (1 - b2) g²
    w <- w - a m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

Sources: Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019, algorithm 2 (the decay is
multiplied with the rate, as in torch). The plain form below is the definition; the fused form is
torch's kernel, one pass over the flat buffer, equal to it within rounding.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from hornbook.errors import TrainingError
from hornbook.optimizers.groups import Group

MOMENTS = ("first_moment", "second_moment")
FUSED_DEVICES = ("cpu", "cuda")


class AdamW:
    """AdamW over flat groups.

    Args:
        groups: what to change; `step` reads their gradients as they are then.
        beta1, beta2, epsilon: the equation's b1, b2 and eps.
        fused: use torch's kernel where the device has one; otherwise plain tensor operations.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        fused: bool = True,
    ) -> None:
        self.groups = tuple(groups)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.updates = 0
        self._moments = [(zeros(group), zeros(group)) for group in self.groups]
        device = self.groups[0].values.device.type
        self._kernel = self._make_kernel() if fused and device in FUSED_DEVICES else None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One update of every group."""
        self.updates += 1
        if self._kernel is None:
            for group, (first, second) in zip(self.groups, self._moments, strict=True):
                self._plain(group, first, second, learning_rate)
            return
        for settings in self._kernel.param_groups:
            settings["lr"] = learning_rate
        self._kernel.step()

    def state(self) -> dict[str, Tensor]:
        """Everything `load_state` needs: "updates", and both moments by parameter name."""
        state = {"updates": torch.tensor(self.updates)}
        for group, moments in zip(self.groups, self._moments, strict=True):
            for label, flat in zip(MOMENTS, moments, strict=True):
                for name, view in group.by_name(flat).items():
                    state[f"{label}/{name}"] = view
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a saved state.

        Raises:
            TrainingError: the state is of other parameters.
        """
        own = self.state()
        if own.keys() != state.keys() or any(own[k].shape != state[k].shape for k in own):
            raise TrainingError(
                "The saved optimiser state belongs to other parameters than this model has; "
                "start the stage again with the model it was saved with."
            )
        for name, view in own.items():
            view.copy_(state[name])
        self.updates = int(state["updates"])
        if self._kernel is not None:
            for parameter_state in self._kernel.state.values():
                parameter_state["step"].fill_(self.updates)

    def _plain(self, group: Group, first: Tensor, second: Tensor, learning_rate: float) -> None:
        """The equation above, one operation a term."""
        w, g, t = group.values, group.gradients, self.updates
        w.mul_(1 - learning_rate * group.weight_decay)
        first.mul_(self.beta1).add_(g, alpha=1 - self.beta1)
        second.mul_(self.beta2).addcmul_(g, g, value=1 - self.beta2)
        root = second.sqrt().div_(math.sqrt(1 - self.beta2**t)).add_(self.epsilon)
        w.addcdiv_(first, root, value=-learning_rate / (1 - self.beta1**t))

    def _make_kernel(self) -> torch.optim.AdamW:
        """torch's fused AdamW over the same buffers and moments."""
        settings = []
        for group in self.groups:
            parameter = torch.nn.Parameter(group.values)
            parameter.grad = group.gradients
            settings.append({"params": [parameter], "weight_decay": group.weight_decay})
        kernel = torch.optim.AdamW(
            settings, lr=0.0, betas=(self.beta1, self.beta2), eps=self.epsilon, fused=True
        )
        for group_settings, (first, second) in zip(kernel.param_groups, self._moments, strict=True):
            (parameter,) = group_settings["params"]
            kernel.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": first,
                "exp_avg_sq": second,
            }
        return kernel


def zeros(group: Group) -> Tensor:
    """A buffer laid out as the group's."""
    return torch.zeros_like(group.values)
