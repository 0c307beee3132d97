"""A feed-forward layer over the last few token vectors."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hornbook.models import recurrences
from hornbook.models.parts.cache import LayerCache
from hornbook.models.parts.context import Context
from hornbook.models.parts.dropout import drop
from hornbook.models.parts.linear import Linear
from hornbook.models.spec import Spec


class Window(nn.Module):
    """y_t = [dropout(tanh(H x_t + d)) ; x_t], x_t = [e_{t-n+2} ; … ; e_t], n = order.

    e are token vectors, oldest first; before the text's beginning they are zeros. With an output
    layer [U | W] over y_t this is y = b + W x + U tanh(d + H x); without direct connections only
    the first half goes on. Source: Bengio et al. 2003, section 2, equation 1.
    """

    def __init__(self, choice: recurrences.Window, whole: Spec) -> None:
        super().__init__()
        self.choice = choice
        self.hidden = Linear(choice.d_read, (("matrix", choice.d_hidden),), bias=True)

    def forward(
        self, x: Float[Tensor, "batch new d_in"], context: Context, cache: LayerCache | None
    ) -> Float[Tensor, "batch new d_out"]:
        """Read the last vectors, those that the cache keeps among them."""
        new, before = x.shape[1], self.choice.order - 2
        (vectors,) = (x,) if cache is None else cache.append(x[:, :, None])
        vectors = vectors.flatten(2).to(x.dtype)
        start = vectors.shape[1] - new
        labels = context.labels()
        columns = []
        for back in range(before, -1, -1):
            column = F.pad(vectors, (0, 0, back, 0))[:, start : start + new]
            if labels is not None and back:
                there = F.pad(labels, (back, 0), value=-1)[:, start : start + new]
                column = column * (there == labels[:, start:])[..., None]
            columns.append(column)
        read = torch.cat(columns, dim=-1)
        y = drop(torch.tanh(self.hidden(read).to(x.dtype)), self.choice.dropout, self.training)
        return torch.cat([y, read], dim=-1) if self.choice.direct else y
