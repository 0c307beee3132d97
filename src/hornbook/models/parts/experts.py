"""Many feed-forwards, of which each token uses a few."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hornbook.models import choices
from hornbook.models.parts.activations import ACTIVATIONS, gated
from hornbook.models.parts.context import Context
from hornbook.models.parts.linear import Linear
from hornbook.models.spec import Spec


class Experts(nn.Module):
    """y = sum over the chosen experts e of g_e down_e(act(gate_e x) * up_e x).

    p = softmax(router x) over all experts; the n_active largest are chosen, and g is p divided by
    their sum. up [n_experts, 2 d_ff, d_model] makes [gate | up], down [n_experts, d_model, d_ff].
    A penalty, told to the context, keeps the experts equally busy: balance n_experts sum_e share_e
    mean(p_e), where share_e is the part of all tokens that chose e. Sources: Shazeer et al. 2017,
    section 2; Jiang et al. 2024, "Mixtral of Experts", section 2.1; Fedus et al. 2021, equation 4.
    """

    computes_low = True

    def __init__(self, choice: choices.Experts, whole: Spec) -> None:
        super().__init__()
        self.roles = {"up": "matrix", "down": "residual"}
        self.choice = choice
        self.activation = ACTIVATIONS[choice.activation]
        self.router = Linear(whole.d_model, (("matrix", choice.n_experts),), bias=False)
        shape = (choice.n_experts, 2 * choice.d_ff, whole.d_model)
        self.up = nn.Parameter(torch.empty(shape))
        self.down = nn.Parameter(torch.empty(choice.n_experts, whole.d_model, choice.d_ff))

    def forward(
        self, x: Float[Tensor, "batch length d_model"], context: Context
    ) -> Float[Tensor, "batch length d_model"]:
        """Send every token to its experts and add up what they say."""
        rows = x.flatten(0, -2).to(self.up.dtype)
        logits = self.router(rows)
        p = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
        weights, chosen = p.topk(self.choice.n_active, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        said = self._ask(rows, chosen).to(weights.dtype).view(*chosen.shape, -1)
        y: Tensor = (weights[:, None] @ said).squeeze(1)
        if self.choice.balance and self.training:
            context.penalties.append(self._imbalance(p, chosen))
        return y.view(x.shape)

    def _ask(
        self, rows: Float[Tensor, "n d_model"], chosen: Int[Tensor, "n active"]
    ) -> Float[Tensor, "n*active d_model"]:
        """What the chosen experts say of each row, side by side; each expert is asked once."""
        order = chosen.flatten().argsort(stable=True)
        counts = torch.bincount(chosen.flatten(), minlength=self.choice.n_experts).tolist()
        questions = torch.split(rows.index_select(0, order // self.choice.n_active), counts)
        said = []
        # Unbound, the gradients of all experts' weights are put together once.
        for asked, up, down in zip(questions, self.up.unbind(), self.down.unbind(), strict=True):
            said.append(F.linear(gated(self.activation, F.linear(asked, up)), down))
        return torch.cat(said).index_select(0, order.argsort())

    def _imbalance(self, p: Tensor, chosen: Tensor) -> Tensor:
        counts = torch.bincount(chosen.flatten(), minlength=self.choice.n_experts)
        share = counts.to(p.dtype) / len(p)
        return self.choice.balance * self.choice.n_experts * (share * p.mean(0)).sum()
