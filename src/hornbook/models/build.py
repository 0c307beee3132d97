"""From a spec to a network with fresh weights, and the one place that changes a network's dtype."""

import torch
from torch import nn

from hornbook.models.parts import make
from hornbook.models.parts.init import initialise
from hornbook.models.spec import Spec
from hornbook.models.stacks import Network

LOW = (torch.bfloat16, torch.float16)


def build_network(spec: Spec, seed: int = 0, device: str | torch.device = "cpu") -> Network:
    """A network with fresh weights in float32; on the "meta" device, its shapes alone."""
    with torch.device(device):
        network: Network = make(spec)
    if torch.device(device).type != "meta":
        initialise(network, spec, seed)
    return network


def convert(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Change the dtype a network computes in, in place.

    float32 and float64 apply to all of it; bfloat16 and float16 only to what may compute low
    (linear maps and the token table), so that norms and the residual stream stay in float32.
    """
    if dtype not in LOW:
        return network.to(dtype)
    network.to(torch.float32)
    for module in network.modules():
        if getattr(module, "computes_low", False):
            module.to(dtype)
    return network
